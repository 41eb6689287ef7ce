"""Formats of rows: which endings there are, what a row is, and why one cannot be used."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from fewshot_llm.files.values import distinct

__all__ = [
    "COMPRESSED",
    "DELIMITERS",
    "ENDINGS",
    "LONGEST_LINE",
    "Kind",
    "Note",
    "Reading",
    "RepeatedName",
    "Row",
    "RowProblem",
    "compression_of",
    "distinct_names",
    "json_list",
    "kind_of",
]

Row = dict[str, Any]
Kind: TypeAlias = Literal["jsonl", "json", "csv", "tsv", "parquet", "xlsx"]

ENDINGS: dict[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}
"""Endings of files of rows, read or written; those of text also with one of `COMPRESSED` behind."""

COMPRESSED = (".gz", ".zst")
BINARY = ("parquet", "xlsx")
DELIMITERS: dict[Kind, str] = {"csv": ",", "tsv": "\t"}
"""What an ending promises to stand between the cells."""

LONGEST_LINE = 16 << 20
"""Characters. A longer line is one bad row and is never held in memory whole; no quoted cell is longer."""


@dataclass(frozen=True)
class RowProblem:
    """Why a row has no label.

    Attributes:
        kind: a short fixed name, for counting: `empty-text`, `invalid-utf8`, …
        reason: one sentence for the person who has to repair the row.
        excerpt: the beginning of what was read, for finding the row again.
    """

    kind: str
    reason: str
    excerpt: str = ""


@dataclass(frozen=True)
class Note:
    """How a file was read, where that was not as its name promises.

    Attributes:
        code: a stable name for programs: `encoding`, `unquoted`, `delimiter`, `repeated-column`, `sheet`,
            `formulas`.
        english: one sentence.
        chinese: the same sentence.
    """

    code: str
    english: str
    chinese: str


class Reading(NamedTuple):
    """One row of a file.

    Attributes:
        line: 1-based line that the row begins in; row number in a Parquet file.
        values: its columns; what could be read of them where there is a problem.
        problem: why the row cannot be used.
    """

    line: int
    values: Row
    problem: RowProblem | None = None


class RepeatedName(str):
    """The name of a column whose header stands in the file more than once: the others are `name_2` and so on.

    Whoever needs that column cannot know which of them is meant.
    """

    __slots__ = ()


def distinct_names(names: Sequence[str]) -> list[str]:
    """The names of a file's columns as `distinct` gives them, the first of several marked as a `RepeatedName`.

    >>> distinct_names(["text", "text", "text_2"])
    ['text', 'text_3', 'text_2']
    """
    often = Counter(names)
    return [RepeatedName(name) if often[name] > 1 else name for name in distinct(names)]


def json_list(cell: str) -> list[Any] | None:
    """The list in a cell that holds one as JSON, or `None`.

    >>> json_list('["a", "b"]'), json_list("[sic]")
    (['a', 'b'], None)
    """
    if not cell.strip().startswith("["):
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def kind_of(path: Path) -> Kind | None:
    """What is in a file of rows by its ending, `None` for any other file.

    >>> kind_of(Path("reviews.jsonl.zst")), kind_of(Path("reviews.txt"))
    ('jsonl', None)
    """
    compression = compression_of(path)
    kind = ENDINGS.get((path.with_suffix("") if compression else path).suffix.lower())
    return None if kind in BINARY and compression else kind


def compression_of(path: Path) -> str:
    """The ending of a compressed file (`.gz` or `.zst`), empty for any other file."""
    ending = path.suffix.lower()
    return ending if ending in COMPRESSED else ""
