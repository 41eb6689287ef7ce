"""Several labels for a text: each label is a yes-or-no question, and the answers to all of them come at once.

All questions about a text share everything up to the label's name, and so the text is read once. Calibration and a
threshold for each label are fitted on texts that their own prompts did not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from fewshot_llm.data import Example, SupportSet, folds
from fewshot_llm.data.task import Task
from fewshot_llm.errors import CalibrationError
from fewshot_llm.predictors.prompted import Inference, Question
from fewshot_llm.types import FloatArray, Progress

__all__ = [
    "LabelReading",
    "MultiLabelPredictor",
    "best_threshold",
    "fit_multilabel",
    "fit_reading",
    "pair_support",
    "pair_task",
]


def best_threshold(probabilities: FloatArray, truth: npt.NDArray[np.bool_]) -> float:
    """The threshold with the best F1 on rows scored out of fold; of equal ones the nearest to one half.

    Args:
        probabilities: that the label applies, shape [rows].
        truth: whether it does, shape [rows].

    Returns:
        0, 0.5 or a number halfway between two probabilities that occur (where no float is between, the upper one); 0.5
        where no row has the label, for then F1 says nothing.

    >>> best_threshold(np.array([0.1, 0.2, 0.3, 0.35]), np.array([False, False, True, True]))
    0.25
    """
    if not truth.any():
        return 0.5
    known = np.unique(np.r_[0.0, probabilities, 1.0])
    lower, upper = known[:-1], known[1:]
    middle = (lower + upper) / 2
    # Neighbouring floats have nothing between them, and the middle is rounded to one of them; the upper one parts them.
    candidates = np.unique(np.r_[0.0, 0.5, np.where(middle > lower, middle, upper)])
    given = probabilities >= candidates[:, None]
    right = (given & truth).sum(axis=1)
    f1 = 2 * right / (given.sum(axis=1) + truth.sum())
    best = candidates[np.isclose(f1, f1.max())]
    return float(best[np.abs(best - 0.5).argmin()])


ASPECT = "aspect"
"""The field that names the label a question is about."""

YES, NO = "yes", "no"
ANSWERS: Mapping[str, Mapping[str, str]] = {"en": {YES: "yes", NO: "no"}, "zh": {YES: "是", NO: "否"}}
MOST_FOLDS = 10


def pair_task(task: Task) -> Task:
    """The yes-or-no task behind a multi-label one."""
    words = {language: dict(ANSWERS.get(language, ANSWERS["en"])) for language in task.languages}
    fields = task.fields if ASPECT in task.fields else (ASPECT, *task.fields)
    optional = tuple(name for name in task.optional_fields if name != ASPECT)
    changes = {
        "kind": "classification",
        "labels": (YES, NO),
        "optional_labels": (),
        "label_words": words,
        "fields": fields,
        "optional_fields": optional,
    }
    return Task(**(task.model_dump() | changes))


def pair_support(examples: Sequence[Example], truth: npt.NDArray[np.bool_], words: Sequence[str]) -> SupportSet:
    """One example for each text and label, a text's together.

    Args:
        examples: the texts.
        truth: which labels apply, shape [texts, labels].
        words: the labels' words.
    """
    pairs = [
        Example({ASPECT: word, **example.fields}, YES if applies else NO)
        for example, row in zip(examples, truth, strict=True)
        for word, applies in zip(words, row, strict=True)
    ]
    return SupportSet(tuple(pairs), (YES, NO))


def _ask_pairs(
    inference: Inference, queries: Sequence[Example], words: Sequence[str], progress: Progress | None = None
) -> FloatArray:
    """Log P(yes) − log P(no) of every label, shape [texts, labels].

    Args:
        inference: with the pairs as support.
        queries: the texts.
        words: the labels' words.
        progress: called with questions finished and questions in all.
    """
    asked = [Example({ASPECT: word, **query.fields}) for query in queries for word in words]
    scores = inference.score_prompts(inference.prompts(asked), progress=progress)
    return (scores[:, 0] - scores[:, 1]).reshape(len(queries), len(words))


def _held_out_margins(inference: Inference, examples: Sequence[Example], words: Sequence[str], seed: int) -> FloatArray:
    """As `_ask_pairs` for the support texts, none of whose pairs is shown, shape [texts, labels].

    Args:
        inference: with the pairs of `examples` as support.
        examples: the support texts.
        words: the labels' words.
        seed: deals texts into folds.

    Raises:
        SupportError: fewer than two distinct texts.
    """
    many = len(words)
    texts = SupportSet(tuple(Example(example.fields, "") for example in examples), ("",))
    distinct = len({example.text for example in examples})
    plan = folds(texts, max(2, min(MOST_FOLDS, distinct)), seed)
    questions = [
        Question(
            inference.support.without(pair for row in held for pair in range(row * many, (row + 1) * many)),
            tuple(Example({ASPECT: word, **examples[row].fields}) for row in held for word in words),
        )
        for _, held in plan
    ]
    margins = np.empty((len(examples), many))
    for (_, held), scores in zip(plan, inference.ask(questions), strict=True):
        margins[list(held)] = (scores[:, 0] - scores[:, 1]).reshape(len(held), many)
    return margins


@dataclass(frozen=True)
class LabelReading:
    """From margins to probabilities and decisions.

    Attributes:
        slope: of the log-odds, shared by all labels.
        offsets: of each label's log-odds.
        thresholds: the probability from which on each label is given.
    """

    slope: float
    offsets: tuple[float, ...]
    thresholds: tuple[float, ...]

    def probabilities(self, margins: FloatArray) -> FloatArray:
        """P(label applies), shape [texts, labels], from margins of that shape."""
        result: FloatArray = expit(self.slope * margins + np.asarray(self.offsets))
        return result

    def decide(self, margins: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether each label is given, shape [texts, labels]."""
        return self.probabilities(margins) >= np.asarray(self.thresholds)


def fit_reading(margins: FloatArray, truth: npt.NDArray[np.bool_]) -> LabelReading:
    """Calibrate out-of-fold margins and choose a threshold per label.

    A logistic regression with one slope for all labels and an offset for each, which a ridge penalty pulls towards a
    common one: a label with two examples cannot have its own calibration.

    Args:
        margins: shape [texts, labels].
        truth: which labels apply, shape [texts, labels].

    Raises:
        CalibrationError: no label applies to any text, or every label to every text.
    """
    rows, labels = margins.shape
    if truth.all() or not truth.any():
        raise CalibrationError(
            "Every label applies to every text, or none to any: there is nothing to tell apart. Add texts to which a "
            "label does not apply, or does."
        )
    scale = float(margins.std()) or 1.0
    features = np.column_stack([margins.ravel() / scale, np.tile(np.eye(labels), (rows, 1))])
    fitted = LogisticRegression(C=1.0, max_iter=1000).fit(features, truth.ravel())
    slope, *own = fitted.coef_[0].tolist()
    offsets = tuple(float(fitted.intercept_[0] + offset) for offset in own)
    # A negative slope would be noise: yes would speak for no.
    reading = LabelReading(max(slope, 0.0) / scale, offsets, (0.5,) * labels)
    p = reading.probabilities(margins)
    thresholds = tuple(best_threshold(p[:, label], truth[:, label]) for label in range(labels))
    return LabelReading(reading.slope, reading.offsets, thresholds)


@dataclass(frozen=True)
class MultiLabelPredictor:
    """Which labels apply to a text.

    Attributes:
        task: the multi-label task; its labels are the columns.
        inference: asks the yes-or-no questions; its support set holds pairs of text and label.
        reading: calibration and thresholds.
    """

    task: Task
    inference: Inference
    reading: LabelReading

    @property
    def words(self) -> tuple[str, ...]:
        """The labels as questions name them."""
        return tuple(self.task.words(self.inference.builder.language).values())

    def margins(self, queries: Sequence[Example], progress: Progress | None = None) -> FloatArray:
        """Log P(yes) − log P(no) of every label, shape [queries, labels]."""
        return _ask_pairs(self.inference, queries, self.words, progress)


def fit_multilabel(
    task: Task, inference: Inference, examples: Sequence[Example], truth: npt.NDArray[np.bool_]
) -> MultiLabelPredictor:
    """Fit calibration and thresholds out of fold.

    Args:
        task: the multi-label task.
        inference: with the pairs of `examples` as support.
        examples: the labelled texts.
        truth: which labels apply, shape [texts, labels].

    Raises:
        CalibrationError: no label applies to any text, or every label to every text.
    """
    words = tuple(task.words(inference.builder.language).values())
    margins = _held_out_margins(inference, examples, words, inference.builder.seed)
    return MultiLabelPredictor(task, inference, fit_reading(margins, truth))
