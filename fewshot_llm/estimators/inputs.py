"""What scikit-learn hands over (lists, arrays, frames) becomes examples and label names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fewshot_llm.errors import SupportError
from fewshot_llm.support import Example, SupportSet
from fewshot_llm.task import Task

__all__ = ["as_examples", "as_rows", "as_support", "label_name", "sorted_classes"]


def as_rows(X: Any, task: Task) -> list[dict[str, Any]]:
    """One mapping of fields per row.

    Args:
        X: texts, mappings of fields or `Example`s in any sequence; a pandas Series of texts or a frame whose
            columns are named as the task's fields; an array of shape [rows], or [rows, columns] with the
            task's fields (or only its main text) in order.
        task: names the fields; a plain text is its last one.

    Raises:
        SupportError: X is a single text, or a row is no text and no mapping.
    """
    if isinstance(X, str | bytes | Mapping | Example):
        raise SupportError(f"Expected a sequence of texts, got one {type(X).__name__}. Put it in a list.")
    if hasattr(X, "columns") and hasattr(X, "to_dict"):
        X = X.to_dict("records") if len(X.columns) > 1 or X.columns[0] in task.fields else X.iloc[:, 0]
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    if isinstance(X, np.ndarray):
        X = _unstacked(X, task)
    if not isinstance(X, Iterable):
        raise SupportError(f"Expected a sequence of texts, got {type(X).__name__}.")
    return [_row(value, position, task.fields[-1]) for position, value in enumerate(X)]


def as_examples(X: Any, task: Task) -> list[Example]:
    """Queries for `as_rows`' rows; a missing value becomes an empty text."""
    return [
        Example.of({name: "" if _missing(value) else value for name, value in row.items()}) for row in as_rows(X, task)
    ]


def as_support(X: Any, y: Sequence[Any], task: Task) -> SupportSet:
    """The cleaned support set of labelled rows; what was left out is in its `report`.

    Raises:
        SupportError: X and y differ in length, nothing usable is left, or fewer than two classes are.
    """
    rows = as_rows(X, task)
    if len(rows) != len(y):
        raise SupportError(f"There are {len(rows)} texts but {len(y)} labels. Give one label for each text.")
    labelled = [{**row, "label": label_name(value)} for row, value in zip(rows, y, strict=True)]
    told = {name: name for name in (*task.fields, "label") if any(name in row for row in labelled)}
    return SupportSet.from_rows(labelled, task, told)


def label_name(value: Any) -> str:
    """A label as the task writes it: `3` for 3 and 3.0, otherwise the value's text."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


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
    if isinstance(value, str) or _missing(value):
        return {main: value}
    raise SupportError(
        f"Row {position} is a {type(value).__name__}, expected a text or a mapping of fields such as {{{main!r}: '…'}}."
    )


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ == "NAType"
