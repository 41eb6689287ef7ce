"""Which labels are weak, and what they are taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot_llm.evaluation.intervals import Interval, proportion

__all__ = ["ClassFigures", "Mixup", "class_figures", "mixups"]


@dataclass(frozen=True)
class ClassFigures:
    """One class.

    Attributes:
        label: its name.
        rows: test rows of it.
        found: the share of them that was given this label (recall).
        trusted: the share of the rows given this label that belong to it (precision); NaN where there are none.
    """

    label: str
    rows: int
    found: Interval
    trusted: Interval


@dataclass(frozen=True)
class Mixup:
    """Rows of one class that were given another's label."""

    label: str
    given: str
    rows: int


def class_figures(labels: Sequence[str], confusion: Sequence[Sequence[int]], level: float = 0.95) -> list[ClassFigures]:
    """Figures of each class that occurs in the test rows, the weakest first.

    >>> [one.label for one in class_figures(["a", "b"], [[3, 1], [2, 2]])]
    ['b', 'a']
    """
    table = np.array(confusion)
    found = [
        ClassFigures(
            label,
            int(table[position].sum()),
            proportion(int(table[position, position]), int(table[position].sum()), level),
            proportion(int(table[position, position]), int(table[:, position].sum()), level),
        )
        for position, label in enumerate(labels)
        if table[position].sum()
    ]
    return sorted(found, key=lambda one: one.found.value)


def mixups(labels: Sequence[str], confusion: Sequence[Sequence[int]], most: int = 10) -> list[Mixup]:
    """The commonest mistakes, at most so many kinds."""
    found = [
        Mixup(label, given, confusion[row][column])
        for row, label in enumerate(labels)
        for column, given in enumerate(labels)
        if row != column and confusion[row][column]
    ]
    return sorted(found, key=lambda one: -one.rows)[:most]
