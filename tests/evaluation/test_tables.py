"""Which way is recommended for rows of fields."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fewshot_llm import FewShotClassifier, TableVerbalizer
from fewshot_llm.errors import SupportError
from fewshot_llm.evaluation import LANGUAGE_MODEL, recommend_for_table
from fewshot_llm.ladder import Ladder
from fewshot_llm.ladder.rungs import Words
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


def test_what_the_ladder_chose_is_compared_by_its_answers_out_of_fold() -> None:
    scorer = ReadingScorer(lambda query, answers: [0.0, 0.0])
    texts = [f"{FACTS.say(row)}; visit {number}" for number, row in enumerate(ROWS)]
    counting = FewShotClassifier("purchase-intent", scorer, language="en", ladder=Ladder(rungs=(Words(),)))
    advice = recommend_for_table(counting.fit(texts, LABELS), ROWS, FACTS)
    assert LANGUAGE_MODEL not in advice.areas
    targets = counting.problem_.targets
    odds = counting.out_of_fold_[:, 1] - counting.out_of_fold_[:, 0]
    assert advice.areas["ladder on the texts"] == pytest.approx(roc_auc_score(targets, odds))
    del counting.out_of_fold_, counting.decision_
    with pytest.raises(SupportError, match="are not kept"):
        recommend_for_table(counting, ROWS, FACTS)
