"""Labelled rows in, answers out as columns."""

from __future__ import annotations

import pytest

from fewshot_llm.data import load_task
from fewshot_llm.errors import SupportError
from fewshot_llm.labelling import add_answers, add_columns, answered, as_labels

TASK = load_task("review-rating")


def test_texts_and_answers_from_other_columns() -> None:
    rows = [{"评论": "好", "stars": 5}, {"评论": "差", "stars": 1}]
    texts, answers = answered(rows, TASK, {"label": "stars"})
    assert [text.text for text in texts] == ["好", "差"]
    assert answers == [5, 1]


def test_no_rows_and_no_label() -> None:
    with pytest.raises(SupportError, match="no labelled rows"):
        answered([], TASK)
    with pytest.raises(SupportError, match="No column for 'label'"):
        answered([{"text": "好"}], TASK)


def test_row_without_text_keeps_its_place() -> None:
    rows = [{"text": "a", "id": 1}, {"text": " ", "id": 2}, {"text": "c", "id": 3}]
    found = add_answers(rows, TASK, lambda asked: [{"n": len(asked)} for _ in asked], ("n",))
    assert found == [{"text": "a", "id": 1, "n": 2}, {"text": " ", "id": 2, "n": None}, {"text": "c", "id": 3, "n": 2}]


def test_column_that_is_there_already_keeps_its_name() -> None:
    rows = [{"n": 1}, {"n": 3, "m_2": 4}]
    found = add_columns(rows, [{"n": 2, "m": 5}, {"n": 6, "m": 7}], ("n", "m"))
    assert found == [{"n": 1, "n_3": 2, "m_3": 5}, {"n": 3, "m_2": 4, "n_3": 6, "m_3": 7}]


@pytest.mark.parametrize(
    ("cell", "labels"),
    [("a| b", ["a", "b"]), (["a"], ["a"]), ("", []), (None, []), (float("nan"), []), ([], [])],
)
def test_labels_of_a_cell(cell: object, labels: list[str]) -> None:
    assert as_labels(cell) == labels


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("delivery;packaging", ["delivery", "packaging"]),
        ("delivery、packaging", ["delivery", "packaging"]),
        ("delivery；price", ["delivery", "price"]),
        ('["delivery", "price"]', ["delivery", "price"]),
        ("delivery, price", ["delivery", "price"]),
        ("delivery, late", ["delivery, late"]),
        ("in time; dry|price", ["in time; dry", "price"]),
    ],
)
def test_several_labels_in_a_cell(cell: str, labels: list[str]) -> None:
    assert as_labels(cell, ["delivery", "packaging", "price", "in time; dry"]) == labels
