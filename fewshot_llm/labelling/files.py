"""Rows of a file in, the same rows with labels or other answers out; and labelled rows to fit on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fewshot_llm.data import Example, queries, readable_rows
from fewshot_llm.data.columns import LABEL, resolve_columns
from fewshot_llm.data.example import as_text
from fewshot_llm.data.language import normalise_text
from fewshot_llm.data.task import Task
from fewshot_llm.errors import SupportError
from fewshot_llm.files import columns_of, json_list, result_names
from fewshot_llm.files.values import is_missing

if TYPE_CHECKING:
    from fewshot_llm.predictors.base import Prediction

__all__ = [
    "RESULT_COLUMNS",
    "SELECTIVE_COLUMNS",
    "TOP_COLUMNS",
    "LabelledRows",
    "add_answers",
    "add_columns",
    "answered",
    "as_labels",
    "label_rows",
]

RESULT_COLUMNS = ("predicted_label", "probability", "probabilities")
"""What labelling adds to a row: the best label, its probability, and every label's probability."""

SELECTIVE_COLUMNS = (*RESULT_COLUMNS, "reason")
"""The same under a policy: a label that may not be used is None, and the reason says why."""

TOP_COLUMNS = (*RESULT_COLUMNS, "rest")
"""The same for a search for the top labels: at most how much probability lies on all others."""


@dataclass(frozen=True)
class LabelledRows:
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
        """Why rows under a policy got no label → how many, the most frequent first."""
        reasons = (row[self.columns["reason"]] for row in self.rows) if "reason" in self.columns else ()
        return dict(Counter(reason for reason in reasons if reason is not None).most_common())


def label_rows(
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    predict: Callable[[Sequence[Example]], Sequence[Prediction]],
    columns: Mapping[str, str] | None = None,
    results: Sequence[str] = RESULT_COLUMNS,
    unusable: Collection[int] = (),
) -> LabelledRows:
    """Label the rows of a file.

    A row without text keeps its place and gets no label, so that one empty review does not cost the others.

    Args:
        rows: one mapping of columns per row.
        task: says which fields a text has.
        predict: gives one prediction per text, for example `FewShotClassifier.predictions`.
        columns: field → column, where a column is not named as the task's field.
        results: the columns to add: `RESULT_COLUMNS`, `SELECTIVE_COLUMNS` or `TOP_COLUMNS`.
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
    return LabelledRows(labelled, tuple(without_text), written)


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


def answered(
    rows: Sequence[Mapping[str, Any]], task: Task, columns: Mapping[str, str] | None = None
) -> tuple[list[Example], list[Any]]:
    """Texts and their answers, as they stand in the label column.

    Args:
        rows: labelled rows.
        task: its fields.
        columns: field (or `label`) → column, where a column is named otherwise.

    Raises:
        SupportError: no rows, or no column for a field or the label.
    """
    if not rows:
        raise SupportError("There are no labelled rows. Give a few.")
    names = columns_of(rows)
    where = resolve_columns(names, task, columns)
    told = {field: column for field, column in where.names.items() if field in task.fields}
    return queries(rows, task, told), [row.get(where.names[LABEL]) for row in rows]


def as_labels(value: Any, known: Collection[str] = ()) -> list[str]:
    """The labels in a cell: a list, a JSON list, or names between `|`, `;` or `、`; none in an empty cell.

    Args:
        value: the cell.
        known: the labels that there are. A comma is between labels only where all its parts are among them, and a
            label that holds one of these signs is not cut.

    >>> as_labels("price|quality"), as_labels('["price"]'), as_labels(None)
    (['price', 'quality'], ['price'], [])
    >>> as_labels("price, quality", ["price", "quality"]), as_labels("slow, late")
    (['price', 'quality'], ['slow, late'])
    """
    if is_missing(value):
        return []
    if not isinstance(value, str):
        return _named(value)
    if (listed := json_list(value)) is not None:
        return _named(listed)
    names = {normalise_text(name) for name in known}
    for separator in (None, r"\|", "[;；]", "、", "[,，]", r"[|;；、]", r"[|;；、,，]"):
        parts = _named([value] if separator is None else re.split(separator, value))
        if parts and all(normalise_text(part) in names for part in parts):
            return parts
    return _named(re.split(r"[|;；、]", value))


def _named(parts: Iterable[Any]) -> list[str]:
    return [name for part in parts if (name := as_text(part).strip())]


def add_answers(
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    answer: Callable[[Sequence[Example]], Sequence[Mapping[str, Any]]],
    names: Sequence[str],
    columns: Mapping[str, str] | None = None,
    unusable: Collection[int] = (),
) -> list[dict[str, Any]]:
    """The rows, each with new columns (see `add_columns`). A row without text keeps its place and gets None.

    Args:
        rows: of a file.
        task: its fields.
        answer: gives for some texts a mapping of the new columns each.
        names: of the new columns.
        columns: field → column, where a column is named otherwise.
        unusable: positions of rows that could not be read; they get None too.

    Raises:
        SupportError: no column for a field.
    """
    examples = queries(rows, task, columns) if rows else []
    readable = [position for position in readable_rows(rows, task, columns) if position not in unusable]
    found = dict(zip(readable, answer([examples[position] for position in readable]), strict=True)) if readable else {}
    return add_columns(rows, [found.get(position, dict.fromkeys(names)) for position in range(len(rows))], names)


def add_columns(
    rows: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows with the answers' columns behind their own, under names that `result_names` chooses.

    >>> add_columns([{"reply": "mine"}], [{"reply": "ours"}], ("reply",))
    [{'reply': 'mine', 'reply_2': 'ours'}]
    """
    written = result_names(columns_of(rows), names)
    return [
        {**row, **{written[name]: value for name, value in answer.items()}}
        for row, answer in zip(rows, answers, strict=True)
    ]
