"""`InputRow` and `Problem`: one row of a batch job's input, and why it could not be used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from fewshot_llm.files import Problem

__all__ = ["InputRow", "Problem", "query_of"]

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\u3164\u2800"))
"""Characters that print nothing and yet are neither spaces nor control characters."""


@dataclass(frozen=True)
class InputRow:
    """One row of the input, readable or not.

    Attributes:
        position: 0-based position over the whole input; every row has one, also those in error.
        source: name of the file (or data set) it came from.
        line: 1-based line of a text file, row number in a Parquet file or a data set.
        values: its columns; empty where the row could not be read.
        problem: why it cannot be labelled, if that is known already.
    """

    position: int
    source: str
    line: int
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: Problem | None = None


def query_of(
    values: Mapping[str, Any], columns: Mapping[str, str], optional: Collection[str] = ()
) -> dict[str, str] | Problem:
    """The texts that a prompt is built from, or what is wrong with them.

    Args:
        values: the row's columns.
        columns: for each field of the task, the input column that holds it.
        optional: fields that may be missing, null or empty.

    >>> query_of({"review": "很好"}, {"text": "review"})
    {'text': '很好'}
    >>> query_of({"review": " "}, {"text": "review"}).kind
    'empty-text'
    """
    texts: dict[str, str] = {}
    for name, column in columns.items():
        if name in optional and values.get(column) in (None, ""):
            continue
        if column not in values:
            have = ", ".join(values) or "none"
            return Problem("missing-column", f"The row has no column {column!r}; it has: {have}.")
        value = values[column]
        if value is None:
            return Problem("null-text", f"Column {column!r} is null.")
        if not isinstance(value, str):
            kind = type(value).__name__
            return Problem("not-a-string", f"Column {column!r} holds a {kind}, not text.", repr(value)[:200])
        if "\x00" in value:
            return Problem("control-characters", f"Column {column!r} holds NUL characters.", value[:200])
        visible = "".join(c for c in value.translate(INVISIBLE) if c.isprintable() and not c.isspace())
        if not visible and name not in optional:
            return Problem("empty-text", f"Column {column!r} holds nothing that can be read.", value[:200])
        texts[name] = value
    return texts
