"""Values of rows as every output can hold them: one conversion for all writers.

A row may hold whatever a reader gave or Python code put there: dates, decimals, bytes, numpy scalars, pandas' marks of
a missing value. `typed_value` takes the wrappings off and keeps the type, for formats that have types; `json_value`
and `text_of` are for those that have not. A date is the same text in all of them.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

__all__ = [
    "distinct",
    "is_missing",
    "json_line",
    "json_text",
    "json_value",
    "same_value",
    "text_of",
    "typed_value",
    "utf8_text",
]

_SURROGATE = re.compile("[\ud800-\udfff]")
_TYPED = (Decimal, datetime.date, datetime.time, datetime.timedelta, bytes)


def typed_value(value: Any) -> Any:
    """The value without numpy's and pandas' wrappings; `None` for every mark of a missing value, NaN among them.

    Numbers, texts, truth values, dates, times, decimals and bytes keep their type, lists and mappings are made of such
    values, and everything else is text.

    >>> typed_value(float("nan")), typed_value((1, {2: "a"}))
    (None, (1, {'2': 'a'}))
    """
    if isinstance(value, bool | int | str):
        return value
    if is_missing(value):
        return None
    if isinstance(value, float):
        return float(value)
    if isinstance(value, _TYPED):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Mapping):
        return {str(key): typed_value(part) for key, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(typed_value, value), key=text_of)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _from_numpy(value)
    if isinstance(value, list):
        return [typed_value(part) for part in value]
    return tuple(map(typed_value, value)) if isinstance(value, tuple) else str(value)


def is_missing(value: Any) -> bool:
    """Whether a value marks a gap: `None`, NaN of any kind, `NaT`, pandas' `NA`. An empty text or list is none.

    >>> is_missing(float("nan")), is_missing(None), is_missing(""), is_missing([])
    (True, True, False, False)
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # pandas' own, without importing pandas
        return True
    if isinstance(value, str) or getattr(value, "shape", None):  # an array is not one value
        return False
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # what cannot be compared
        return False
    except ArithmeticError:  # Decimal's signalling NaN
        return True


def _from_numpy(value: Any) -> Any:
    if value.dtype.kind in "mM" and value.dtype.str.endswith("[ns]"):
        finer = value.astype(value.dtype.str.replace("[ns]", "[us]"))  # Python's own types end at microseconds
        value = finer if (finer == value).all() else value.astype(str)
    return typed_value(value.tolist())


def json_value(value: Any) -> Any:
    """The value as JSON can hold it; a number that is missing or infinite is `None`.

    >>> json_value({"day": datetime.date(2026, 5, 1), "stars": float("nan")})
    {'day': '2026-05-01', 'stars': None}
    """
    return _as_json(typed_value(value))


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(part) for part in value]
    if isinstance(value, float) and math.isinf(value):
        return None
    return str(value) if isinstance(value, _TYPED) else value


def json_text(value: Any) -> str:
    """The value as JSON, on one line."""
    return json.dumps(json_value(value), ensure_ascii=False, allow_nan=False)


def json_line(row: Mapping[str, Any]) -> bytes:
    """A row as one line of JSON, its line end included."""
    value = json_value(row)
    line = json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        return line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # A lone surrogate that came in as a JSON escape; give it back as one.
        return (json.dumps(value, allow_nan=False) + "\n").encode("ascii")


def text_of(value: Any) -> str:
    """The value as the text of a cell: empty where it is missing, JSON for lists and mappings.

    >>> text_of(None), text_of(Decimal("2.50")), text_of(["a"]), text_of(True)
    ('', '2.50', '["a"]', 'true')
    """
    value = typed_value(value)
    if value is None:
        return ""
    return json_text(value) if isinstance(value, bool | list | tuple | dict) else str(value)


def same_value(one: Any, other: Any) -> bool:
    """Whether a typed value is what another value means; a truth value is no number.

    >>> same_value([1, None], (1.0, float("nan"))), same_value(1, True)
    (True, False)
    """
    other = typed_value(other)
    if isinstance(one, dict):
        if not isinstance(other, dict) or one.keys() != other.keys():
            return False
        return all(same_value(part, other[key]) for key, part in one.items())
    if isinstance(one, list | tuple):
        return isinstance(other, list | tuple) and len(one) == len(other) and all(map(same_value, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def utf8_text(text: str) -> str:
    r"""The text, with half surrogates, which no UTF-8 holds, written as `\ud800`."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def distinct(names: Iterable[str]) -> list[str]:
    """The names, each once: one that is taken gets the first of `_2`, `_3`, … that is free.

    >>> distinct(["text", "text", "text_2"])
    ['text', 'text_3', 'text_2']
    """
    names = list(names)
    asked, used, kept = set(names), set[str](), list[str]()
    for name in names:
        free, number = name, 2
        while free in used or (free != name and free in asked):
            free, number = f"{name}_{number}", number + 1
        used.add(free)
        kept.append(free)
    return kept
