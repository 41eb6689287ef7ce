"""CV+ and jackknife+: the bounds by hand, the promise by simulation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fewshot_llm.errors import CalibrationError
from fewshot_llm.stats import CrossValidationPlus, rows_for_level


def test_bounds_by_hand() -> None:
    """Of 9 rows and level 0.8, the second smallest of μ − R and the second largest of μ + R."""
    plus = CrossValidationPlus(np.array([0, 0, 0, 1, 1, 1, 2, 2, 2]), np.arange(1.0, 10.0))
    low, high = plus.bounds(np.array([[0.0], [10.0], [20.0]]), level=0.8)
    around = np.repeat([0.0, 10.0, 20.0], 3)
    assert low.tolist() == [sorted(around - plus.residuals)[1]]
    assert high.tolist() == [sorted(around + plus.residuals)[-2]]


def test_promise_holds_over_many_draws() -> None:
    """A line fitted to 20 noisy rows, leave-one-out: the interval of level 0.9 holds the truth about that often."""
    generator = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        x = generator.normal(size=21)
        y = 2 * x + generator.standard_t(3, size=21)
        fits = [np.polyfit(np.delete(x[:20], i), np.delete(y[:20], i), 1) for i in range(20)]
        residuals = np.array([abs(y[i] - np.polyval(fit, x[i])) for i, fit in enumerate(fits)])
        predictions = np.array([[np.polyval(fit, x[20])] for fit in fits])
        low, high = CrossValidationPlus(np.arange(20), residuals).bounds(predictions, 0.9)
        inside.append(low[0] <= y[20] <= high[0])
    assert 0.86 <= np.mean(inside) <= 0.98


@given(st.integers(9, 60), st.integers(0, 100))
def test_higher_level_is_wider_and_the_middle_is_inside(rows: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    plus = CrossValidationPlus(np.zeros(rows, dtype=np.int64), np.abs(generator.normal(size=rows)))
    bounds = [plus.bounds(np.zeros((1, 3)), level) for level in (0.5, 0.8, 0.9)]
    assert all((low <= 0).all() and (high >= 0).all() for low, high in bounds)
    for (low, high), (lower, higher) in pairwise(bounds):
        assert (lower <= low).all()
        assert (higher >= high).all()


@pytest.mark.parametrize(("level", "rows"), [(0.9, 9), (0.95, 19), (0.5, 1), (0.99, 99)])
def test_too_few_rows_are_told_how_many_are_needed(level: float, rows: int) -> None:
    assert rows_for_level(level) == rows
    CrossValidationPlus(np.zeros(rows, dtype=np.int64), np.ones(rows)).bounds(np.zeros((1, 1)), level)
    with pytest.raises(CalibrationError, match=f"at least {rows} labelled rows"):
        CrossValidationPlus(np.zeros(rows - 1, dtype=np.int64), np.ones(rows - 1)).bounds(np.zeros((1, 1)), level)


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0])
def test_level_is_a_share(level: float) -> None:
    with pytest.raises(CalibrationError, match="between 0 and 1"):
        CrossValidationPlus(np.zeros(9, dtype=np.int64), np.ones(9)).bounds(np.zeros((1, 1)), level)
