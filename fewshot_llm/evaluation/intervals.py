"""How sure a figure is: intervals for one figure, tests for two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from fewshot_llm.scoring.base import FloatArray

__all__ = [
    "Comparison",
    "Interval",
    "bootstrap",
    "crossed_bootstrap",
    "mcnemar",
    "paired_bootstrap",
    "wilson",
]


@dataclass(frozen=True)
class Interval:
    """A figure and the bounds it lies between at `level`."""

    value: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Comparison:
    """Two sets of answers to the same rows.

    Attributes:
        difference: mean of the second minus mean of the first, with its interval where the test gives one.
        p_value: two-sided; the chance of a difference this large if the two were equally good.
        first_only: rows that only the first got right.
        second_only: rows that only the second got right.
    """

    difference: Interval
    p_value: float
    first_only: int
    second_only: int


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion (Wilson 1927); right also for few rows and for 0 % or 100 %.

    Args:
        successes: rows that were right.
        n: rows in all; with none the interval is [0, 1] and the value NaN.
        level: the interval's level.

    >>> print(wilson(8, 10))
    0.800 [0.490, 0.943]
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0…n; got {successes} of {n}")
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0, level)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    # At 0 % and 100 % the bound equals the value; rounding must not push it past.
    return Interval(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)), level)


def bootstrap(
    statistic: Callable[[npt.NDArray[np.int64]], float],
    n: int,
    *,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap over rows.

    Args:
        statistic: the figure for a selection of rows, given as positions (with repeats), shape [n].
        n: rows in all.
        seed: of the resampling.
        draws: how many resamples. One that has no figure (NaN, for instance AUC of a single class) is left
            out.
        level: the interval's level.
    """
    value = statistic(np.arange(n))
    if n == 0:
        return Interval(value, float("nan"), float("nan"), level)
    generator = np.random.default_rng(seed)
    figures = np.array([statistic(generator.integers(0, n, n)) for _ in range(draws)])
    return _percentiles(value, figures, level)


def crossed_bootstrap(values: FloatArray, *, seed: int, draws: int = 2000, level: float = 0.95) -> Interval:
    """Interval of a mean over seeds × rows, for new seeds and new rows alike.

    Seeds (draws of the support set) and rows (the test set) are both resampled with replacement,
    independently, and the mean is taken over their crossing: the pigeonhole bootstrap (Owen 2007), which errs
    on the wide side. With one seed it is the ordinary bootstrap over rows. Two or three seeds show little of
    how much seeds differ: the interval is then still too narrow in that direction.

    Args:
        values: one figure per seed and row, for instance 1.0 where the answer was right; shape [seeds, rows].
        seed: of the resampling.
        draws: how many resamples.
        level: the interval's level.
    """
    values = np.asarray(values, dtype=np.float64)
    seeds, rows = values.shape
    if values.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"), level)
    generator = np.random.default_rng(seed)
    seed_weights = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    row_weights = generator.multinomial(rows, np.full(rows, 1 / rows), size=draws) / rows
    figures = np.einsum("ds,sr,dr->d", seed_weights, values, row_weights, optimize=True)
    return _percentiles(float(values.mean()), figures, level)


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95) -> Comparison:
    """McNemar's exact test: of the rows that only one side got right, are there too many on one side?

    Args:
        first: whether each row was right, shape [rows].
        second: the same rows by the other way.
        level: of the difference's interval (Wald, from the discordant rows).

    >>> mcnemar([True, False, False, False], [True, True, True, True]).p_value
    0.25
    """
    a, b = np.asarray(first, dtype=np.bool_), np.asarray(second, dtype=np.bool_)
    _same_rows(a, b)
    first_only, second_only = int((a & ~b).sum()), int((b & ~a).sum())
    discordant, n = first_only + second_only, len(a)
    p_value = float(binomtest(second_only, discordant, 0.5).pvalue) if discordant else 1.0
    difference = (second_only - first_only) / n if n else float("nan")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    half = z * float(np.sqrt(max(discordant - n * difference**2, 0.0))) / n if n else float("nan")
    return Comparison(
        Interval(difference, difference - half, difference + half, level), p_value, first_only, second_only
    )


def paired_bootstrap(
    first: npt.ArrayLike, second: npt.ArrayLike, *, seed: int, draws: int = 2000, level: float = 0.95
) -> Comparison:
    """Paired bootstrap of the difference of two means over the same rows.

    Args:
        first: a figure for each row, for instance its log loss or whether it was right; shape [rows].
        second: the same rows by the other way.
        seed: of the resampling.
        draws: how many resamples.
        level: of the interval.

    Returns:
        The difference with its percentile interval; `p_value` is twice the smaller share of resamples at or
        beyond zero, at most 1 and at least 2 / draws. `first_only` and `second_only` count the rows on which
        each is higher.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    _same_rows(a, b)
    difference = b - a
    n = len(difference)
    if n == 0:
        return Comparison(Interval(float("nan"), float("nan"), float("nan"), level), 1.0, 0, 0)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws) / n
    figures = weights @ difference
    tail = min(float((figures <= 0).mean()), float((figures >= 0).mean()))
    p_value = min(1.0, max(2 * tail, 2 / draws))
    counts = int((difference < 0).sum()), int((difference > 0).sum())
    return Comparison(_percentiles(float(difference.mean()), figures, level), p_value, *counts)


def _same_rows(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> None:
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"both sides must list the same rows; got shapes {first.shape} and {second.shape}")


def _percentiles(value: float, figures: FloatArray, level: float) -> Interval:
    figures = figures[np.isfinite(figures)]
    if len(figures) == 0:
        return Interval(value, float("nan"), float("nan"), level)
    low, high = np.quantile(figures, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(value, float(low), float(high), level)
