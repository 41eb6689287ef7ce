"""`FewShotMultiLabelClassifier`: all labels that apply to a text, each by yes or no; a scikit-learn estimator.

A text and each of its possible labels as one yes-or-no question; the answer to all of them at once.

All questions about a text share everything up to the label's name, and so the text is read once.

From which probability on a label is given.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from fewshot_llm.data import Example, SupportSet, folds
from fewshot_llm.data.columns import column_values
from fewshot_llm.data.example import label_name
from fewshot_llm.data.task import Task, load_task
from fewshot_llm.errors import CalibrationError, SupportError, TaskError, nearest
from fewshot_llm.estimators.base import TextEstimator, as_examples, warn_of_rows, without_text
from fewshot_llm.estimators.shots import warn_of_shots
from fewshot_llm.files.values import is_missing
from fewshot_llm.predictors.build import (
    LayoutName,
    ModelLike,
    TaskLike,
    TemplateLike,
    choose_language,
    make_builder,
    scorer_of,
    text_language,
)
from fewshot_llm.predictors.prompted import Inference, Question
from fewshot_llm.prompting.chat import Layout
from fewshot_llm.prompting.selection import Selection
from fewshot_llm.types import FloatArray, Progress

__all__ = [
    "ASPECT",
    "FewShotMultiLabelClassifier",
    "LabelReading",
    "ask_pairs",
    "best_threshold",
    "fit_reading",
    "held_out_margins",
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


def ask_pairs(
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


def held_out_margins(inference: Inference, examples: Sequence[Example], words: Sequence[str], seed: int) -> FloatArray:
    """As `ask_pairs` for the support texts, none of whose pairs is shown, shape [texts, labels].

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


class FewShotMultiLabelClassifier(ClassifierMixin, TextEstimator):  # type: ignore[misc]
    """Gives a text every label that applies, with a causal language model that is shown a few labelled texts.

    Each label is a yes-or-no question; all questions about a text share its prefix. Calibration and a threshold for
    each label are fitted on the support texts out of fold.

    Args:
        task: a built-in multi-label task's name, a task folder's path, or a `Task`.
        model: as for `FewShotClassifier`.
        labels: in place of the task's.
        shots: demonstrations of yes, and as many of no.
        selection: chooses demonstrations among pairs of text and label; `Balanced()` by default.
        language: of the prompt; `auto` looks at the texts that are fitted.
        template: a version number of the task's templates or a `Template`; by default the newest.
        layout: `plain`, `chat` or a `Layout`; `auto` is plain.
        seed: the only source of chance.
        adapter: folder of a LoRA adapter to put on the model.
        device: `cpu`, `cuda`, …; by default the fastest present.
        dtype: the weights' number format.
        batch_tokens: tokens per forward pass; by default what fits the memory.

    Attributes:
        classes_: the labels, in the order of the columns.
        inference_: what is asked: pairs of text and label.
        reading_: calibration and thresholds.

    Example:
        >>> from fewshot_llm import FewShotMultiLabelClassifier
        >>> tagger = FewShotMultiLabelClassifier("review-aspects", "gemma3-270m")
        >>> tagger.fit(texts, [["delivery"], ["price", "quality"]]).labels_of(["送得很快"])  # doctest: +SKIP
        [('delivery',)]
    """

    def __init__(
        self,
        task: TaskLike = "review-aspects",
        model: ModelLike = "auto",
        *,
        labels: Sequence[str] | None = None,
        shots: int = 4,
        selection: Selection | None = None,
        language: str = "auto",
        template: TemplateLike = None,
        layout: LayoutName | Layout = "auto",
        seed: int = 0,
        adapter: str | os.PathLike[str] | None = None,
        device: str | None = None,
        dtype: str | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        self.task = task
        self.model = model
        self.labels = labels
        self.shots = shots
        self.selection = selection
        self.language = language
        self.template = template
        self.layout = layout
        self.seed = seed
        self.adapter = adapter
        self.device = device
        self.dtype = dtype
        self.batch_tokens = batch_tokens

    def fit(self, X: Any, y: Any) -> Self:
        """Assemble the questions, and fit calibration and thresholds out of fold.

        Args:
            X: texts or mappings of fields.
            y: the labels of each text as a sequence, or an array of zeros and ones, shape [texts, labels], with the
                task's labels in order. A text without any label (an empty list) is a text to which none applies; one
                whose labels are missing (`None`, NaN, or such a gap among them) is left out with a warning.

        Raises:
            SupportError: texts and labels differ in number, an unknown label, fewer than two texts.
            CalibrationError: no label applies to any text, or every one to every text.
        """
        self._forget_fitted()
        y, there = _labelled(y)
        task = _multilabel_task(self.task, self.labels, y)
        truth = indicator(y, task)
        asked = pair_task(task)
        examples = as_examples(X, task)
        if len(examples) != len(there):
            raise SupportError(f"There are {len(examples)} texts but labels for {len(there)}. Give some for each text.")
        examples = [example for example, known in zip(examples, there, strict=True) if known]
        gaps = np.flatnonzero(~there).tolist()
        warn_of_rows(gaps, "{n} rows whose labels are missing (None or NaN) were left out.", 2)
        if len({example.text for example in examples}) < 2 or not all(example.text.strip() for example in examples):
            raise SupportError("A multi-label classifier needs two different texts at least, and none of them empty.")
        language = choose_language(self.language, task, (example.text for example in examples))
        scorer = scorer_of(self, text_language(language, (example.text for example in examples)))
        builder = make_builder(
            asked,
            language,
            scorer,
            template=self.template,
            selection=self.selection,
            shots=self.shots,
            seed=self.seed,
            layout=self.layout,
        )
        self.words_: tuple[str, ...] = tuple(task.words(language).values())
        self.inference_ = Inference(builder, scorer, pair_support(examples, truth, self.words_))
        warn_of_shots(self.inference_)
        margins = held_out_margins(self.inference_, examples, self.words_, self.seed)
        self.reading_: LabelReading = fit_reading(margins, truth)
        self.classes_ = np.array(task.labels)
        return self

    def predict(self, X: Any, progress: Progress | None = None) -> npt.NDArray[np.int64]:
        """1 where a label applies, shape [texts, labels], columns as in `classes_`."""
        return self.reading_.decide(self._margins(X, progress)).astype(np.int64)

    def predict_proba(self, X: Any, progress: Progress | None = None) -> FloatArray:
        """P(label applies), shape [texts, labels]; a row does not sum to 1."""
        return self.reading_.probabilities(self._margins(X, progress))

    def labels_of(self, X: Any, progress: Progress | None = None) -> list[tuple[str, ...]]:
        """The labels that apply to each text; warns of texts that are missing or empty, and gives those none."""
        given = self.predict(X, progress)
        empty = set(without_text(as_examples(X, self.inference_.builder.task)))
        return [() if at in empty else tuple(self.classes_[row.astype(bool)].tolist()) for at, row in enumerate(given)]

    def answers(self, X: Any) -> list[dict[str, Any]]:
        """Per text `predicted_labels` and every label's probability, as columns for a file.

        Both are None for a text that is missing or empty.
        """
        check_is_fitted(self)
        queries = as_examples(X, self.inference_.builder.task)
        empty = set(without_text(queries))
        margins = self._margins([query for at, query in enumerate(queries) if at not in empty], None)
        names = self.classes_.tolist()
        found = iter(
            {
                "predicted_labels": [name for name, applies in zip(names, given, strict=True) if applies],
                "probabilities": dict(zip(names, p.tolist(), strict=True)),
            }
            for given, p in zip(self.reading_.decide(margins), self.reading_.probabilities(margins), strict=True)
        )
        gap: dict[str, Any] = {"predicted_labels": None, "probabilities": None}
        return [dict(gap) if at in empty else next(found) for at in range(len(queries))]

    def _margins(self, X: Any, progress: Progress | None) -> FloatArray:
        check_is_fitted(self)
        queries: list[Example] = as_examples(X, self.inference_.builder.task)
        warn_of_rows(without_text(queries), "{n} texts are missing or empty; they are answered as empty texts.", 3)
        return ask_pairs(self.inference_, queries, self.words_, progress)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "reading_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.classifier_tags.multi_label = True
        return tags


def _labelled(y: Any) -> tuple[Any, npt.NDArray[np.bool_]]:
    """The labels of the rows that have some, and which rows those are, shape [rows]."""
    if isinstance(y, np.ndarray) and y.ndim == 2:
        there = np.array([not any(map(is_missing, row)) for row in y.tolist()], dtype=np.bool_)
        kept: Any = y[there] if there.all() else np.array(y[there].tolist(), dtype=float)
    else:
        rows = [
            value if isinstance(value, str) or not isinstance(value, Iterable) else column_values(value)
            for value in column_values(y)
        ]
        there = np.array(
            [not (any(map(is_missing, row)) if isinstance(row, list) else is_missing(row)) for row in rows],
            dtype=np.bool_,
        )
        kept = [row for row, known in zip(rows, there, strict=True) if known]
    if len(there) and not there.any():
        raise SupportError(f"The labels of all {len(there)} rows are missing. Give a list of labels for each text.")
    return kept, there


def indicator(y: Any, task: Task) -> npt.NDArray[np.bool_]:
    """Which labels apply, shape [texts, labels].

    Args:
        y: a sequence of labels for each text, or an array of zeros and ones.
        task: its labels are the columns.

    Raises:
        SupportError: an unknown label, a single string where a sequence is due, or an array of another shape.
    """
    labels = task.labels
    if isinstance(y, np.ndarray) and y.ndim == 2:
        if y.shape[1] != len(labels) or not np.isin(y, (0, 1)).all():
            raise SupportError(f"Expected zeros and ones in {len(labels)} columns, one per label; got shape {y.shape}.")
        return y.astype(np.bool_)
    table = np.zeros((len(y), len(labels)), dtype=np.bool_)
    for row, given in enumerate(y):
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise SupportError(f"The labels of row {row} are {given!r}; expected a list, also for a single label.")
        for label in given:
            known = task.label_of(label_name(label))
            if known is None:
                raise SupportError(f"Row {row} has the unknown label {label!r}. {nearest(str(label), labels)}")
            table[row, labels.index(known)] = True
    return table


def _multilabel_task(task: TaskLike, labels: Sequence[str] | None, y: Any) -> Task:
    if not isinstance(task, Task):
        task = load_task(task)
    if task.kind != "multilabel":
        raise TaskError(
            f"The task {task.name} is of the kind {task.kind}; this classifier needs one of kind multilabel."
        )
    if labels is not None:
        return task.with_labels(labels)
    if task.labels:
        return task
    if isinstance(y, np.ndarray) and y.ndim == 2:
        raise SupportError(f"The task {task.name} has no labels of its own to name the columns. Give labels=[…].")
    return task.with_labels(sorted({label_name(label) for given in y for label in given}))
