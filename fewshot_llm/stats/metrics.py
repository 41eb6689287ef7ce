"""What an answer is worth: accuracy, macro-F1, log loss, calibration error, AUC, confusion; and an order of candidates.

The figures of labels are scikit-learn's, for label positions and with intervals. Those of an order are hit@k,
reciprocal rank and nDCG, each with an interval over choices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score

from fewshot_llm.stats.intervals import (
    Interval,
    balanced_share_interval,
    bootstrap,
    mean_interval,
    proportion,
    share_interval,
)
from fewshot_llm.types import FloatArray, IntArray

__all__ = [
    "accuracy",
    "area_under_curve",
    "balanced_accuracy",
    "brier_scores",
    "confusion",
    "expected_calibration_error",
    "hit_at",
    "log_loss",
    "loss_reach",
    "macro_f1",
    "mean_reciprocal_rank",
    "ndcg",
    "ranks",
    "row_losses",
]

TINIEST = float(np.finfo(np.float64).tiny)


def accuracy(targets: IntArray, predictions: IntArray, level: float = 0.95) -> Interval:
    """Share of rows that are right, with its exact interval.

    >>> print(accuracy(np.array([0, 1, 1, 0]), np.array([0, 1, 1, 1])))
    0.750 [0.194, 0.994]
    """
    return proportion(int((targets == predictions).sum()), len(targets), level)


def balanced_accuracy(targets: IntArray, predictions: IntArray, level: float = 0.95) -> Interval:
    """Mean over the classes that occur of the share of their rows that are right (`balanced_share_interval`)."""
    return balanced_share_interval(targets == predictions, targets, level)


def macro_f1(
    targets: IntArray,
    predictions: IntArray,
    labels: int,
    *,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Unweighted mean of the F1 of every class that occurs among targets or predictions; bootstrap interval.

    The interval's resamples count confusions rather than call scikit-learn, which is a hundred times faster;
    the value itself is scikit-learn's.
    """
    pairs = targets * labels + predictions

    def figure(rows: IntArray) -> float:
        table = np.bincount(pairs[rows], minlength=labels * labels).reshape(labels, labels)
        support = table.sum(axis=0) + table.sum(axis=1)
        present = support > 0
        return float((2 * np.diag(table)[present] / support[present]).mean()) if present.any() else float("nan")

    sizes = np.bincount(targets, minlength=labels)
    sizes = sizes[sizes > 0]
    # As many rows as a mean over classes of these sizes is worth.
    effective = float(len(sizes) ** 2 / (1 / sizes).sum()) if len(sizes) else 0.0
    found = bootstrap(figure, len(targets), seed=seed, draws=draws, level=level, effective=effective)
    if len(targets) == 0:
        return found
    value = float(f1_score(targets, predictions, average="macro", zero_division=0.0))
    return Interval(value, found.low, found.high, level)


def log_loss(targets: IntArray, probabilities: FloatArray, level: float = 0.95) -> Interval:
    """Mean of −log P(right label), nats (`mean_interval`). log(labels) is what guessing gets."""
    reach = loss_reach(probabilities.shape[1])
    return mean_interval(row_losses(targets, probabilities), reach=reach, least=0.0, level=level)


def loss_reach(labels: int) -> float:
    """How far one further row's log loss may well lie from the mean, nats: what guessing costs, at least 1.5.

    A wrong answer given with a probability of .8 costs 1.6; sure answers are seldom wrong in few rows, and their
    interval has to allow for one that is.
    """
    return max(float(np.log(labels)) if labels else 0.0, 1.5)


def row_losses(targets: IntArray, probabilities: FloatArray) -> FloatArray:
    """−log P(right label) of each row, nats, shape [rows]; finite even where the probability is 0."""
    losses: FloatArray = -np.log(np.maximum(probabilities[np.arange(len(targets)), targets], TINIEST))
    return losses


def brier_scores(targets: IntArray, probabilities: FloatArray) -> FloatArray:
    """Brier score of each row (Brier 1950): Σ_label (P(label) − [label is right])², 0 to 2, shape [rows].

    >>> brier_scores(np.array([0]), np.array([[0.9, 0.1]])).round(3).tolist()
    [0.02]
    """
    right = np.zeros_like(probabilities)
    right[np.arange(len(targets)), targets] = 1.0
    scores: FloatArray = ((probabilities - right) ** 2).sum(axis=1)
    return scores


def expected_calibration_error(
    targets: IntArray,
    probabilities: FloatArray,
    *,
    seed: int,
    bins: int = 10,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """ECE of the top label (Guo et al. 2017): Σ_bin share of rows × |accuracy − mean confidence|.

    Args:
        targets: the right labels' positions, shape [rows].
        probabilities: shape [rows, labels].
        seed: of the bootstrap.
        bins: as many bins of equal width over [0, 1].
        draws: bootstrap resamples. ECE is biased upward on few rows and its resamples more so: read the
            interval as its spread, the value may lie near its low end.
        level: the interval's level.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    where = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = right - confidence

    def figure(rows: IntArray) -> float:
        sums = np.bincount(where[rows], weights=gap[rows], minlength=bins)
        return float(np.abs(sums).sum() / len(rows)) if len(rows) else float("nan")

    return bootstrap(figure, len(targets), seed=seed, draws=draws, level=level)


def area_under_curve(
    targets: IntArray, scores: FloatArray, *, seed: int, draws: int = 1000, level: float = 0.95
) -> Interval:
    """Area under the ROC curve of two classes; bootstrap interval. NaN where only one class occurs.

    Counted as the share of pairs that the scores put in the right order, a hundred times faster than scikit-learn's.

    Args:
        targets: 0 or 1, shape [rows].
        scores: higher means class 1, shape [rows]; any monotone scale.
        seed: of the bootstrap.
        draws: bootstrap resamples.
        level: the interval's level.
    """
    distinct, where = np.unique(scores, return_inverse=True)

    def figure(rows: IntArray) -> float:
        positive = np.bincount(where[rows], weights=targets[rows], minlength=len(distinct))
        negative = np.bincount(where[rows], minlength=len(distinct)) - positive
        pairs = positive.sum() * negative.sum()
        below = np.cumsum(negative) - negative / 2  # an equal score counts half
        return float(positive @ below / pairs) if pairs else float("nan")

    smaller = float(min(targets.sum(), len(targets) - targets.sum()))
    return bootstrap(figure, len(targets), seed=seed, draws=draws, level=level, effective=smaller)


def confusion(targets: IntArray, predictions: IntArray, labels: int) -> list[list[int]]:
    """How many rows of each class (outer list) were given each label (inner list)."""
    table: list[list[int]] = confusion_matrix(targets, predictions, labels=range(labels)).tolist()
    return table


def ranks(scores: Sequence[FloatArray], chosen: Sequence[int]) -> FloatArray:
    """Rank of each choice's answer among its candidates, from 1; the middle of those it ties with, shape [choices].

    >>> ranks([np.array([0.1, 0.9, 0.9])], [1]).tolist()
    [1.5]
    """
    return np.array(
        [
            1 + float((row > row[answer]).sum()) + (float((row == row[answer]).sum()) - 1) / 2
            for row, answer in zip(scores, chosen, strict=True)
        ]
    )


def hit_at(found: FloatArray, k: int = 1, level: float = 0.95) -> Interval:
    """Share of choices whose answer is among the first k.

    Args:
        found: ranks, shape [choices].
        k: how many are looked at.
        level: the interval's level.
    """
    return share_interval((found <= k).astype(np.float64), level)


def mean_reciprocal_rank(found: FloatArray, level: float = 0.95) -> Interval:
    """Mean of 1 / rank."""
    return share_interval(1 / found, level)


def ndcg(found: FloatArray, level: float = 0.95) -> Interval:
    """Normalised discounted cumulative gain with one relevant candidate: the mean of 1 / log2(1 + rank)."""
    return share_interval(1 / np.log2(1 + found), level)
