"""Rows of a file in, the same rows with a label out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fewshot_llm.files import columns_of, result_names
from fewshot_llm.support import Example, queries, readable_rows
from fewshot_llm.task import Task

if TYPE_CHECKING:
    from fewshot_llm.estimators.prediction import Prediction

__all__ = ["GUARDED_COLUMNS", "RESULT_COLUMNS", "TOP_COLUMNS", "Labelled", "label_rows"]

RESULT_COLUMNS = ("predicted_label", "probability", "probabilities")
"""What labelling adds to a row: the best label, its probability, and every label's probability."""

GUARDED_COLUMNS = (*RESULT_COLUMNS, "reason")
"""The same under a guard: a label that may not be used is None, and the reason says why."""

TOP_COLUMNS = (*RESULT_COLUMNS, "rest")
"""The same for a search for the top labels: at most how much probability lies on all others."""


@dataclass(frozen=True)
class Labelled:
    """Labelled rows.

    Attributes:
        rows: the rows as they came, in their order, each with the results.
        without_text: positions of rows that have no text; their result columns are None.
        columns: result → its column in the rows; another name where the input has a column of that name.
    """

    rows: tuple[dict[str, Any], ...]
    without_text: tuple[int, ...]
    columns: Mapping[str, str]

    @property
    def counts(self) -> dict[str, int]:
        """Label → how many rows got it, the most frequent first."""
        labels = (row[self.columns["predicted_label"]] for row in self.rows)
        return dict(Counter(label for label in labels if label is not None).most_common())

    @property
    def reasons(self) -> dict[str, int]:
        """Why rows under a guard got no label → how many, the most frequent first."""
        reasons = (row[self.columns["reason"]] for row in self.rows) if "reason" in self.columns else ()
        return dict(Counter(reason for reason in reasons if reason is not None).most_common())


def label_rows(
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    predict: Callable[[Sequence[Example]], Sequence[Prediction]],
    columns: Mapping[str, str] | None = None,
    results: Sequence[str] = RESULT_COLUMNS,
    unusable: Collection[int] = (),
) -> Labelled:
    """Label the rows of a file.

    A row without text keeps its place and gets no label, so that one empty review does not cost the others.

    Args:
        rows: one mapping of columns per row.
        task: says which fields a text has.
        predict: gives one prediction per text, for example `FewShotClassifier.predictions`.
        columns: field → column, where a column is not named as the task's field.
        results: the columns to add: `RESULT_COLUMNS`, `GUARDED_COLUMNS` or `TOP_COLUMNS`.
        unusable: positions of rows that could not be read; they get no label either.

    Raises:
        SupportError: no column for a field.
    """
    written = result_names(columns_of(rows), results)
    examples = queries(rows, task, columns) if rows else []
    readable = [position for position in readable_rows(rows, task, columns) if position not in unusable]
    predictions = dict(zip(readable, predict([examples[position] for position in readable]), strict=True))
    labelled = tuple({**row, **_result(predictions.get(position), written)} for position, row in enumerate(rows))
    without_text = (at for at in range(len(rows)) if at not in predictions and at not in unusable)
    return Labelled(labelled, tuple(without_text), written)


def _result(prediction: Prediction | None, written: Mapping[str, str]) -> dict[str, Any]:
    if prediction is None:
        return dict.fromkeys(written.values())
    values = {
        "predicted_label": None if prediction.abstained else prediction.label,
        "probability": prediction.probability,
        "probabilities": dict(prediction.probabilities),
        "reason": getattr(prediction, "reason", None),
        "rest": prediction.rest,
    }
    return {column: values[name] for name, column in written.items()}
