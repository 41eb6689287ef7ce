"""`Example`: one row, as a template sees it, and which rows can be labelled."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from fewshot_llm.files.formats import RowProblem
from fewshot_llm.files.values import typed_value

__all__ = ["Example", "as_text", "label_name", "query_of", "readable_text"]

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad\u3164\u2800"))
"""Characters that print nothing and yet are neither spaces nor control characters."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Example:
    r"""The fields of one row, and its label where it has one.

    Attributes:
        fields: the inputs by name, in reading order. Read-only.
        label: the label; `None` for a text that is to be labelled.

    >>> Example.of("很好").fields["text"]
    '很好'
    >>> Example({"title": "Great", "text": "Would buy again"}, "positive").text
    'Great\nWould buy again'
    """

    fields: Mapping[str, Any]
    label: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))

    @classmethod
    def of(cls, value: str | Mapping[str, Any] | Example) -> Example:
        """A query from a text, from its fields, or as it is.

        Strings are made readable (see `readable_text`), so that every query can be tokenised.
        """
        if isinstance(value, Example):
            return value
        fields = {"text": value} if isinstance(value, str) else value
        return cls({name: readable_text(part) if isinstance(part, str) else part for name, part in fields.items()})

    @property
    def text(self) -> str:
        """All fields as one text, a line each; empty ones left out."""
        return "\n".join(str(value) for value in self.fields.values() if value not in (None, ""))

    @property
    def canonical(self) -> str:
        """Fields and label as one line of JSON: equal for equal examples, whatever the order of the fields."""
        return json.dumps([dict(self.fields), self.label], ensure_ascii=False, sort_keys=True, default=repr)

    def __hash__(self) -> int:
        return hash(self.canonical)

    def __reduce__(self) -> tuple[type[Example], tuple[dict[str, Any], str | None]]:
        # A mapping proxy cannot be pickled.
        return Example, (dict(self.fields), self.label)


def readable_text(text: str) -> str:
    r"""The text without what no tokenizer accepts: NUL is removed, bytes that were not UTF-8 become U+FFFD.

    >>> readable_text("go\0od \udcff")
    'good �'
    """
    return _SURROGATE.sub("\ufffd", text.replace("\0", ""))


def as_text(value: Any) -> str:
    """A cell of a table as text: empty for a missing one, `3` for 3.0 (gaps turn whole numbers into floats).

    >>> as_text(3.0), as_text(None), as_text(float("nan"))
    ('3', '', '')
    """
    if isinstance(value, str):
        return value
    value = typed_value(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def query_of(
    values: Mapping[str, Any], columns: Mapping[str, str], optional: Collection[str] = ()
) -> dict[str, str] | RowProblem:
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
            return RowProblem("missing-column", f"The row has no column {column!r}; it has: {have}.")
        value = values[column]
        if value is None:
            return RowProblem("null-text", f"Column {column!r} is null.")
        if not isinstance(value, str):
            kind = type(value).__name__
            return RowProblem("not-a-string", f"Column {column!r} holds a {kind}, not text.", repr(value)[:200])
        if "\x00" in value:
            return RowProblem("control-characters", f"Column {column!r} holds NUL characters.", value[:200])
        visible = "".join(c for c in value.translate(INVISIBLE) if c.isprintable() and not c.isspace())
        if not visible and name not in optional:
            return RowProblem("empty-text", f"Column {column!r} holds nothing that can be read.", value[:200])
        texts[name] = value
    return texts


def label_name(value: Any) -> str:
    """A label as the task writes it: `3` for 3 and 3.0, otherwise the value's text without white space around it."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()
