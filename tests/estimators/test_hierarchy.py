"""Labels level by level: the product sums to one, and equals what two questions to a slow scorer give."""

from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm.data import Example, SupportSet, Task, load_task
from fewshot_llm.errors import SupportError
from fewshot_llm.estimators import FewShotClassifier, by_category, fit_levels
from fewshot_llm.models import LanguageModel
from fewshot_llm.scoring import ReferenceScorer, choose_scorer

TEXTS = {
    "order/cancel": ["please cancel my order", "I do not want it any more"],
    "order/track": ["where is my parcel", "when does it arrive"],
    "refund/ask": ["I want my money back", "refund me"],
    "refund/status": ["where is my refund", "has the money been sent"],
    "out_of_scope": ["nice weather", "tell me a joke"],
}
ASKED = [Example({"text": text}) for text in ("cancel it please", "no money arrived", "hello")]


@pytest.fixture(scope="module")
def support() -> SupportSet:
    rows = [(text, label) for label, texts in TEXTS.items() for text in texts]
    return SupportSet.from_lists(*zip(*rows, strict=True))


def task(support: SupportSet) -> Task:
    return support.complete(load_task("customer-intent"))


def test_products_sum_to_one_and_equal_the_slow_reference(llama: LanguageModel, support: SupportSet) -> None:
    described, slow, fast = task(support), ReferenceScorer(llama), choose_scorer(llama)
    levels = fit_levels(described, support, lambda level: FewShotClassifier(level, fast, shots=1, language="en"))
    found = levels.log_probabilities(ASKED)
    assert levels.labels == support.labels or set(levels.labels) == set(support.labels)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, atol=1e-9)
    by_hand: dict[str, np.ndarray] = {}
    categories = by_category(support.labels)

    def ask(rows: list[Example], labels: tuple[str, ...]) -> np.ndarray:
        level = described.with_labels(labels)
        classifier = FewShotClassifier(level, slow, shots=1, language="en").fit_support(SupportSet(tuple(rows), labels))
        return classifier.predictor_.answer(ASKED).log_probabilities

    top = ask([Example(row.fields, str(row.label).split("/")[0]) for row in support], tuple(categories))
    for column, (category, members) in enumerate(categories.items()):
        rows = [Example(row.fields, str(row.label).partition("/")[2]) for row in support if row.label in members]
        inner = (
            ask(rows, tuple(m.partition("/")[2] for m in members)) if len(members) > 1 else np.zeros((len(ASKED), 1))
        )
        by_hand |= {m: top[:, column] + inner[:, place] for place, m in enumerate(members)}
    np.testing.assert_allclose(found, np.stack([by_hand[label] for label in levels.labels], axis=1), atol=1e-4)


def test_predictions_name_whole_labels(llama: LanguageModel, support: SupportSet) -> None:
    scorer, calls = choose_scorer(llama), []
    levels = fit_levels(task(support), support, lambda level: FewShotClassifier(level, scorer, shots=1, language="en"))
    found = levels.predictions(["cancel it please"], lambda done, total: calls.append((done, total)))
    assert found[0].label in support.labels
    assert set(found[0].probabilities) == set(support.labels)
    assert calls[-1] == (1, 1)


def test_one_category_is_no_hierarchy() -> None:
    support = SupportSet.from_lists(["a", "b"], ["order/cancel", "order/track"])
    with pytest.raises(SupportError, match="at least two categories, and the labels have 1"):
        fit_levels(task(support), support, lambda level: FewShotClassifier(level))


def test_category_that_is_a_label_too() -> None:
    support = SupportSet.from_lists(["a", "b", "c"], ["order", "order/track", "refund"])
    with pytest.raises(SupportError, match="'order' is a label and the category of others"):
        fit_levels(task(support), support, lambda level: FewShotClassifier(level))
