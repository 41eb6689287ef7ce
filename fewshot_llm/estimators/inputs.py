"""What scikit-learn hands over (lists, arrays, frames) becomes examples and label names."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fewshot_llm.errors import FewshotWarning, SupportError
from fewshot_llm.files.values import is_missing
from fewshot_llm.language import normalise_text
from fewshot_llm.support import Example, SupportSet
from fewshot_llm.support.tables import column_values, is_table, table_rows
from fewshot_llm.task import Task

__all__ = [
    "as_examples",
    "as_rows",
    "as_support",
    "label_name",
    "labelled_rows",
    "sorted_classes",
    "warn_of_losses",
    "warn_of_rows",
    "without_text",
]


def as_rows(X: Any, task: Task) -> list[dict[str, Any]]:
    """One mapping of fields per row.

    Args:
        X: texts, mappings of fields or `Example`s in any sequence; a Series of texts or a frame of pandas or polars
            (a table of pyarrow, a `Dataset`) whose columns are named as the task's fields; an array of shape [rows],
            or [rows, columns] with the
            task's fields (or only its main text) in order.
        task: names the fields; a plain text is its last one.

    Raises:
        SupportError: X is a single text, or a row is no text and no mapping.
    """
    if isinstance(X, str | bytes | Mapping | Example):
        raise SupportError(f"Expected a sequence of texts, got one {type(X).__name__}. Put it in a list.")
    if is_table(X):
        X = table_rows(X)
        if X and len(X[0]) == 1 and next(iter(X[0])) not in task.fields:
            X = [value for row in X for value in row.values()]
    if isinstance(X, np.ndarray):
        X = _unstacked(X, task)
    if not isinstance(X, Iterable):
        raise SupportError(f"Expected a sequence of texts, got {type(X).__name__}.")
    X = column_values(X)
    return [_row(value, position, task.fields[-1]) for position, value in enumerate(X)]


def as_examples(X: Any, task: Task) -> list[Example]:
    """Queries for `as_rows`' rows; a missing value becomes an empty text."""
    return [
        Example.of({name: "" if is_missing(value) else value for name, value in row.items()})
        for row in as_rows(X, task)
    ]


def as_support(X: Any, y: Sequence[Any], task: Task) -> SupportSet:
    """The cleaned support set of labelled rows; what was left out is in its `report`.

    Raises:
        SupportError: X and y differ in length, nothing usable is left, or fewer than two classes are.
    """
    rows = as_rows(X, task)
    y = column_values(y)
    if len(rows) != len(y):
        raise SupportError(f"There are {len(rows)} texts but {len(y)} labels. Give one label for each text.")
    labelled = [
        {**row, "label": None if is_missing(value) else label_name(value)} for row, value in zip(rows, y, strict=True)
    ]
    told = {name: name for name in (*task.fields, "label") if any(name in row for row in labelled)}
    return SupportSet.from_rows(labelled, task, told)


def label_name(value: Any) -> str:
    """A label as the task writes it: `3` for 3 and 3.0, otherwise the value's text without white space around it."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def labelled_rows(y: Any) -> tuple[list[Any], list[int]]:
    """The values of a target, and the positions of those that are there.

    Raises:
        SupportError: none is.
    """
    values = column_values(y)
    there = [at for at, value in enumerate(values) if not is_missing(value) and str(value).strip()]
    if values and not there:
        raise SupportError(
            f"All {len(values)} labels are missing (None, NaN or empty). Give a label to at least one text of each of "
            "two classes."
        )
    return values, there


def warn_of_rows(rows: Sequence[int], english: str, stacklevel: int = 3) -> None:
    """A Python warning that names rows by their positions from 0; nothing where there are none.

    Args:
        rows: positions.
        english: what is with them, `{n}` for how many.
        stacklevel: as for `warnings.warn`.
    """
    if rows:
        shown = ", ".join(map(str, rows[:20])) + (", …" if len(rows) > 20 else "")
        warnings.warn(
            f"{english.format(n=len(rows))} Positions from 0: {shown}.", FewshotWarning, stacklevel=stacklevel + 1
        )


def warn_of_losses(support: SupportSet, stacklevel: int = 3) -> None:
    """Say which rows of a fit were left out, and why; duplicates are left to the report."""
    for finding in support.report.findings:
        if finding.rows and (finding.severity == "error" or finding.code in ("missing-label", "empty-text")):
            warn_of_rows(finding.rows, finding.english.replace("{", "{{").replace("}", "}}"), stacklevel + 1)


def without_text(examples: Sequence[Example]) -> list[int]:
    """Positions of queries that have no text."""
    return [at for at, example in enumerate(examples) if not normalise_text(example.text)]


def sorted_classes(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Class values in the order that scikit-learn's scorers assume.

    Args:
        values: one per class, of the type they had in `y`. Where types differ (a label that `y` does not have is
            known by its name only), all are taken by name.
    """
    if len({type(value) for value in values}) > 1:
        values = [label_name(value) for value in values]
    return np.unique(np.array(values))


def _unstacked(X: npt.NDArray[Any], task: Task) -> list[Any]:
    if X.ndim == 0 or X.ndim > 2 or X.dtype.kind not in "OUST":
        raise SupportError(
            f"Expected texts, got an array of {X.dtype} with shape {X.shape}. This classifier reads text, not features."
        )
    if X.ndim == 1:
        return list(X)
    columns = X.shape[1]
    if columns not in (1, len(task.fields)):
        wanted = f"one column or {len(task.fields)} ({', '.join(task.fields)})"
        raise SupportError(f"Expected {wanted}, got an array with {columns} columns. Give a frame with named columns.")
    names = task.fields[-1:] if columns == 1 else task.fields
    return [dict(zip(names, row, strict=True)) for row in X.tolist()]


def _row(value: Any, position: int, main: str) -> dict[str, Any]:
    if isinstance(value, Example):
        return dict(value.fields)
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, str) or is_missing(value):
        return {main: value}
    raise SupportError(
        f"Row {position} is a {type(value).__name__}, expected a text or a mapping of fields such as {{{main!r}: '…'}}."
    )
