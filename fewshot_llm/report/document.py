"""What a report consists of, in one language: every renderer shows the same blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fewshot_llm.explaining import Explanation

__all__ = [
    "Block",
    "Cell",
    "Chart",
    "Code",
    "Column",
    "Document",
    "Explained",
    "Hero",
    "Hint",
    "Paragraph",
    "Quote",
    "Section",
    "Side",
    "Table",
    "spans",
]


@dataclass(frozen=True)
class Quote:
    """Somebody else's words: shown as they are, trusted in nothing."""

    text: str


Cell: TypeAlias = str | Quote


def spans(text: str) -> list[tuple[str, bool]]:
    """A paragraph's parts, and whether each is a command; a backtick without its fellow is a backtick.

    >>> spans("Run `x` now")
    [('Run ', False), ('x', True), (' now', False)]
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = ["`".join(parts[-2:])]
    return [(part, bool(place % 2)) for place, part in enumerate(parts) if part]


@dataclass(frozen=True)
class Column:
    """A column's title, and whether it holds numbers."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; between backticks stand commands."""

    text: str


@dataclass(frozen=True)
class Hint:
    """What is missing, and how to get it; between backticks stand commands."""

    text: str


@dataclass(frozen=True)
class Code:
    """Text that is shown letter by letter."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes:
        columns: one per cell.
        rows: the cells.
        caption: what it shows; empty where the section's title says so.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""

    @property
    def quotes(self) -> bool:
        """Whether a cell holds somebody's words."""
        return any(isinstance(cell, Quote) for row in self.rows for cell in row)


@dataclass(frozen=True)
class Chart:
    """A picture of a table.

    Attributes:
        title: what it shows.
        spec: Vega-Lite.
        table: the same numbers.
        wide: whether it needs the page's whole width.
        beside: whether the table stands beside it; else it is folded away below.
    """

    title: str
    spec: dict[str, Any] = field(repr=False)
    table: Table
    wide: bool = False
    beside: bool = False


@dataclass(frozen=True)
class Side:
    """Charts and tables that stand side by side where there is room."""

    items: tuple[Chart | Table, ...]


@dataclass(frozen=True)
class Explained:
    """A text with the words that moved the decision about it."""

    explanation: Explanation


@dataclass(frozen=True)
class Hero:
    """The one figure that matters.

    Attributes:
        value: the figure.
        interval: how sure it is.
        verdict: what follows.
        good: whether that is good news; None where it is neither.
        chart: the figure on its scale.
    """

    value: str
    interval: str
    verdict: str
    good: bool | None
    chart: Chart


Block: TypeAlias = Paragraph | Hint | Code | Table | Side | Hero | Explained


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        key: its name in links.
        title: its heading.
        blocks: what stands in it.
    """

    key: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        title: its heading.
        subtitle: what was measured, in one line.
        language: `zh` or `en`.
        sections: in order.
        footer: how it was made.
    """

    title: str
    subtitle: str
    language: str
    sections: Sequence[Section]
    footer: str
