r"""What errors cost, and the decision that costs least.

A genuine buyer who is taken for a cheat costs a shop more than a cheat who is not noticed, or the other way round. With
costs \(C_{ij}\) of saying j of a row that is i, the decision is \(\arg\min_j \sum_i P(i) C_{ij}\) (Elkan, "The
foundations of cost-sensitive learning", 2001), or to leave the row to a person where that is cheaper still. For two
labels that is a threshold on the probability; a shift per label, fitted out of fold, moves it where the probabilities
are off.

    review = 0.2        # optional: what a person's look at a row costs

    [costs.normal]      # of rows that are normal
    spam = 1            # to say spam
    [costs.spam]
    normal = 5
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from fewshot_llm.errors import TaskError, nearest
from fewshot_llm.types import FloatArray, IntArray

__all__ = ["Costs", "fit_shift", "read_costs"]

SHIFTS = tuple(float(shift) for shift in np.arange(-3, 3.25, 0.25))
"""Tried for each label, nats."""

SWEEPS = 3
"""Rounds over the labels; the second seldom changes anything."""


@dataclass(frozen=True)
class Costs:
    """The costs of every pair of labels.

    Attributes:
        labels: in the order of the table's rows and columns.
        table: what it costs to say the column's label of a row that is the row's; zero on the diagonal.
        review: what a person's look costs; `None` where there is nobody to ask.
    """

    labels: tuple[str, ...]
    table: tuple[tuple[float, ...], ...]
    review: float | None = None

    @classmethod
    def of(cls, costs: Mapping[str, Any], labels: Sequence[str], review: Any = None) -> Costs:
        """From truth → said → cost.

        Raises:
            TaskError: a pair is missing, a cost is negative or no number, or a name is no label.

        >>> Costs.of({"normal": {"spam": 1}, "spam": {"normal": 5}}, ["normal", "spam"]).table
        ((0.0, 1.0), (5.0, 0.0))
        """
        for truth, row in costs.items():
            if not isinstance(row, Mapping):
                raise TaskError(f"The costs of {truth!r} are {row!r}; expected a cost for each label that may be said.")
            for name in (truth, *row):
                if name not in labels:
                    raise TaskError(f"The costs speak of {name!r}, which is not a label. {nearest(name, labels)}")
        missing = [(i, j) for i in labels for j in labels if i != j and j not in costs.get(i, {})]
        if missing:
            pairs = "; ".join(f"saying {said!r} of a row that is {truth!r}" for truth, said in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise TaskError(f"The costs say nothing of {pairs}{more}. Give a cost for every pair, 0 where it is none.")
        table = tuple(
            tuple(_cost(costs.get(i, {}).get(j, 0), f"saying {j!r} of a row that is {i!r}") for j in labels)
            for i in labels
        )
        for label, row in zip(labels, table, strict=True):
            if row[tuple(labels).index(label)]:
                raise TaskError(f"The costs make saying {label!r} of a row that is {label!r} dear; that is no error.")
        return cls(tuple(labels), table, None if review is None else _cost(review, "a review"))

    def expected(self, probabilities: FloatArray) -> FloatArray:
        """Expected cost of saying each label, shape [rows, labels], from probabilities of that shape."""
        result: FloatArray = np.asarray(probabilities) @ np.array(self.table)
        return result

    def decide(self, log_probabilities: FloatArray, shift: Sequence[float]) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """The cheapest label of each row, and whether a person's look is cheaper still.

        Args:
            log_probabilities: log P(label | text), nats, shape [rows, labels].
            shift: of `fit_shift`, nats, shape [labels].

        Returns:
            Positions of labels and truth values, both of shape [rows].
        """
        expected = self.expected(softmax(log_probabilities + np.asarray(shift), axis=1))
        best = expected.argmin(axis=1)
        # A tie is decided for the label: zero expected cost needs no review, even a free one.
        reviewed = expected.min(axis=1) > (math.inf if self.review is None else self.review)
        return best, reviewed


def read_costs(path: str | os.PathLike[str], labels: Sequence[str]) -> Costs:
    """The costs in a TOML file; see the module's text.

    Raises:
        TaskError: the file is no such TOML, or as in `Costs.of`.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"{os.fspath(path)} is not valid TOML in UTF-8: {error}.") from error
    for key in table:
        if key not in ("costs", "review"):
            raise TaskError(f"{os.fspath(path)} has an unknown key {key!r}. {nearest(key, ['costs', 'review'])}")
    try:
        return Costs.of(table.get("costs", {}), labels, table.get("review"))
    except TaskError as error:
        raise TaskError(f"{os.fspath(path)}: {error}") from error


def fit_shift(costs: Costs, log_probabilities: FloatArray, targets: IntArray) -> tuple[float, ...]:
    """Shifts of the labels' log-probabilities that make the decisions on these rows cheap.

    Minimises the rows' cost plus, for each label, shift² / 2 times the mean cost of an error: a shift of √2 nats has to
    save one error, so that a handful of rows moves nothing by chance. Coordinate descent from zero.

    Args:
        costs: of the errors.
        log_probabilities: of rows that the model has not seen, nats, shape [rows, labels].
        targets: their labels' positions, shape [rows].

    Returns:
        One shift per label, nats; zeros where nothing can be saved.
    """
    labels = len(costs.labels)
    table = np.array(costs.table)
    weight = table.sum() / max(1, labels * (labels - 1)) / 2
    shift = np.zeros(labels)

    def price(shift: FloatArray) -> float:
        said = costs.expected(softmax(log_probabilities + shift, axis=1)).argmin(axis=1)
        return float(table[targets, said].sum() + weight * (shift @ shift))

    for _ in range(SWEEPS):
        for label in range(labels):
            tried = [np.where(np.arange(labels) == label, step, shift) for step in sorted(SHIFTS, key=abs)]
            shift = min(tried, key=price)
    return tuple(shift.tolist())


def _cost(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise TaskError(f"The cost of {what} is {value!r}; expected a number of 0 or more.")
    return float(value)
