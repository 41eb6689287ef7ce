"""`InputRow`: one row of a batch job's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fewshot_llm.files import Problem

__all__ = ["InputRow", "Problem"]


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
