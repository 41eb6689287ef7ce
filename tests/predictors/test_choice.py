"""`Choice`: what cannot be ranked is refused, with the row's number."""

from __future__ import annotations

import pytest

from fewshot_llm.errors import SupportError
from fewshot_llm.predictors import Choice, as_choices

ROW = {"history": ["tea cup"], "candidates": ["saucer", "hammer"]}


def test_lists_and_joined_titles_are_the_same() -> None:
    joined = {"history": "tea  cup", "candidates": "saucer| hammer ", "user": 17.0}
    (choice,) = as_choices([joined], ["saucer"])
    assert choice == Choice(("tea cup",), ("saucer", "hammer"), "saucer", "17")
    assert choice.answer == 0


@pytest.mark.parametrize(
    ("change", "chosen", "message"),
    [
        ({"history": []}, "saucer", "history is empty"),
        ({"history": None}, "saucer", "history is empty"),
        ({"candidates": ["saucer"]}, "saucer", "at least two"),
        ({"candidates": ["saucer", "Saucer ", "hammer"]}, "saucer", "more than once"),
        ({"history": ["tea cup", "SAUCER"]}, "saucer", "in the history already"),
        ({}, "nail", "not among the 2 candidates"),
    ],
)
def test_unusable_row_is_named(change: dict[str, object], chosen: str, message: str) -> None:
    with pytest.raises(SupportError, match=f"Row 1: .*{message}"):
        as_choices([ROW, ROW | change], ["saucer", chosen])


def test_missing_column_and_missing_answers() -> None:
    with pytest.raises(SupportError, match="no 'candidates'"):
        as_choices([{"history": ["a"]}])
    with pytest.raises(SupportError, match="1 choices but 2 answers"):
        as_choices([ROW], ["saucer", "hammer"])
