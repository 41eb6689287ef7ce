"""From the scores of a grid's words to a number: an expected value, and a correction that labelled rows ask for.

The expected value under a small model's probabilities ranks texts well and is squeezed or shifted: the correction
maps it to the targets' scale. It is fitted on rows that their own prompts did not show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import softmax
from sklearn.isotonic import isotonic_regression

from fewshot_llm.scoring.base import FloatArray

__all__ = ["Correction", "CorrectionMethod", "Curve", "Line", "Linear", "Monotone", "Steps", "expected"]

TEMPERATURES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Candidates for what scores are divided by. Above 1 the lesser words have more of a say."""


def expected(scores: FloatArray, values: FloatArray, temperature: float = 1.0) -> FloatArray:
    r"""\(\sum_j v_j \operatorname{softmax}_j(s / T)\), shape [rows].

    Args:
        scores: label scores in nats, shape [rows, values].
        values: the grid's numbers on their scale.
        temperature: T.

    >>> expected(np.zeros((1, 3)), np.array([1.0, 2.0, 3.0])).tolist()
    [2.0]
    """
    result: FloatArray = softmax(scores / temperature, axis=1) @ values
    return result


class Curve(Protocol):
    """A map of expected values, ascending or flat."""

    def __call__(self, x: FloatArray) -> FloatArray:
        """Corrected values of the same shape."""
        ...


@dataclass(frozen=True)
class Line:
    """intercept + slope · x."""

    intercept: float
    slope: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """See `Curve`."""
        return self.intercept + self.slope * x


@dataclass(frozen=True)
class Steps:
    """Straight between knots, flat beyond the first and the last."""

    knots: tuple[float, ...]
    heights: tuple[float, ...]

    def __call__(self, x: FloatArray) -> FloatArray:
        """See `Curve`."""
        return np.interp(x, self.knots, self.heights)


@dataclass(frozen=True)
class Correction:
    """A fitted way to read scores.

    Attributes:
        temperature: what scores are divided by before the expected value is taken.
        curve: what is done to the expected value.
    """

    temperature: float
    curve: Curve

    def read(self, scores: FloatArray, values: FloatArray) -> FloatArray:
        """Corrected numbers on the grid's scale, shape [rows], of scores with shape [rows, values]."""
        return self.curve(expected(scores, values, self.temperature))


class CorrectionMethod(Protocol):
    """How a regressor gets its correction."""

    def fit(self, scores: FloatArray, values: FloatArray, targets: FloatArray) -> Correction:
        """Fit on rows scored out of fold.

        Args:
            scores: label scores in nats, shape [rows, values].
            values: the grid's numbers on their scale.
            targets: on the same scale, shape [rows].
        """
        ...


@dataclass(frozen=True)
class Linear:
    """A straight line by ridge regression; the temperature with the smallest leave-one-out error. The default.

    The penalty on the slope is one row's worth, and a slope is never negative: scores that speak against the targets
    are noise, and the mean is the better answer.
    """

    def fit(self, scores: FloatArray, values: FloatArray, targets: FloatArray) -> Correction:
        """See `CorrectionMethod.fit`."""
        fits = [(temperature, *_ridge(expected(scores, values, temperature), targets)) for temperature in TEMPERATURES]
        temperature, line, _ = min(fits, key=lambda fit: fit[2])
        return Correction(temperature, line)


@dataclass(frozen=True)
class Monotone:
    """Isotonic regression (pool adjacent violators) of the expected value, straight between its steps.

    For relations that bend. It wants more rows than a line does. Its temperature is the one `Linear` chooses.
    """

    def fit(self, scores: FloatArray, values: FloatArray, targets: FloatArray) -> Correction:
        """See `CorrectionMethod.fit`."""
        temperature = Linear().fit(scores, values, targets).temperature
        x = expected(scores, values, temperature)
        knots, where = np.unique(x, return_inverse=True)
        weights = np.bincount(where).astype(np.float64)
        heights = isotonic_regression(np.bincount(where, weights=targets) / weights, sample_weight=weights)
        return Correction(temperature, Steps(tuple(knots.tolist()), tuple(heights.tolist())))


def _ridge(x: FloatArray, y: FloatArray) -> tuple[Line, float]:
    """The line and its mean squared leave-one-out error (exact for a penalty that does not change with the row)."""
    centred = x - x.mean()
    penalty = float(centred @ centred) / len(x)
    below = float(centred @ centred) + penalty
    slope = max(0.0, float(centred @ (y - y.mean())) / below) if below > 0 else 0.0
    line = Line(float(y.mean() - slope * x.mean()), slope)
    leverage = 1 / len(x) + (centred**2 / below if slope > 0 else 0.0)
    residuals = (y - line(x)) / np.maximum(1 - leverage, 1e-9)
    return line, float((residuals**2).mean()) if len(x) > 1 else 0.0
