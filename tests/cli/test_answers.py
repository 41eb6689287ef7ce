"""`regress`, `tag`, `rank` and `facts` with a tiny model: files in, files out."""

from __future__ import annotations

from pathlib import Path

import pytest

from fewshot_llm.files import read_rows, write_rows
from tests.cli.conftest import Run


def test_regress_adds_a_number_and_an_interval(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    write_rows("rated.csv", [{"text": f"review {i}", "stars": i % 5 + 1} for i in range(15)])
    write_rows("new.csv", [{"text": "fine", "id": 1}, {"text": "", "id": 2}])
    arguments = ("--support", "rated.csv", "--label-column", "stars", "--input", "new.csv", "--output", "out.jsonl")
    result = run("regress", "review-rating", *arguments, "--shots", 1, "--model", tiny_model_folder)
    assert result.exit_code == 0, result.output
    first, second = read_rows("out.jsonl")
    assert first["low"] <= first["predicted_value"] <= first["high"]
    assert [second[name] for name in ("predicted_value", "low", "high")] == [None] * 3
    assert "mean absolute error" in result.stderr


def test_regress_refuses_words(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    arguments = ("--support", "support.csv", "--input", "reviews.jsonl", "--output", "out.jsonl")
    result = run("regress", "review-rating", *arguments, "--model", tiny_model_folder)
    assert result.exit_code == 1
    assert "target of row 0 is 'positive'" in " ".join(result.output.split())
    assert not Path("out.jsonl").exists()


def test_regress_takes_a_grid(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    write_rows("rated.csv", [{"text": f"review {i}", "label": i % 5 * 25} for i in range(15)])
    write_rows("new.csv", [{"text": "fine"}])
    arguments = ("--support", "rated.csv", "--input", "new.csv", "--output", "out.csv", "--grid", "0,25,50,75,100")
    result = run("regress", "review-rating", *arguments, "--shots", 1, "--model", tiny_model_folder)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_tag_adds_labels(run: Run, shop: Path, tiny_model_folder: Path, ending: str) -> None:
    write_rows("tagged.csv", [{"text": f"评论{i}", "label": "price|quality" if i % 2 else ""} for i in range(6)])
    write_rows("new.csv", [{"text": "很好"}, {"text": ""}])
    arguments = ("--support", "tagged.csv", "--input", "new.csv", "--output", f"out.{ending}", "--shots", 1)
    result = run("tag", "review-aspects", *arguments, "--model", tiny_model_folder)
    assert result.exit_code == 0, result.output
    first, second = read_rows(f"out.{ending}")
    assert first["predicted_labels"] is not None
    assert not second["predicted_labels"]


def test_rank_orders_candidates(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    row = {"history": "cup|spoon", "candidates": "saucer|nail|rope"}
    write_rows("choices.csv", [row | {"label": "saucer", "history": f"cup {i}|spoon"} for i in range(3)])
    write_rows("new.jsonl", [row | {"candidates": ["saucer", "nail"]}])
    write_rows("baskets.csv", [{"user": 1, "titles": "cup|saucer"}])
    arguments = ("--support", "choices.csv", "--input", "new.jsonl", "--output", "out.jsonl", "--shots", 1)
    result = run("rank", *arguments, "--baskets", "baskets.csv", "--model", tiny_model_folder)
    assert result.exit_code == 0, result.output
    (found,) = read_rows("out.jsonl")
    assert sorted(found["ranking"]) == ["nail", "saucer"]
    assert sum(found["probabilities"].values()) == pytest.approx(1)


def test_rank_names_the_bad_row(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    write_rows("choices.csv", [{"history": "saucer", "candidates": "saucer|nail", "label": "saucer"}])
    write_rows("new.csv", [{"history": "a", "candidates": "b|c"}])
    arguments = ("--support", "choices.csv", "--input", "new.csv", "--output", "out.csv")
    result = run("rank", *arguments, "--model", tiny_model_folder)
    assert result.exit_code == 1
    assert "Row 0" in result.output
    assert "in the history already" in " ".join(result.output.split())


def test_facts_makes_a_text_column(run: Run, shop: Path) -> None:
    write_rows("visits.csv", [{"pages": i, "month": "May", "bought": i > 3} for i in range(6)])
    arguments = ("--support", "visits.csv", "--input", "visits.csv", "--output", "out.csv", "--columns", "pages, month")
    result = run("facts", *arguments)
    assert result.exit_code == 0, result.output
    rows = read_rows("out.csv")
    assert rows[0]["text"] == "pages: 0 (very low); month: May"
    assert list(rows[0]) == ["pages", "month", "bought", "text"]
