from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fewshot_llm import load_task
from fewshot_llm.data import Example, label_name
from fewshot_llm.errors import SupportError
from fewshot_llm.estimators import as_examples, as_rows, sorted_classes

REVIEW = load_task("review-sentiment")


@pytest.mark.parametrize(
    "X",
    [
        ["好", "坏"],
        ("好", "坏"),
        np.array(["好", "坏"]),
        np.array(["好", "坏"], dtype=object),
        np.array([["好"], ["坏"]]),
        pd.Series(["好", "坏"], index=[7, 9]),
        pd.DataFrame({"text": ["好", "坏"]}),
        pd.DataFrame({"评论": ["好", "坏"]}),
        [{"text": "好"}, {"text": "坏"}],
        [Example({"text": "好"}), Example({"text": "坏"}, "negative")],
    ],
    ids=lambda X: type(X).__name__,
)
def test_every_kind_of_sequence_gives_the_same_rows(X):
    assert as_rows(X, REVIEW) == [{"text": "好"}, {"text": "坏"}]
    assert [example.text for example in as_examples(X, REVIEW)] == ["好", "坏"]


def test_several_columns_are_fields():
    frame = pd.DataFrame({"title": ["t", None], "text": ["a", "b"]})
    rows = as_examples(frame, REVIEW)
    assert rows[0].fields == {"title": "t", "text": "a"}
    assert rows[1].fields == {"title": "", "text": "b"}
    assert as_rows(np.array([["t", "a"]]), REVIEW) == [{"title": "t", "text": "a"}]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_a_missing_text_is_an_empty_query(missing):
    assert as_examples(["a", missing], REVIEW)[1].fields == {"text": ""}


@pytest.mark.parametrize(
    ("X", "word"),
    [
        ("one text", "Put it in a list"),
        ({"text": "a"}, "Put it in a list"),
        (np.ones((2, 3)), "not features"),
        (np.array([["a", "b", "c"]]), "3 columns"),
        ([["a"]], "Row 0 is a list"),
        (["a", 3], "Row 1 is a int"),
        (5, "sequence"),
    ],
)
def test_what_is_no_text_is_refused(X, word):
    with pytest.raises(SupportError, match=word):
        as_rows(X, REVIEW)


def test_labels_by_name_and_in_order():
    assert [label_name(v) for v in (3, 3.0, np.float64(2), "a", True)] == ["3", "3", "2", "a", "True"]
    assert sorted_classes([10, 9]).tolist() == [9, 10]
    assert sorted_classes([10, "9"]).tolist() == ["10", "9"]
