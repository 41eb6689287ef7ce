"""Rows of fields become texts: names, units and missing values spoken, numbers binned by the support set's quantiles.

A small model cannot tell whether 0.014 is much. How a number compares with those of the labelled rows is said in
words beside it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from fewshot_llm.data.example import as_text
from fewshot_llm.data.language import readable_label
from fewshot_llm.errors import DataFileError, SupportError, nearest
from fewshot_llm.files import columns_of
from fewshot_llm.files.values import DecimalMark, NumberColumn, is_number, number_column
from fewshot_llm.types import FloatArray, Language

__all__ = ["Field", "TableVerbalizer", "missing"]

_LEVELS: dict[Language, dict[int, tuple[str, ...]]] = {
    "en": {
        2: ("low", "high"),
        3: ("low", "medium", "high"),
        4: ("very low", "low", "high", "very high"),
        5: ("very low", "low", "medium", "high", "very high"),
    },
    "zh": {
        2: ("低", "高"),
        3: ("低", "中等", "高"),
        4: ("很低", "低", "高", "很高"),
        5: ("很低", "低", "中等", "高", "很高"),
    },
}
_MOST_BINS = max(_LEVELS["en"])
_UNKNOWN: dict[Language, str] = {"en": "unknown", "zh": "未知"}
_UNSEEN: dict[Language, str] = {"en": "not seen before", "zh": "未见过"}
_PUNCTUATION: dict[Language, tuple[str, str, str, str]] = {
    "en": (": ", "; ", " (", ")"),
    "zh": ("：", "；", "（", "）"),
}


@dataclass(frozen=True)
class Field:
    """How one column is spoken.

    Attributes:
        column: its name in the rows.
        name: what it is called in the text.
        unit: said after its numbers.
        edges: upper edges of all bins of numbers but the last; empty where numbers are all alike.
        categories: the values seen in the support set; empty for a column of numbers.
        mark: what stands before the decimals of its numbers; `None` where the support rows do not tell.
        currency: of its amounts, where the support rows name one.
    """

    column: str
    name: str
    unit: str = ""
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    mark: DecimalMark | None = None
    currency: str | None = None

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return not self.categories

    def number(self, value: Any) -> float | None:
        """A cell as a number, by the rule of the support rows; `None` where it is none.

        Raises:
            DataFileError: the cell is written by another rule, or can be read both ways and no rule is known.
        """
        return NumberColumn(self.column, self.mark, self.currency).read(value)

    def say(self, value: Any, language: Language) -> str:
        """The value as words, without the field's name; a missing one is said to be unknown."""
        _, _, left, right = _PUNCTUATION[language]
        if missing(value):
            return _UNKNOWN[language]
        number = self.number(value) if self.numeric else None
        if number is None:
            text = as_text(value)
            return text if text in self.categories else f"{text}{left}{_UNSEEN[language]}{right}"
        unit = f" {self.unit}" if self.unit and language == "en" else self.unit
        said = f"{number:.4g}{unit}"
        if not self.edges:
            return said
        return f"{said}{left}{_LEVELS[language][len(self.edges) + 1][bisect_left(self.edges, number)]}{right}"


@dataclass(frozen=True)
class TableVerbalizer:
    """How a table's rows are spoken, learned from the support rows.

    Attributes:
        fields: in the order in which they are said.
        language: `en` or `zh`.

    Example:
        >>> facts = TableVerbalizer.fit([{"pages": 1, "month": "May"}, {"pages": 9, "month": "Nov"}], bins=2)
        >>> facts.say({"pages": 8, "month": None})
        'pages: 8 (high); month: unknown'
    """

    fields: tuple[Field, ...] = field(default=())
    language: Language = "en"

    @classmethod
    def fit(
        cls,
        rows: Sequence[Mapping[str, Any]],
        columns: Sequence[str] | None = None,
        *,
        language: Language = "en",
        names: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        codes: Sequence[str] = (),
        bins: int = 5,
        decimal: DecimalMark | None = None,
    ) -> Self:
        """Learn each column's kind, categories and quantiles.

        Args:
            rows: the support rows; their labels are not looked at unless `columns` names them.
            columns: which to say, in order; all by default.
            language: of the text.
            names: column → what to call it; by default its readable name.
            units: column → unit.
            codes: columns whose numbers are names (a region's number).
            bins: of equal count for numbers, 2 to 5; fewer where many values are equal.
            decimal: what stands before the decimals of numbers in texts; by default each column tells.

        Raises:
            SupportError: no rows, an unknown column, or bins out of range.
            DataFileError: a column's numbers are written in two ways, or can be read both ways.
        """
        present = columns_of(rows)
        columns = list(columns) if columns is not None else present
        if not rows or not columns:
            raise SupportError("There are no rows with fields to learn from. Give the labelled rows.")
        if not 2 <= bins <= _MOST_BINS:
            raise SupportError(f"bins is {bins}; expected 2 to {_MOST_BINS}, for which there are words.")
        for name in (*columns, *(names or ()), *(units or ()), *codes):
            if name not in present:
                raise SupportError(f"There is no column {name!r} in the support rows. {nearest(name, present)}")
        fields = []
        for column in columns:
            values = [row.get(column) for row in rows if not missing(row.get(column))]
            called = (names or {}).get(column) or readable_label(column)
            unit = (units or {}).get(column, "")
            if column in codes or not values or not all(map(is_number, values)):
                seen = tuple(sorted({as_text(value) for value in values})) or ("",)
                fields.append(Field(column, called, unit, categories=seen))
            else:
                rule = number_column(column, (row.get(column) for row in rows), decimal)
                numbers = [number for value in values if (number := rule.read(value)) is not None]
                edges = _edges(numbers, bins)
                fields.append(Field(column, called, unit, edges, mark=rule.mark, currency=rule.currency))
        return cls(tuple(fields), language)

    def settle(self, rows: Sequence[Mapping[str, Any]]) -> Self:
        """The same facts for these rows, whose numbers were all read once.

        A column whose decimal mark the support rows do not tell takes these rows' own.

        Raises:
            DataFileError: a number is written otherwise than the support rows' are; the message names its row. Or the
                column can be read both ways.

        Example:
            >>> fitted = TableVerbalizer.fit([{"price": "5"}, {"price": "9"}])
            >>> fitted.settle([{"price": "7,50"}]).fields[0].mark
            ','
        """
        fields = []
        for one in self.fields:
            if one.numeric and one.mark is None:
                rule = number_column(one.column, (row.get(one.column) for row in rows))
                one = replace(one, mark=rule.mark)
            for number, row in enumerate(rows if one.numeric else (), start=1):
                try:
                    one.number(row.get(one.column))
                except DataFileError as error:
                    raise DataFileError(f"Row {number}: {error}") from error
            fields.append(one)
        return replace(self, fields=tuple(fields))

    def say(self, row: Mapping[str, Any]) -> str:
        """One row as a text.

        Raises:
            SupportError: every field is missing.
            DataFileError: a number is written otherwise than the support rows' are.
        """
        if all(missing(row.get(field.column)) for field in self.fields):
            raise SupportError(
                "A row has none of the fields "
                f"{', '.join(field.column for field in self.fields)}: there is nothing to judge it by. Leave it out, "
                "or check that its columns are named as in the support rows."
            )
        colon, semicolon, _, _ = _PUNCTUATION[self.language]
        return semicolon.join(
            f"{field.name}{colon}{field.say(row.get(field.column), self.language)}" for field in self.fields
        )

    def matrix(self, rows: Sequence[Mapping[str, Any]]) -> FloatArray:
        """The same rows for estimators of tables, shape [rows, features].

        A number is a feature, NaN where it is missing; a category is one feature for each value seen.

        Raises:
            DataFileError: as for `settle`.
        """
        fields = self.settle(rows).fields
        return np.array([[value for field in fields for value in _features(field, row)] for row in rows])


def missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN, or nothing but white space."""
    return not as_text(value).strip()


def _features(field: Field, row: Mapping[str, Any]) -> list[float]:
    value = row.get(field.column)
    if field.numeric:
        number = field.number(value)
        return [math.nan if number is None else number]
    text = as_text(value)
    return [float(text == category) for category in field.categories]


def _edges(numbers: Sequence[float], bins: int) -> tuple[float, ...]:
    """Quantiles between bins; equal ones are one, and an edge with nothing above it is none."""
    quantiles = np.quantile(numbers, np.arange(1, bins) / bins)
    return tuple(float(edge) for edge in np.unique(quantiles) if edge < max(numbers))
