"""`fewshot-llm evaluate` with a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fewshot_llm.evaluation import evaluate as measure
from fewshot_llm.files import write_rows
from fewshot_llm.models import load_model
from tests.cli.conftest import Run

TEST_ROWS = [
    {"text": "Lovely and well packed", "label": "positive"},
    {"text": "I want my money back", "label": "negative"},
    {"text": "Better than I hoped", "label": "positive"},
    {"text": "The zip broke at once", "label": "negative"},
    {"text": "will buy AGAIN", "label": "positive"},
]


@pytest.fixture
def evaluate(run: Run, shop: Path, tiny_model_folder: Path) -> Run:
    write_rows("test.jsonl", TEST_ROWS)
    options = ("evaluate", "review-sentiment", "--support", "support.csv", "--test", "test.jsonl")
    return lambda *arguments: run(*options, "--model", tiny_model_folder, *arguments)


def test_table_has_a_line_per_number_of_shots(evaluate: Run) -> None:
    result = evaluate("--shots", "0,1,2", "--seeds", "0,1")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split("│")[1].strip() for line in lines if line.startswith("│")] == ["0", "1", "2"]
    assert "4 test rows; 1 left out because they are in the support set" in result.stdout


def test_file_is_what_python_gives(evaluate: Run, shop: Path, tiny_model_folder: Path) -> None:
    result = evaluate("--shots", "1", "--seeds", "0,1,2", "--output", "result.json")
    assert result.exit_code == 0, result.output
    written = json.loads((shop / "result.json").read_text(encoding="utf-8"))
    model = load_model(str(tiny_model_folder))
    same = measure("review-sentiment", "support.csv", "test.jsonl", model=model, shots=[1], seeds=[0, 1, 2]).to_json()
    assert [run["figures"] for run in written["runs"]] == [run["figures"] for run in same["runs"]]
    assert written["summaries"][0]["accuracy"] == same["summaries"][0]["accuracy"]


@pytest.mark.parametrize("how", [("--json",), ("--output", "-")])
def test_json_on_standard_output(evaluate: Run, how: tuple[str, ...]) -> None:
    assert json.loads(evaluate("--shots", "1", "--seeds", "0", *how).stdout)["test"]["kept"] == 4


@pytest.mark.parametrize("shots", ["", "four", "1,1", "-1", "0;4"])
def test_numbers_are_checked_before_anything_runs(evaluate: Run, shots: str) -> None:
    result = evaluate("--shots", shots)
    assert result.exit_code == 2
    assert "such as 0,4,16" in " ".join(result.stderr.split())


def test_existing_result_needs_overwrite(evaluate: Run, shop: Path) -> None:
    (shop / "result.json").write_text("mine", encoding="utf-8")
    assert evaluate("--output", "result.json").exit_code == 2
    assert (shop / "result.json").read_text(encoding="utf-8") == "mine"


def test_better_way_for_a_table_is_recommended(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    rows = [{"pages": i, "paid": 5 * (i % 2), "label": "purchase" if i % 2 else "no_purchase"} for i in range(16)]
    write_rows("visits.csv", rows)
    said = ("--support", "visits.csv", "--columns", "pages,paid", "--output")
    assert run("facts", "--input", "visits.csv", *said, "support.csv", "--overwrite").exit_code == 0
    write_rows("asked.csv", [{"text": f"pages: {i}", "label": row["label"]} for i, row in enumerate(rows)])
    files = ("--support", "support.csv", "--test", "asked.csv", "--table", "pages,paid")
    result = run("evaluate", "purchase-intent", *files, "--shots", "2", "--seeds", "0", "--model", tiny_model_folder)
    assert result.exit_code == 0, result.output
    assert "Use the decision tree: its AUC out of fold on the 16 labelled rows is the largest" in result.stderr
    assert "建议使用 decision tree" in result.stderr


def test_words_alone_are_told_beside_the_result(evaluate: Run) -> None:
    told = evaluate("--shots", "0,3", "--seeds", "0").stdout
    assert "Words alone (n-grams with logistic regression on the same rows) reach" in " ".join(told.split())
    found = json.loads(evaluate("--shots", "3", "--seeds", "0", "--only", "words", "--json").stdout)
    (run,), (mean,) = found["runs"], found["summaries"]
    assert (run["rung"], run["demonstrations"], found["prompt"]) == ("words", None, None)
    assert mean["words"] == mean["accuracy"]
