"""Whether probabilities can be trusted: reliability before and after calibration, and accuracy by coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot_llm.evaluation.result import SEED, Run
from fewshot_llm.stats.calibration import Calibration
from fewshot_llm.stats.intervals import Interval, proportion
from fewshot_llm.stats.metrics import expected_calibration_error
from fewshot_llm.types import FloatArray, IntArray

__all__ = ["Bin", "Coverage", "Reliability", "coverage_at", "reliability", "risk_coverage", "uncalibrated"]

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Rows whose answer was given about the same probability.

    Attributes:
        low: smallest probability of the bin.
        high: largest.
        rows: how many rows.
        confidence: their mean probability.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: Interval


@dataclass(frozen=True)
class Reliability:
    """Probabilities against the share that is right.

    Attributes:
        bins: those that hold a row.
        error: expected calibration error.
    """

    bins: tuple[Bin, ...]
    error: Interval


@dataclass(frozen=True)
class Coverage:
    """What is gained by leaving unsure rows to a person.

    Attributes:
        threshold: rows whose probability is at least this are answered.
        coverage: their share of all rows.
        accuracy: the share of them that is right.
    """

    threshold: float
    coverage: float
    accuracy: Interval


def reliability(targets: IntArray, probabilities: FloatArray, level: float = 0.95) -> Reliability:
    """Ten bins of equal width and the expected calibration error.

    Args:
        targets: the right labels' positions, shape [rows].
        probabilities: shape [rows, labels].
        level: of every interval.
    """
    confidence, right = _top(targets, probabilities)
    where = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    bins = []
    for number in np.unique(where):
        rows = where == number
        share = proportion(int(right[rows].sum()), int(rows.sum()), level)
        bins.append(
            Bin(float(number) / BINS, float(number + 1) / BINS, int(rows.sum()), float(confidence[rows].mean()), share)
        )
    return Reliability(tuple(bins), expected_calibration_error(targets, probabilities, seed=SEED, level=level))


def uncalibrated(run: Run) -> FloatArray | None:
    """The probabilities that the scores alone would give, shape [rows, labels].

    A calibration is an affine map and can be undone: scores are (log P − bias) · temperature, up to a constant per row.

    Returns:
        None where nothing was calibrated, or where several draws of demonstrations were averaged.
    """
    if len(run.calibrations) != 1 or run.calibrations[0].method == "none":
        return None
    calibration = run.calibrations[0]
    scores = (run.log_probabilities - np.asarray(calibration.bias)) * calibration.temperature
    return Calibration((0.0,) * scores.shape[1]).probabilities(scores)


def risk_coverage(targets: IntArray, probabilities: FloatArray, level: float = 0.95) -> tuple[Coverage, ...]:
    """Accuracy of the surest rows, for every threshold that tells rows apart; the whole set last.

    (El-Yaniv and Wiener 2010; risk is 1 − accuracy.) Rows with the same probability are answered together.
    """
    confidence, right = _top(targets, probabilities)
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, correct = confidence[order], np.cumsum(right[order])
    last = np.flatnonzero(np.append(np.diff(sorted_confidence) != 0, True))
    return tuple(
        Coverage(
            threshold=float(sorted_confidence[row]),
            coverage=float(row + 1) / len(targets),
            accuracy=proportion(int(correct[row]), int(row) + 1, level),
        )
        for row in last
    )


def coverage_at(curve: Sequence[Coverage], accuracy: float) -> Coverage | None:
    """The point that answers most rows with at least this accuracy; None where no point has it."""
    return max((point for point in curve if point.accuracy.value >= accuracy), key=lambda p: p.coverage, default=None)


def _top(targets: IntArray, probabilities: FloatArray) -> tuple[FloatArray, FloatArray]:
    right: FloatArray = (probabilities.argmax(axis=1) == targets).astype(np.float64)
    return probabilities.max(axis=1), right
