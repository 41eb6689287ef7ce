"""`FewShotMultiLabelClassifier`: all labels that apply to a text, each by yes or no; a scikit-learn estimator."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags

from fewshot_llm.data.columns import column_values
from fewshot_llm.data.example import label_name
from fewshot_llm.data.task import Kind, Task
from fewshot_llm.errors import SupportError, nearest
from fewshot_llm.estimators.base import TextEstimator, as_examples, warn_of_rows, without_text
from fewshot_llm.files.values import is_missing
from fewshot_llm.predictors.build import (
    LayoutName,
    ModelLike,
    TaskLike,
    TemplateLike,
    choose_language,
    scorer_of,
    text_language,
)
from fewshot_llm.predictors.multilabel import LabelReading, MultiLabelPredictor, fit_multilabel, pair_support, pair_task
from fewshot_llm.predictors.prompted import DEFAULT_SHOTS, Inference, warn_of_shots
from fewshot_llm.prompting.chat import Layout
from fewshot_llm.prompting.selection import Selection
from fewshot_llm.types import FloatArray, Progress

if TYPE_CHECKING:
    from fewshot_llm.artifacts.kinds import Artifact

__all__ = [
    "FewShotMultiLabelClassifier",
]


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
        predictor_: what is asked, pairs of text and label, and how it is read.
        reading_: calibration and thresholds.

    Example:
        >>> from fewshot_llm import FewShotMultiLabelClassifier
        >>> tagger = FewShotMultiLabelClassifier("review-aspects", "gemma3-270m")
        >>> tagger.fit(texts, [["delivery"], ["price", "quality"]]).labels_of(["送得很快"])  # doctest: +SKIP
        [('delivery',)]
    """

    _kind: ClassVar[Kind] = "multilabel"
    predictor_: MultiLabelPredictor

    def __init__(
        self,
        task: TaskLike = "review-aspects",
        model: ModelLike = "auto",
        *,
        labels: Sequence[str] | None = None,
        shots: int = DEFAULT_SHOTS,
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
        super().__init__(
            task,
            model,
            shots=shots,
            language=language,
            template=template,
            layout=layout,
            seed=seed,
            adapter=adapter,
            device=device,
            dtype=dtype,
            batch_tokens=batch_tokens,
        )
        self.labels = labels
        self.selection = selection

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
        task = _labels_of(self._take_task(), self.labels, y)
        truth = _indicator(y, task)
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
        builder = self._make_builder(pair_task(task), language, scorer, self.selection)
        words = tuple(task.words(language).values())
        inference = Inference(builder, scorer, pair_support(examples, truth, words))
        warn_of_shots(inference)
        self.predictor_ = fit_multilabel(task, inference, examples, truth)
        self.classes_ = np.array(task.labels)
        return self

    @property
    def inference_(self) -> Inference:
        """What is asked: pairs of text and label."""
        return self.predictor_.inference

    @property
    def reading_(self) -> LabelReading:
        """Calibration and thresholds."""
        return self.predictor_.reading

    def predict(self, X: Any, progress: Progress | None = None) -> npt.NDArray[np.int64]:
        """1 where a label applies, shape [texts, labels], columns as in `classes_`."""
        return self.reading_.decide(self._margins(X, progress)).astype(np.int64)

    def predict_proba(self, X: Any, progress: Progress | None = None) -> FloatArray:
        """P(label applies), shape [texts, labels]; a row does not sum to 1."""
        return self.reading_.probabilities(self._margins(X, progress))

    def labels_of(self, X: Any, progress: Progress | None = None) -> list[tuple[str, ...]]:
        """The labels that apply to each text; warns of texts that are missing or empty, and gives those none."""
        given = self.predict(X, progress)
        empty = set(without_text(self._queries(X)))
        return [() if at in empty else tuple(self.classes_[row.astype(bool)].tolist()) for at, row in enumerate(given)]

    def answers(self, X: Any) -> list[dict[str, Any]]:
        """Per text `predicted_labels` and every label's probability, as columns for a file.

        Both are None for a text that is missing or empty.
        """
        queries = self._queries(X)
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
        return self.predictor_.margins(self._queries_with_text(X), progress)

    @classmethod
    def _parameters_of(cls, predictor: MultiLabelPredictor) -> dict[str, Any]:
        return {"task": predictor.task, "selection": predictor.inference.builder.selection}

    def _take(self, found: Artifact) -> None:
        self.classes_ = np.array(self.predictor_.task.labels)

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


def _indicator(y: Any, task: Task) -> npt.NDArray[np.bool_]:
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


def _labels_of(task: Task, labels: Sequence[str] | None, y: Any) -> Task:
    """The task with the labels that are told apart: those given, its own, or those that occur."""
    if labels is not None:
        return task.with_labels(labels)
    if task.labels:
        return task
    if isinstance(y, np.ndarray) and y.ndim == 2:
        raise SupportError(f"The task {task.name} has no labels of its own to name the columns. Give labels=[…].")
    return task.with_labels(sorted({label_name(label) for given in y for label in given}))
