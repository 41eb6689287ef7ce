"""Rows of a file with the answers that a regressor, a tagger or a ranker gives them, and labelled rows to fit one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fewshot_llm.errors import SupportError
from fewshot_llm.files import columns_of, normalise_text, result_names
from fewshot_llm.support import Example, queries
from fewshot_llm.support.columns import LABEL, resolve_columns
from fewshot_llm.task import Task

__all__ = ["add_answers", "add_columns", "answered", "as_labels"]


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
    names = dict.fromkeys(name for row in rows for name in row)
    where = resolve_columns(names, task.fields, task.optional_fields, columns)
    told = {field: column for field, column in where.names.items() if field in task.fields}
    return queries(rows, task, told), [row.get(where.names[LABEL]) for row in rows]


def as_labels(value: Any) -> list[str]:
    """The labels in a cell: a list, or names between `|`; none in an empty cell.

    >>> as_labels("price|quality"), as_labels(["price"]), as_labels(None)
    (['price', 'quality'], ['price'], [])
    """
    if value is None or value != value:
        return []
    parts = value.split("|") if isinstance(value, str) else value
    return [name for part in parts if (name := str(part).strip())]


def add_answers(
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    answer: Callable[[Sequence[Example]], Sequence[Mapping[str, Any]]],
    names: Sequence[str],
    columns: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The rows, each with new columns (see `add_columns`). A row without text keeps its place and gets None.

    Args:
        rows: of a file.
        task: its fields.
        answer: gives for some texts a mapping of the new columns each.
        names: of the new columns.
        columns: field → column, where a column is named otherwise.

    Raises:
        SupportError: no column for a field.
    """
    examples = queries(rows, task, columns) if rows else []
    readable = [position for position, example in enumerate(examples) if normalise_text(example.text)]
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
