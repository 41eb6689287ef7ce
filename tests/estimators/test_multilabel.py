"""`FewShotMultiLabelClassifier`: every label that applies, by yes or no."""

from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm.data import load_task
from fewshot_llm.errors import CalibrationError, SupportError, TaskError
from fewshot_llm.estimators import FewShotMultiLabelClassifier
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import fit_reading, pair_task
from tests.reading_scorer import ReadingScorer

ASPECTS = {"delivery": "物流", "price": "价格", "quality": "质量"}


def review(i: int) -> tuple[str, list[str]]:
    labels = [label for bit, label in enumerate(ASPECTS) if i >> bit & 1]
    return f"第{i}条：" + "，".join(ASPECTS[label] + "怎样" for label in labels) + "。", labels


REVIEWS = [review(i) for i in range(16)]
TEXTS, LABELS = [row[0] for row in REVIEWS], [row[1] for row in REVIEWS]


def mentioned(query: str, answers: tuple[str, ...]) -> list[float]:
    """Says yes where the aspect's word is in the review; it leans heavily towards no."""
    text, aspect = query.split("方面：")
    return [1.0 if aspect.splitlines()[0] in text else -1.0, 3.0]


@pytest.fixture
def tagger() -> FewShotMultiLabelClassifier:
    return FewShotMultiLabelClassifier(model=ReadingScorer(mentioned), labels=tuple(ASPECTS), language="zh")


def test_threshold_makes_up_for_a_model_that_says_no(tagger: FewShotMultiLabelClassifier) -> None:
    tagger.fit(TEXTS, LABELS)
    assert tagger.labels_of(["物流和价格", "随便"]) == [("delivery", "price"), ()]
    assert tagger.predict(TEXTS).tolist() == [[int(name in row) for name in ASPECTS] for row in LABELS]
    p = tagger.predict_proba(TEXTS)
    assert p.shape == (16, 3)
    assert ((p > 0) & (p < 1)).all()


def test_indicator_array_is_the_same_as_lists(tagger: FewShotMultiLabelClassifier) -> None:
    array = np.array([[name in row for name in ASPECTS] for row in LABELS], dtype=int)
    assert tagger.fit(TEXTS, LABELS).reading_ == tagger.fit(TEXTS, array).reading_
    assert tagger.score(TEXTS, array) == 1.0


def test_no_text_sees_itself_while_thresholds_are_fitted(tagger: FewShotMultiLabelClassifier) -> None:
    tagger.fit(TEXTS, LABELS)
    assert isinstance(tagger.model, ReadingScorer)
    for prompt in tagger.model.prompts:
        text = prompt.text.rsplit("\n\n", 1)[-1].splitlines()[0]
        assert prompt.text.count(text + "\n") == 1


def test_questions_about_a_text_share_everything_before_the_label(tagger: FewShotMultiLabelClassifier) -> None:
    tagger.fit(TEXTS, LABELS)
    assert isinstance(tagger.model, ReadingScorer)
    tagger.model.prompts.clear()
    tagger.predict(["物流"])
    starts = {prompt.text.rpartition("方面：")[0] for prompt in tagger.model.prompts}
    assert len(starts) == 1
    assert len(tagger.model.prompts) == 3


def test_columns_for_a_file(tagger: FewShotMultiLabelClassifier) -> None:
    (answer,) = tagger.fit(TEXTS, LABELS).answers(["价格"])
    assert answer["predicted_labels"] == ["price"]
    assert list(answer["probabilities"]) == list(ASPECTS)


def test_own_task_takes_labels_from_rows(llama: LanguageModel) -> None:
    task = load_task("review-aspects").with_labels(())
    tagger = FewShotMultiLabelClassifier(task, llama, shots=1).fit(TEXTS[:6], LABELS[:6])
    assert tagger.classes_.tolist() == sorted(ASPECTS)
    assert tagger.predict(TEXTS[:2]).shape == (2, 3)


def test_pair_task_asks_yes_or_no_in_every_language() -> None:
    task = pair_task(load_task("review-aspects"))
    assert task.words("zh") == {"yes": "是", "no": "否"}
    assert task.fields == ("aspect", "text")
    assert task.optional_fields == ()


def test_label_with_few_examples_leans_on_the_others() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random((30, 2)) < [0.5, 0.07]
    margins = np.where(truth, 2.0, -2.0) + generator.normal(size=(30, 2))
    reading = fit_reading(margins, truth)
    assert reading.slope > 0
    assert reading.probabilities(np.array([[4.0, 4.0]])).min() > 0.5


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["delivery"], ["colour"]], "unknown label 'colour'"),
        (["delivery", "price"], "expected a list"),
        ([["delivery"]], "2 texts but labels for 1"),
        (np.zeros((2, 5)), "3 columns"),
        (np.full((2, 3), 2), "zeros and ones"),
    ],
)
def test_unusable_labels(tagger: FewShotMultiLabelClassifier, labels: object, message: str) -> None:
    with pytest.raises(SupportError, match=message):
        tagger.fit(TEXTS[:2], labels)


@pytest.mark.parametrize("labels", [[[], []], [list(ASPECTS)] * 2])
def test_nothing_to_tell_apart(tagger: FewShotMultiLabelClassifier, labels: list[list[str]]) -> None:
    with pytest.raises(CalibrationError, match="nothing to tell apart"):
        tagger.fit(TEXTS[:2], labels)


def test_empty_text(tagger: FewShotMultiLabelClassifier) -> None:
    with pytest.raises(SupportError, match="none of them empty"):
        tagger.fit(["好", " "], [["price"], []])


def test_task_of_another_kind() -> None:
    with pytest.raises(TaskError, match="kind classification"):
        FewShotMultiLabelClassifier("review-sentiment", ReadingScorer(mentioned)).fit(TEXTS, LABELS)
