"""`fewshot-llm suite` and `fewshot-llm compare`, with a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fewshot_llm.files import write_rows
from tests.cli.conftest import Run

SUITE = """
task = "review-sentiment"
language = "en"
models = ["{model}"]
shots = [2]
seeds = [0, 1]
rungs = ["zero-shot", "in-context"]

[data]
train = "rows.csv"
test_rows = 20
"""


@pytest.fixture
def suite(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model_folder: Path) -> Run:
    rows = [{"text": f"parcel {n} {word}", "label": word} for n in range(18) for word in ("positive", "negative")]
    write_rows(tmp_path / "rows.csv", rows)
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    (tmp_path / "my.toml").write_text(SUITE.format(model=tiny_model_folder), encoding="utf-8")
    return lambda *arguments: run("suite", tmp_path / "my.toml", "--out", tmp_path / "out", *arguments)


def test_table_file_and_progress(suite: Run, tmp_path: Path) -> None:
    result = suite()
    assert result.exit_code == 0, result.output
    assert "zero-shot" in result.stdout
    assert "20 test rows, 2 labels" in result.stdout
    assert "[1/4] zero-shot" in result.stderr
    written = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert [summary["method"] for summary in written["summaries"]] == ["zero-shot", "in-context"]
    assert written["machine"]["cores"]
    assert "[1/4]" not in suite().stderr


def test_some_cells_now(suite: Run) -> None:
    result = suite("--only", "zero-shot", "--shots", "2", "--seeds", "1")
    assert result.exit_code == 0, result.output
    assert "zero-shot" in result.stderr
    assert "seed=1" in result.stderr
    assert "in-context" not in result.stderr
    assert "seed=0" not in result.stderr
    refused = suite("--model", "gemma3-270m")
    assert refused.exit_code == 1
    assert "no model 'gemma3-270m'" in refused.stderr
    assert suite("--seeds", "0,x").exit_code == 2


def test_json_has_the_figures_and_not_the_answers(suite: Run) -> None:
    found = json.loads(suite("--json").stdout)
    assert found["summaries"][0]["seeds"] == [0, 1]
    assert "cells" not in found


def test_a_missed_baseline_fails(suite: Run, tmp_path: Path) -> None:
    assert suite().exit_code == 0
    path = tmp_path / "out" / "result.json"
    baseline = json.loads(path.read_text(encoding="utf-8"))
    (tmp_path / "same.json").write_text(json.dumps(baseline), encoding="utf-8")
    assert suite("--baseline", tmp_path / "same.json").exit_code == 0
    for cell in baseline["cells"]:
        cell["predicted"] = baseline["targets"]
    (tmp_path / "better.json").write_text(json.dumps(baseline), encoding="utf-8")
    # Half of 20 rows are worse; half of ten would be noise (McNemar p .06).
    missed = suite("--baseline", tmp_path / "better.json")
    assert missed.exit_code == 1
    assert "Baseline missed. zero-shot" in missed.stderr


def test_compare_two_and_one(suite: Run, run: Run, tmp_path: Path) -> None:
    suite()
    path = tmp_path / "out" / "result.json"
    two = run("compare", path, path)
    assert two.exit_code == 0, two.output
    assert two.stdout.count("same") >= 2
    one = run("compare", path, "--method", "in-context", "--json")
    assert [found["first"][0] for found in json.loads(one.stdout)] == ["zero-shot"]
    unknown = run("compare", path)
    assert unknown.exit_code == 1
    assert "no method 'ladder'" in unknown.stderr


def test_an_unknown_suite_is_one_paragraph(run: Run, tmp_path: Path) -> None:
    result = run("suite", "bankin77", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "Did you mean banking77?" in result.stderr
