"""Values of rows: one conversion for all writers, and numbers as people write them, read by the column.

A row may hold whatever a reader gave or Python code put there: dates, decimals, bytes, numpy scalars, pandas' marks of
a missing value. `typed_value` takes the wrappings off and keeps the type, for formats that have types; `json_value`
and `text_of` are for those that have not. A date is the same text in all of them.

People write numbers as `2,5`, `1.199,00`, `1 299,50`, `¥1,299.00`, `12 %`, `3万`. One cell does not tell whether
`1,234` is a thousand or one and a bit; its column mostly does. So a column is read by one rule, the mark before its
decimals, on which all of its cells agree. A column that can be read both ways is refused.
"""

from __future__ import annotations

import datetime
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from fewshot_llm.errors import DataFileError

__all__ = [
    "DecimalMark",
    "NumberColumn",
    "as_number",
    "distinct",
    "is_missing",
    "is_number",
    "json_line",
    "json_text",
    "json_value",
    "number_column",
    "same_value",
    "shared_length",
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


DecimalMark: TypeAlias = Literal[".", ","]
"""What stands before the decimals."""

_MARKS: tuple[DecimalMark, DecimalMark] = (".", ",")
_SAID = {".": "a decimal point", ",": "a decimal comma"}
_ALIKE = {"−": "-", "–": "-", "’": "'", "ʼ": "'", "￥": "¥", "￡": "£", "萬": "万", "億": "亿"}
_TIMES = {"": 0, "万": 4, "亿": 8}
_CURRENCIES = {
    name.casefold(): names[0]
    for names in (
        ("CNY", "¥", "元", "圆", "块", "RMB", "CN¥"),
        ("JPY", "円", "JP¥"),
        ("USD", "$", "US$"),
        ("EUR", "€"),
        ("GBP", "£"),
        ("HKD", "HK$"),
        ("TWD", "NT$"),
        ("SGD", "S$"),
        ("BRL", "R$"),
        ("KRW", "₩"),
        ("INR", "₹"),
        ("RUB", "₽"),
        ("TRY", "₺"),
        ("THB", "฿"),
        ("PLN", "zł"),
        ("kr", "SEK", "NOK", "DKK"),
        *(("CHF",), ("AUD",), ("CAD",)),
    )
    for name in names
}
_CURRENCY = "|".join(re.escape(name) for name in sorted(_CURRENCIES, key=len, reverse=True))
_CELL = re.compile(
    rf"(?P<sign>[+-]?) ?(?P<before>{_CURRENCY})? ?(?P<inner>[+-]?)"
    r"(?P<figures>[0-9.,](?:[0-9.,' ]*[0-9.,])?)(?P<power>e[+-]?[0-9]{1,3})?"
    rf" ?(?P<times>[万亿]?) ?(?:(?P<after>{_CURRENCY})|(?P<percent>%))?"
)
# Groups of three, and of two before the last three, as in India; the first has no zero in front.
_GROUPED = re.compile(r"[1-9][0-9]{0,2}([.,' ])[0-9]{3}(?:\1[0-9]{3})*|[1-9][0-9]?(,)(?:[0-9]{2},)+[0-9]{3}")


@dataclass(frozen=True)
class NumberColumn:
    """How the numbers of one column are read.

    Attributes:
        name: of the column, for messages.
        mark: what stands before its decimals; `None` where no cell told.
        currency: of its amounts; `None` where no cell names one.
    """

    name: str
    mark: DecimalMark | None = None
    currency: str | None = field(default=None, compare=False)

    def read(self, value: Any) -> float | None:
        """A cell as a finite number; `None` where it is none. Truth values are no numbers.

        Raises:
            DataFileError: the cell is written by another rule, or can be read both ways and no rule is known.

        >>> NumberColumn("price", ",").read("1.199,00")
        1199.0
        """
        readings, currency = _readings(value)
        if not readings:
            return None
        if self.currency and currency and currency != self.currency:
            raise DataFileError(
                f"The column {self.name!r} is in {self.currency}, and {value!r} is in {currency}. Convert it first."
            )
        if self.mark is None:
            if len(set(readings.values())) > 1:
                raise _ambiguous(self.name, value)
            return next(iter(readings.values()))
        if self.mark not in readings:
            other = next(mark for mark in _MARKS if mark != self.mark)
            raise DataFileError(
                f"The column {self.name!r} writes numbers with {_SAID[self.mark]}, and {value!r} has {_SAID[other]}. "
                "Write all of them in one way."
            )
        return readings[self.mark]


def number_column(name: str, cells: Iterable[Any], mark: DecimalMark | None = None) -> NumberColumn:
    """Find how a column writes its numbers. Cells that are no numbers, and numbers that are no text, tell nothing.

    Args:
        name: of the column, for messages.
        cells: all of them.
        mark: what stands before the decimals, where the user says so.

    Raises:
        DataFileError: two cells contradict each other, or the whole column can be read both ways.

    >>> number_column("basket", ["19,90", "1.199,00"]).mark
    ','
    """
    told: dict[DecimalMark, tuple[int, Any]] = {}
    money: dict[str, tuple[int, Any]] = {}
    unsure: Any = None
    for row, cell in enumerate(cells, start=1):
        readings, currency = _readings(cell)
        if len(readings) == 1:
            told.setdefault(next(iter(readings)), (row, cell))
        elif len(set(readings.values())) > 1 and unsure is None:
            unsure = cell
        if currency:
            money.setdefault(currency, (row, cell))
    if len(money) > 1:
        (row, cell), (other_row, other) = list(money.values())[:2]
        raise DataFileError(
            f"The column {name!r} mixes currencies: {cell!r} in row {row}, {other!r} in row {other_row}. Convert them "
            "to one."
        )
    if len(told) > 1:
        (row, cell), (other_row, other) = told["."], told[","]
        raise DataFileError(
            f"The column {name!r} writes numbers in two ways: {cell!r} in row {row} has a decimal point, {other!r} in "
            f"row {other_row} a decimal comma. Write all of them in one way."
        )
    found = next(iter(told), None)
    if mark is not None and found not in (None, mark):
        row, cell = told[found]
        raise DataFileError(
            f"The column {name!r} was said to have {_SAID[mark]}, and {cell!r} in row {row} has {_SAID[str(found)]}. "
            "Mend it, or say the other."
        )
    if unsure is not None and found is None and mark is None:
        raise _ambiguous(name, unsure)
    return NumberColumn(name, mark or found, next(iter(money), None))


def is_number(value: Any) -> bool:
    """Whether a cell is a number, in whatever way it is written.

    >>> is_number("1 299,50"), is_number("May")
    (True, False)
    """
    return bool(_readings(value)[0])


def as_number(value: Any) -> float | None:
    """One cell by itself as a finite number; `None` where it is none.

    Raises:
        DataFileError: it can be read both ways; only its column can tell.

    >>> as_number("1,250.5"), as_number("2,5"), as_number("May")
    (1250.5, 2.5, None)
    """
    return NumberColumn("").read(value)


def _ambiguous(name: str, cell: Any) -> DataFileError:
    by_mark = _readings(cell)[0]
    where = f"in the column {name!r} " if name else ""
    return DataFileError(
        f"{cell!r} {where}can be read as {by_mark['.']:.15g} or as {by_mark[',']:.15g}, and no other cell tells which. "
        "Say what stands before the decimals (--decimal . or --decimal , on the command line, decimal= in Python), or "
        "write one number so that it is plain, such as 1234.00."
    )


def _readings(value: Any) -> tuple[dict[DecimalMark, float], str | None]:
    """What a cell means under each rule that can read it, and its currency. A number that is no text fits both."""
    value = typed_value(value)
    if isinstance(value, str):
        return _of_text(value)
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return {}, None
    try:
        number = float(value)
    except OverflowError:
        return {}, None
    return (dict.fromkeys(_MARKS, number) if math.isfinite(number) else {}), None


def _of_text(text: str) -> tuple[dict[DecimalMark, float], str | None]:
    found = _CELL.fullmatch("".join(map(_plain, text.strip())).casefold())
    if found is None or (found["sign"] and found["inner"]) or (found["before"] and found["after"]):
        return {}, None
    sign = "-" if "-" in (found["sign"], found["inner"]) else ""
    scale = _TIMES[found["times"]] - (2 if found["percent"] else 0)
    readings = {}
    for mark in _MARKS:
        figures = _figures(found["figures"], mark)
        if figures is not None:
            number = float(Decimal(sign + figures + (found["power"] or "")).scaleb(scale))
            if math.isfinite(number):
                readings[mark] = number
    currency = found["before"] or found["after"]
    return readings, _CURRENCIES[currency] if currency and readings else None


def _plain(character: str) -> str:
    """One way of writing for what is the same to a reader: full-width forms, kinds of blanks, digits of any script."""
    if character.isspace():
        return " "
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.decimal(character))
    if "！" <= character <= "～":
        return chr(ord(character) - 0xFEE0)
    return _ALIKE.get(character, character)


def _figures(figures: str, mark: DecimalMark) -> str | None:
    """Digits, and a point before the decimals; `None` where they cannot be read so."""
    whole, _, part = figures.partition(mark)
    if not (whole or part) or (part and not part.isdecimal()):
        return None
    if whole and not whole.isdecimal():
        grouped = _GROUPED.fullmatch(whole)
        if grouped is None or mark in whole:
            return None
    return f"{re.sub('[^0-9]', '', whole) or '0'}.{part or '0'}"


def shared_length(one: Sequence[object], other: Sequence[object]) -> int:
    """How many items, from the first on, are the same: texts, bytes, token ids.

    Not `os.path.commonprefix`, which Python 3.15 deprecates.

    >>> shared_length("good", "gone")
    2
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
