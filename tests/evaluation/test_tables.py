"""Which way is recommended for rows of fields."""

from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm import FewShotClassifier, TableVerbalizer
from fewshot_llm.errors import SupportError
from fewshot_llm.evaluation import LANGUAGE_MODEL, recommend_for_table
from tests.reading_scorer import ReadingScorer

ROWS = [{"pages": i % 7, "value": 3.0 * (i % 2) + 0.1 * (i % 5)} for i in range(24)]
LABELS = ["purchase" if i % 2 else "no_purchase" for i in range(24)]
FACTS = TableVerbalizer.fit(ROWS, ["pages", "value"])


def fitted(scores: ReadingScorer, labels: list[str] = LABELS) -> FewShotClassifier:
    # Equal texts would be dropped as duplicates, and with them the rows they came from.
    texts = [f"{FACTS.say(row)}; visit {number}" for number, row in enumerate(ROWS)]
    return FewShotClassifier("purchase-intent", scores, shots=2, language="en").fit(texts, labels)


def test_tree_is_recommended_where_the_model_only_guesses() -> None:
    guessing = ReadingScorer(lambda query, answers: [float(len(query) % 3), 0.0])
    advice = recommend_for_table(fitted(guessing), ROWS, FACTS)
    assert advice.name == "decision tree"
    assert advice.areas["decision tree"] > 0.9
    assert "decision tree" in advice.chinese


def test_model_is_recommended_where_it_knows_more_than_the_columns() -> None:
    knows = ReadingScorer(lambda query, answers: [float("value: 3" in query), 0.0])
    silent = [{**row, "value": 0.0, "pages": 1} for row in ROWS]
    advice = recommend_for_table(fitted(knows), silent, TableVerbalizer.fit(silent))
    assert advice.name == LANGUAGE_MODEL


def test_rows_must_be_those_of_the_support_set() -> None:
    scorer = ReadingScorer(lambda query, answers: [0.0, 0.0])
    with pytest.raises(SupportError, match="Give the rows of"):
        recommend_for_table(fitted(scorer), ROWS[:3], FACTS)
    three = ReadingScorer(lambda query, answers: np.zeros(len(answers)).tolist())
    classifier = FewShotClassifier("customer-intent", three, shots=1, language="en")
    classifier.fit([f"text {i}" for i in range(6)], ["a", "b", "c"] * 2)
    with pytest.raises(SupportError, match="two labels"):
        recommend_for_table(classifier, ROWS, FACTS)
