"""`fewshot-llm suggest` with a tiny model: what it writes can be filled in and used as a support file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fewshot_llm.files import read_rows, write_rows
from tests.cli.conftest import REVIEWS, Run


@pytest.fixture
def suggest(run: Run, shop: Path, tiny_model_folder: Path) -> Run:
    fixed = ("suggest", "review-sentiment", "--support", "support.csv", "--shots", "1", "--model", tiny_model_folder)
    return lambda *arguments: run(*fixed, "--input", "reviews.jsonl", *arguments)


def test_labels_can_be_filled_in(suggest: Run, run: Run, shop: Path, tiny_model_folder: Path) -> None:
    result = suggest("--output", "todo.csv", "-n", "2")
    assert result.exit_code == 0, result.output
    assert "2 of 3 rows" in result.stdout
    rows = read_rows("todo.csv")
    assert list(rows[0])[:3] == ["text", "label", "guess"]
    assert {row["label"] for row in rows} == {""}
    assert {row["text"] for row in rows} <= {row["text"] for row in REVIEWS}
    filled = [{**row, "label": "positive"} for row in rows]
    write_rows("support.csv", [*read_rows("support.csv"), *filled], overwrite=True)
    again = suggest("--output", "more.csv", "--json")
    assert json.loads(again.stdout)["suggested"] == 1
    assert json.loads(again.stdout)["repeated"] == 2


def test_existing_output_is_kept(suggest: Run, shop: Path) -> None:
    (shop / "todo.csv").write_text("mine", encoding="utf-8")
    assert suggest("--output", "todo.csv").exit_code == 2
    assert (shop / "todo.csv").read_text(encoding="utf-8") == "mine"
