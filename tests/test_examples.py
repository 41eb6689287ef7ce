"""The three scripts of `examples/`, run on their own data with a tiny model."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from fewshot_llm.files import read_rows
from tests.test_readme import ROOT

EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tiny model; the working folder is an empty one."""
    monkeypatch.chdir(tmp_path)
    return str(tiny_model_folder)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_short_and_listed(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 80
    assert f"`{path.name}`" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


def test_label_reviews(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    script("label_reviews").main(["--model", model])
    rows = read_rows("labelled-reviews/labels.csv")
    assert {row["id"] for row in rows} == {"101", "102", "103", "104"}  # 105 has no text
    shares = [float(row["probability"]) for row in rows]
    assert shares == sorted(shares)
    assert {row["predicted_label"] for row in rows} <= {"positive", "negative"}
    assert "<html" in Path("labelled-reviews/report.html").read_text(encoding="utf-8")
    assert "4 of 5 rows are labelled" in capsys.readouterr().out


@pytest.mark.parametrize("least", [0.0, 1.0])
def test_route_messages(least: float, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every message gets the table's reply word for word or a reason, and nobody is answered below the least."""
    script("route_messages").main(["--model", model, "--min-confidence", str(least)])
    assert "申请退款" in capsys.readouterr().out  # an intent without a reply is named
    replies = {row["intent"]: row["reply"] for row in read_rows(EXAMPLES / "data" / "answers.csv")}
    rows = read_rows("分派.csv")
    assert [row["顾客"] for row in rows] == ["小王", "小李", "小张", "小赵"]
    for row in rows:
        assert bool(row["回复"]) != bool(row["转人工"])
        if row["回复"]:
            assert row["回复"] == replies[row["意图"]]
    if least == 1.0:
        assert not any(row["回复"] for row in rows)


def test_weekly_batch_tells_of_a_change(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two weeks whose texts are labelled differently: exit code 3, the move of the labels, and rows to label."""
    weekly = script("weekly_batch")
    assert weekly.main(["--model", model, "--out", "trial"]) == 1  # row 105 has no text
    labels = {row["text"]: row["predicted_label"] for row in read_rows("trial/shard-00000.jsonl")}
    one = next(text for text, label in labels.items() if label == "positive")
    other = next(text for text, label in labels.items() if label == "negative")
    for name, text in (("before", one), ("now", other)):
        lines = [json.dumps({"text": text}) for _ in range(60)]
        Path(f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    weekly.main(["before.jsonl", "--model", model, "--out", "week-1"])
    capsys.readouterr()
    code = weekly.main(["now.jsonl", "--model", model, "--out", "week-2", "--before", "week-1"])
    assert code == 3
    assert "labels moved against shard 0" in capsys.readouterr().out
    assert read_rows("week-2/next.csv") == [{"text": other, "label": ""}]
