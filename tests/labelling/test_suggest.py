"""From a classifier and a pool to rows for people to label."""

from __future__ import annotations

import pytest

from fewshot_llm import FewShotClassifier
from fewshot_llm.data import resolve_columns
from fewshot_llm.errors import SupportError
from fewshot_llm.labelling import suggest
from tests.word_scorer import WordScorer

TEXTS = ["很好，喜欢", "质量不错", "太差了，退货", "垃圾，失望"]
LABELS = ["positive", "positive", "negative", "negative"]
POOL = [
    "推荐购买，很喜欢",  # plainly good
    "快递昨天到的",  # says nothing: the least sure
    "质量不错！",  # labelled but for a sign
    "垃圾货，退货了",  # plainly bad
    "   ",
    "颜色是蓝色",  # says nothing either
    "快递昨天到的。",  # the second one again but for a sign
    "快递昨天到的",  # the second one again
]


@pytest.fixture
def classifier() -> FewShotClassifier:
    return FewShotClassifier(model=WordScorer(), shots=2).fit(TEXTS, LABELS)


def test_unsure_rows_first_and_no_copies(classifier: FewShotClassifier) -> None:
    found = suggest(classifier, POOL, 8)
    rows = [one.row for one in found.chosen]
    assert set(rows[:2]) <= {1, 5, 6, 0, 3}
    assert len({1, 6} & set(rows)) == 1
    assert not {2, 4, 7} & set(rows)
    assert (found.without_text, found.repeated) == (1, 1)


def test_guesses_are_the_predictions(classifier: FewShotClassifier) -> None:
    found = suggest(classifier, POOL, 8)
    predictions = classifier.predictions([POOL[one.row] for one in found.chosen])
    assert [(one.guess, one.probability) for one in found.chosen] == [
        (prediction.label, pytest.approx(prediction.probability)) for prediction in predictions
    ]


def test_rows_have_the_form_of_the_support_file(classifier: FewShotClassifier) -> None:
    columns = resolve_columns(["编号", "评论", "情感"])
    rows = suggest(classifier, POOL, 3).rows(columns)
    assert [list(row) for row in rows] == [["评论", "情感", "guess", "probability", "pool_row"]] * 3
    assert {row["情感"] for row in rows} == {""}
    assert all(row["评论"] == POOL[row["pool_row"] - 1] for row in rows)


def test_a_text_column_of_an_added_name_keeps_it(classifier: FewShotClassifier) -> None:
    columns = resolve_columns(["guess", "label"], told={"text": "guess"})
    assert list(suggest(classifier, POOL, 3).rows(columns)[0]) == [
        "guess",
        "label",
        "guess_2",
        "probability_2",
        "pool_row_2",
    ]


def test_nothing_left(classifier: FewShotClassifier) -> None:
    assert suggest(classifier, [], 3).chosen == ()
    assert suggest(classifier, TEXTS, 3).repeated == 4
    with pytest.raises(SupportError, match="at least 1"):
        suggest(classifier, POOL, 0)
