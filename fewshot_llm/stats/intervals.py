"""How sure a figure is: intervals for one figure, tests for two.

Answers are a table [draws, rows]: a draw is one support set (or seed), a row one test row. What an interval is about
depends on the number of draws, and it says so (`Interval.estimand`):

- one to four draws: these support sets, on new rows of the same kind (`rows`);
- five draws or more: new support sets too (`rows and draws`).

Rows are the unit that is drawn at random: the answers of several draws to one row are one observation, their mean. No
interval has zero width, for rows that agree say little about the rows that were not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv
from scipy.stats import binomtest, t

from fewshot_llm.types import FloatArray

__all__ = [
    "NEW_DRAWS_FROM",
    "Estimand",
    "Interval",
    "PairedComparison",
    "balanced_share_interval",
    "bootstrap",
    "difference_interval",
    "estimand",
    "mcnemar",
    "mean_bounds",
    "mean_interval",
    "paired_bootstrap",
    "proportion",
    "rows_needed",
    "share_bounds",
    "share_interval",
]

NEW_DRAWS_FROM = 5
"""So many draws tell how much draws differ; fewer do not."""
PSEUDO_ROWS = 2
"""Of a mean or a difference: so many further rows as far above it, and as many as far below."""
MOST_SKEW = 2.0
"""The part of an interval that is due to draws grows at most so many times for skewness."""

Estimand: TypeAlias = Literal["rows", "rows and draws"]
"""What a figure estimates: the same support sets on new rows, or new support sets as well."""

IntArray: TypeAlias = npt.NDArray[np.int64]
Bounds: TypeAlias = tuple[FloatArray, FloatArray, FloatArray]
"""Values, lower and upper bounds, shape […] each."""


@dataclass(frozen=True)
class Interval:
    """A figure and the bounds it lies between at `level`.

    Attributes:
        value: the figure.
        low: lower bound.
        high: upper bound.
        level: in this share of all samples the bounds hold what is estimated.
        estimand: what is estimated.
    """

    value: float
    low: float
    high: float
    level: float = 0.95
    estimand: Estimand = "rows"

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class PairedComparison:
    """Two sets of answers to the same rows.

    Attributes:
        difference: mean of the second minus mean of the first, with its interval.
        p_value: two-sided; the chance of a difference this large if the two were equally good.
        first_only: rows that only the first got right.
        second_only: rows that only the second got right.
    """

    difference: Interval
    p_value: float
    first_only: int
    second_only: int


def estimand(draws: int) -> Estimand:
    """What so many draws can speak of.

    >>> estimand(4), estimand(5)
    ('rows', 'rows and draws')
    """
    return "rows and draws" if draws >= NEW_DRAWS_FROM else "rows"


def proportion(successes: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval of a proportion (Clopper and Pearson 1934): it holds the truth in at least `level` of samples.

    Wilson's score interval is narrower, but near 0 % and 100 % it holds the truth in as few as 84 % of samples.

    Args:
        successes: rows that were right.
        n: rows in all; with none the interval is [0, 1] and the value NaN.
        level: the interval's level.

    Raises:
        ValueError: more successes than rows, or fewer than none.

    >>> print(proportion(4, 4))
    1.000 [0.398, 1.000]
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0…n; got {successes} of {n}")
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0, level)
    found = binomtest(successes, n).proportion_ci(level, method="exact")
    return Interval(successes / n, float(found.low), float(found.high), level)


def rows_needed(accuracy: float, target: float, level: float = 0.95, most: int = 100_000) -> int | None:
    """Test rows from which `proportion` would tell an accuracy from a target, were it to stay what it is.

    Args:
        accuracy: share of rows that is right.
        target: the share it is compared with.
        level: the interval's level.
        most: None is returned where more rows than these would be needed.

    >>> rows_needed(1.0, 0.9), rows_needed(0.9, 0.9)
    (36, None)
    """

    def tells(rows: int) -> bool:
        low, high = _exact(accuracy, rows, level)
        return bool(low >= target if accuracy > target else high < target)

    if accuracy == target or not tells(most):
        return None
    few, many = 0, most
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if tells(middle) else (middle, many)
    return many


def share_interval(values: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Interval of a share: the mean of values between 0 and 1, for instance 1.0 where an answer is right.

    The exact interval of a proportion for an effective number of rows, as surveys do it for clustered samples (Korn and
    Graubard 1998, Survey Methodology 24:193): a row is a cluster of answers. Draws that err on the same rows make it
    the number of rows, draws that err independently up to rows × draws. Two further rows, one right and one wrong in
    every draw, go into that estimate (not into the value), so that few errors do not pass for independent ones. With
    one draw of 0 and 1 it is `proportion`.

    From five draws on, the draws' own variation is added (square root of the sum of squares): Student's t of the
    draws' means, longer on the side on which they are skewed.

    Args:
        values: shape [rows], or [draws, rows]; each between 0 and 1.
        level: the interval's level.

    >>> print(share_interval([[1, 1, 1, 0], [1, 1, 1, 1]]))
    0.875 [0.356, 0.999]
    """
    table = _table(values)
    if table.size == 0:
        return Interval(float("nan"), 0.0, 1.0, level, estimand(len(table)))
    return _interval(share_bounds(table, level), level, len(table))


def share_bounds(values: FloatArray, level: float = 0.95) -> Bounds:
    """`share_interval` of many tables at once: values and bounds, shape […].

    Args:
        values: shape […, draws, rows]; each between 0 and 1.
        level: the intervals' level.
    """
    value = values.mean(axis=(-2, -1))
    low, high = _exact(value, _effective_rows(values), level)
    return _with_draws((value, low, high), values.mean(axis=-1), value, 1 - value, level, (0.0, 1.0))


def balanced_share_interval(values: npt.ArrayLike, classes: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Interval of the unweighted mean of the classes' shares (balanced accuracy).

    Each class has its `share_interval`; the distances to the bounds are combined by the root of the sum of squares
    (MOVER, Zou and Donner 2008). From five draws on, the draws' variation is added as there.

    Args:
        values: shape [rows], or [draws, rows]; each between 0 and 1.
        classes: class of each row, shape [rows].
        level: the interval's level.
    """
    table = _table(values)
    if table.size == 0:
        return Interval(float("nan"), 0.0, 1.0, level, estimand(len(table)))
    parts = [table[:, np.asarray(classes) == one] for one in np.unique(np.asarray(classes))]
    means = np.array([part.mean() for part in parts])
    bounds = np.array([_exact(part.mean(), _effective_rows(part), level) for part in parts])
    below, above = np.sqrt(((bounds - means[:, np.newaxis]) ** 2).sum(axis=0)) / len(parts)
    value, by_draw = means.mean(), np.stack([part.mean(axis=1) for part in parts]).mean(axis=0)
    found = _with_draws((value, value - below, value + above), by_draw, value, 1 - value, level, (0.0, 1.0))
    return _interval(found, level, len(table))


def mean_interval(
    values: npt.ArrayLike,
    *,
    reach: float,
    least: float = -np.inf,
    most: float = np.inf,
    level: float = 0.95,
) -> Interval:
    """Interval of a mean of figures without the limits of a share: log losses, absolute errors, differences.

    Student's t of the rows' means, to whose variance four further rows are added, two `reach` above the mean and two
    below: so few rows that agree do not make a certainty, and many rows outweigh them. From five draws on, the draws'
    variation is added as in `share_interval`. Heavy tails that the rows do not show are not covered.

    Args:
        values: shape [rows], or [draws, rows].
        reach: how far one further row may well lie from the mean, in the figure's unit: 1 for a difference of shares.
        least: the figure's smallest possible value.
        most: its largest.
        level: the interval's level.

    >>> print(mean_interval([0.2, 0.2, 0.2, 0.2], reach=0.7, least=0))
    0.200 [0.000, 1.028]
    """
    table = _table(values)
    draws = len(table)
    if table.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"), level, estimand(draws))
    return _interval(mean_bounds(table, reach=reach, least=least, most=most, level=level), level, draws)


def mean_bounds(
    values: FloatArray, *, reach: float, least: float = -np.inf, most: float = np.inf, level: float = 0.95
) -> Bounds:
    """`mean_interval` of many tables at once: values and bounds, shape […].

    Args:
        values: shape […, draws, rows].
        reach: see there.
        least: the figure's smallest possible value.
        most: its largest.
        level: the intervals' level.
    """
    rows, value = values.shape[-1], values.mean(axis=(-2, -1))
    squares = ((values.mean(axis=-2) - value[..., np.newaxis]) ** 2).sum(axis=-1) + 2 * PSEUDO_ROWS * reach**2
    half = float(t.ppf(0.5 + level / 2, rows - 1 + 2 * PSEUDO_ROWS)) * np.sqrt(squares) / rows
    gains = np.maximum(values, 0.0).mean(axis=(-2, -1))
    bounds = (value, value - half, value + half)
    return _with_draws(bounds, values.mean(axis=-1), gains, gains - value, level, (least, most))


def difference_interval(values: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Interval of a mean difference of two shares on the same rows, by `mean_interval` with a reach of 1.

    Args:
        values: the second side's answers minus the first's, each between −1 and 1; shape [rows], or [draws, rows].
        level: the interval's level.

    >>> print(difference_interval(np.zeros(100)))
    0.000 [-0.040, 0.040]
    """
    return mean_interval(values, reach=1.0, least=-1.0, most=1.0, level=level)


def bootstrap(
    statistic: Callable[[IntArray], float],
    n: int,
    *,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
    effective: float | None = None,
) -> Interval:
    """Percentile bootstrap over rows of a figure between 0 and 1 that is no mean: macro-F1, AUC, calibration error.

    Resamples of rows that agree all give the same figure; so the interval holds, besides the resamples' percentiles,
    the exact interval of a proportion of this value among `effective` rows.

    Args:
        statistic: the figure for a selection of rows, given as positions (with repeats), shape [n].
        n: rows in all.
        seed: of the resampling.
        draws: how many resamples. One that has no figure (NaN, for instance AUC of a single class) is left
            out.
        level: the interval's level.
        effective: how many rows the figure rests on, for instance those of the smaller class; all by default.
    """
    value = statistic(np.arange(n))
    if n == 0 or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"), level)
    generator = np.random.default_rng(seed)
    figures = np.array([statistic(generator.integers(0, n, n)) for _ in range(draws)])
    found = _percentiles(value, figures, level)
    low, high = map(float, _exact(value, n if effective is None else effective, level))
    # fmin and fmax pass over bounds that are NaN: no resample may have had a figure.
    return Interval(value, float(np.fmin(low, found.low)), float(np.fmax(high, found.high)), level)


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike, level: float = 0.95) -> PairedComparison:
    """McNemar's exact test: of the rows that only one side got right, are there too many on one side?

    Args:
        first: whether each row was right, shape [rows].
        second: the same rows by the other way.
        level: of the difference's interval (`difference_interval`).

    >>> mcnemar([True, False, False, False], [True, True, True, True]).p_value
    0.25
    """
    a, b = np.asarray(first, dtype=np.bool_), np.asarray(second, dtype=np.bool_)
    _same_rows(a, b)
    first_only, second_only = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = first_only + second_only
    p_value = float(binomtest(second_only, discordant, 0.5).pvalue) if discordant else 1.0
    difference = difference_interval(b.astype(np.float64) - a, level)
    return PairedComparison(difference, p_value, first_only, second_only)


def paired_bootstrap(
    first: npt.ArrayLike, second: npt.ArrayLike, *, seed: int, draws: int = 2000, level: float = 0.95
) -> PairedComparison:
    """Paired bootstrap of the difference of two means over the same rows: the ladder's rule of one standard error.

    It decides; it is no interval for people: it has no width where all rows differ alike (`mean_interval` has).

    Args:
        first: a figure for each row, for instance its Brier score or whether it was right; shape [rows].
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
        return PairedComparison(Interval(float("nan"), float("nan"), float("nan"), level), 1.0, 0, 0)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws) / n
    figures = weights @ difference
    tail = min(float((figures <= 0).mean()), float((figures >= 0).mean()))
    p_value = min(1.0, max(2 * tail, 2 / draws))
    counts = int((difference < 0).sum()), int((difference > 0).sum())
    return PairedComparison(_percentiles(float(difference.mean()), figures, level), p_value, *counts)


def _table(values: npt.ArrayLike) -> FloatArray:
    """Shape [draws, rows]."""
    table = np.asarray(values, dtype=np.float64)
    return table[np.newaxis] if table.ndim == 1 else table


def _interval(bounds: Bounds, level: float, draws: int) -> Interval:
    value, low, high = map(float, bounds)
    return Interval(value, low, high, level, estimand(draws))


def _effective_rows(values: FloatArray) -> FloatArray:
    """Independent answers that would tell as much about a share, from rows to rows × draws; see `share_interval`."""
    draws, rows = values.shape[-2:]
    answers = values.mean(axis=-2)
    share = (answers.sum(axis=-1) + 1) / (rows + 2)
    squares = ((answers - share[..., np.newaxis]) ** 2).sum(axis=-1) + share**2 + (1 - share) ** 2
    effective: FloatArray = rows * np.clip(share * (1 - share) * (rows + 2) / squares, 1, draws)
    return effective


def _exact(share: npt.ArrayLike, rows: npt.ArrayLike, level: float) -> tuple[FloatArray, FloatArray]:
    """Clopper and Pearson's bounds, for numbers of rows that need not be whole."""
    share, tail, tiny = np.asarray(share, dtype=np.float64), 0.5 - level / 2, 1e-9
    right, wrong = share * rows, (1 - share) * rows
    low = np.where(right > tiny, betaincinv(np.maximum(right, tiny), wrong + 1, tail), 0.0)
    high = np.where(wrong > tiny, betaincinv(right + 1, np.maximum(wrong, tiny), 1 - tail), 1.0)
    return np.minimum(low, share), np.maximum(high, share)


def _with_draws(
    bounds: Bounds,
    figures: FloatArray,
    gains: FloatArray,
    losses: FloatArray,
    level: float,
    limits: tuple[float, float],
) -> Bounds:
    """Bounds for these draws within the limits, made ones for new draws too where there are enough of them.

    Args:
        bounds: value and bounds for new rows, shape […].
        figures: of each draw, shape […, draws].
        gains: what raises the figure, shape […]: right answers of a share, gains of a difference.
        losses: what lowers it.
        level: of the intervals.
        limits: of the figure.
    """
    value, low, high = bounds
    draws = figures.shape[-1]
    if draws >= NEW_DRAWS_FROM:
        half = float(t.ppf(0.5 + level / 2, draws - 1)) * figures.std(axis=-1, ddof=1) / np.sqrt(draws)
        low = value - np.hypot(value - low, half * _skewness(half, losses))
        high = value + np.hypot(high - value, half * _skewness(half, gains))
    return value, np.maximum(low, limits[0]), np.minimum(high, limits[1])


def _skewness(half: FloatArray, amount: FloatArray) -> FloatArray:
    """How much longer a side is than Student's t makes it: as on the logarithm of a small amount (errors, gains)."""
    relative = np.clip(half / np.maximum(amount, 1e-12), 1e-9, 10.0)
    longer: FloatArray = np.minimum(np.expm1(relative) / relative, MOST_SKEW)
    return longer


def _same_rows(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> None:
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"both sides must list the same rows; got shapes {first.shape} and {second.shape}")


def _percentiles(value: float, figures: FloatArray, level: float) -> Interval:
    figures = figures[np.isfinite(figures)]
    if len(figures) == 0:
        return Interval(value, float("nan"), float("nan"), level)
    low, high = np.quantile(figures, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(value, float(low), float(high), level)
