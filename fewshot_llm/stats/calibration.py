"""From label scores to probabilities: a bias per label and a temperature.

A causal model's label scores are skewed (some label words are simply more likely, the demonstrations' order
favours some labels) and overconfident. Both are mended by an affine map of the scores, here estimated from
the few labelled rows themselves, each scored under a prompt that does not show it.

Every method assumes **balanced classes**: the support set is a sample taken per class, so its class
frequencies say nothing about the traffic to come. A support set with unequal classes does not tilt the bias
(see `fit_bias_temperature`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from fewshot_llm.errors import CalibrationError
from fewshot_llm.stats.metrics import row_losses
from fewshot_llm.types import FloatArray, Folds, IntArray

__all__ = [
    "Batch",
    "Calibration",
    "CalibrationEvidence",
    "CalibrationMethod",
    "Contextual",
    "OutOfFold",
    "Uncalibrated",
    "batch",
    "calibrated_out_of_fold",
    "contextual",
    "fit_bias_temperature",
    "fit_temperature",
    "identity",
    "nested_choice",
]

SPREADS = tuple(float(spread) for spread in 2.0 ** np.arange(-2, 2.5, 0.5))
"""Candidate standard deviations of the labels' biases, in nats."""

TYPICAL_SPREAD, SPREAD_DOUBT = 1.4, 0.5
"""Where the spread is expected: log-normal, median 1.4 nats, log standard deviation 0.5. Chosen on simulated scores of
2 and 27 classes, where it lost under two points of accuracy without a bias and won up to 37 with one. Eight rows
alone cannot tell the spread."""

FLOOR = 1e-12
"""Mean probabilities are kept above this before their logarithm is taken."""


@dataclass(frozen=True)
class Calibration:
    """An affine map of label scores: P(label | text) = softmax(score / temperature + bias).

    Attributes:
        bias: added to each label's score, nats, in the labels' order; only differences matter.
        temperature: what the scores are divided by; above 1 for an overconfident model.
        method: how it was estimated: `none`, `out-of-fold`, `temperature`, `contextual` or `batch`.
    """

    bias: tuple[float, ...]
    temperature: float = 1.0
    method: str = "none"

    def __post_init__(self) -> None:
        if not self.bias or not np.all(np.isfinite(self.bias)):
            raise CalibrationError(f"A calibration needs a finite bias for each label; this one has {self.bias!r}.")
        if not (np.isfinite(self.temperature) and self.temperature > 0):
            raise CalibrationError(f"A temperature must be a positive number; this one is {self.temperature!r}.")

    @property
    def keeps_order(self) -> bool:
        """Whether the best label by raw score is the best label by probability, whatever the scores."""
        return max(self.bias) == min(self.bias)

    def log_probabilities(self, scores: FloatArray) -> FloatArray:
        """Calibrated log P(label | text).

        Args:
            scores: label scores in nats, shape [rows, labels].

        Returns:
            Natural logarithms, shape [rows, labels]; each row's exponentials sum to 1.
        """
        scores = _checked(scores, len(self.bias))
        result: FloatArray = log_softmax(scores / self.temperature + np.asarray(self.bias), axis=1)
        return result

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """Calibrated P(label | text), shape [rows, labels], from scores of that shape.

        >>> Calibration(bias=(0.0, 1.0)).probabilities(np.array([[3.0, 2.0]])).tolist()
        [[0.5, 0.5]]
        """
        return np.exp(self.log_probabilities(scores))


def identity(labels: int) -> Calibration:
    """The calibration that changes nothing but the scale: scores are normalised to sum to 1."""
    return Calibration(bias=(0.0,) * labels)


def fit_bias_temperature(scores: FloatArray, targets: npt.ArrayLike) -> Calibration:
    r"""Fit a bias per label and a temperature on labelled rows that their own prompts did not show.

    With a = 1 / temperature, it minimises

    .. math:: \sum_i -\log \operatorname{softmax}_{y_i}(a s_i + b + \log \pi)
              + \frac{1}{2 \sigma^2} \sum_j b_j^2 + (a - 1 - \log a)

    which is convex in (a, b). The terms, in order:

    - the multinomial likelihood. \(\pi_j = (n_j + 1/2) / (n + L/2)\) are the classes' frequencies among these
      rows; they are left out again afterwards, so that b is what balanced classes would give, however unequal
      the support set is;
    - a Gaussian prior on the bias. Its spread \(\sigma\) is chosen by empirical Bayes: the largest Laplace
      approximation of the marginal likelihood, times a log-normal prior around 1.4 nats. With 8 rows the
      prior decides; with 27 or 77 classes the rows can say that there is no bias, and then the bias is shrunk
      to almost nothing;
    - a Gamma(2, 1) prior on a, the weight of one row, with its peak at a = 1: near 1 it equals
      \((\log T)^2 / 2\), and it keeps the temperature finite when every row is right.

    Args:
        scores: label scores in nats, shape [rows, labels]; a constant added to a row changes nothing.
        targets: each row's label as a position among the labels, shape [rows].

    Returns:
        The calibration; its biases sum to zero. With no rows or one label, the identity.

    Raises:
        CalibrationError: the shapes differ, a score is not finite or a target is out of range.
    """
    scores = _checked(scores)
    labels = scores.shape[1]
    targets = np.asarray(targets, dtype=np.int64)
    if targets.shape != (len(scores),):
        raise CalibrationError(f"{len(scores)} rows of scores need as many targets; got shape {targets.shape}.")
    if len(targets) and not (targets.min() >= 0 and targets.max() < labels):
        raise CalibrationError(f"Targets must lie in 0…{labels - 1}; got {targets.min()}…{targets.max()}.")
    if len(scores) == 0 or labels == 1:
        return identity(labels)

    scores = scores - scores.mean(axis=1, keepdims=True)
    fits = [_fit(scores, targets, spread) for spread in SPREADS]
    point = max(fits, key=lambda fit: fit[0])[1]
    bias = point[1:] - point[1:].mean()
    return Calibration(tuple(bias.tolist()), temperature=float(1.0 / point[0]), method="out-of-fold")


def _fit(scores: FloatArray, targets: IntArray, spread: float) -> tuple[float, FloatArray]:
    """The log evidence of `spread` (up to a constant) and the best (a, b) under it."""
    rows, labels = scores.shape
    precision = spread**-2
    counts = np.bincount(targets, minlength=labels)
    log_frequency = np.log((counts + 0.5) / (rows + labels / 2))
    observed = np.zeros_like(scores)
    observed[np.arange(rows), targets] = 1.0

    def objective(point: FloatArray) -> tuple[float, FloatArray]:
        a, b = point[0], point[1:]
        log_p = log_softmax(a * scores + b + log_frequency, axis=1)
        excess = np.exp(log_p) - observed
        value = -(log_p * observed).sum() + precision / 2 * (b @ b) + a - 1 - np.log(a)
        return value, np.r_[(excess * scores).sum() + 1 - 1 / a, excess.sum(axis=0) + precision * b]

    bounds = [(1e-4, None)] + [(None, None)] * labels
    start = np.r_[1.0, np.zeros(labels)]
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds)
    point: FloatArray = found.x
    p = softmax(point[0] * scores + point[1:] + log_frequency, axis=1)
    centred = p * (scores - (p * scores).sum(axis=1, keepdims=True))
    hessian = np.empty((labels + 1, labels + 1))
    hessian[0, 0] = (centred * scores).sum() + point[0] ** -2
    hessian[0, 1:] = hessian[1:, 0] = centred.sum(axis=0)
    hessian[1:, 1:] = np.diag(p.sum(axis=0) + precision) - p.T @ p
    expected = -0.5 * (np.log(spread / TYPICAL_SPREAD) / SPREAD_DOUBT) ** 2
    evidence = -found.fun - 0.5 * np.linalg.slogdet(hessian)[1] + 0.5 * labels * np.log(precision)
    return float(evidence + expected), point


def fit_temperature(scores: FloatArray, targets: npt.ArrayLike) -> Calibration:
    """Fit a temperature alone, for scores that favour no label: those of a head that was fitted to balanced classes.

    Each class counts alike, and 1 / temperature has the prior of `fit_bias_temperature`.

    Args:
        scores: label scores in nats, shape [rows, labels].
        targets: each row's label as a position among the labels, shape [rows].

    >>> fit_temperature(np.array([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [0.0, 9.0]]), [0, 1, 1, 0]).temperature > 5
    True
    """
    scores = _checked(scores)
    rows, labels = scores.shape
    targets = np.asarray(targets, dtype=np.int64)
    if rows == 0 or labels == 1:
        return identity(labels)
    counts = np.bincount(targets, minlength=labels)
    weights = rows / ((counts > 0).sum() * counts[targets])

    def objective(log_scale: float) -> float:
        scale = np.exp(log_scale)
        log_p = log_softmax(scale * scores, axis=1)[np.arange(rows), targets]
        return float(-(weights * log_p).sum() + scale - 1 - log_scale)

    found = minimize_scalar(objective, bounds=(-6.0, 6.0), method="bounded", options={"xatol": 1e-4})
    return Calibration((0.0,) * labels, temperature=float(np.exp(-found.x)), method="temperature")


def contextual(neutral_scores: FloatArray) -> Calibration:
    """Contextual calibration (Zhao et al. 2021, "Calibrate Before Use").

    The bias undoes what the prompt says about a text without content: b = −log mean_i softmax(s_i).

    Args:
        neutral_scores: label scores of content-free texts such as "N/A", shape [texts, labels].
    """
    return Calibration(_flattening(neutral_scores), method="contextual")


def batch(scores: FloatArray) -> Calibration:
    """Batch calibration (Zhou et al. 2023): makes the mean prediction over unlabelled texts flat.

    Args:
        scores: label scores of texts whose classes are about balanced, shape [texts, labels].

    >>> batch(np.array([[2.0, 0.0], [2.0, 0.0]])).probabilities(np.array([[2.0, 0.0]])).round(3).tolist()
    [[0.5, 0.5]]
    """
    return Calibration(_flattening(scores), method="batch")


def _flattening(scores: FloatArray) -> tuple[float, ...]:
    scores = _checked(scores)
    if len(scores) == 0:
        return identity(scores.shape[1]).bias
    mean = softmax(scores, axis=1).mean(axis=0)
    bias = -np.log(np.maximum(mean, FLOOR))
    return tuple((bias - bias.mean()).tolist())


def _checked(scores: FloatArray, labels: int | None = None) -> FloatArray:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] == 0 or (labels is not None and scores.shape[1] != labels):
        wanted = "one column per label" if labels is None else f"{labels} columns, one per label"
        raise CalibrationError(f"Scores must be a table with {wanted}; got shape {scores.shape}.")
    if not np.all(np.isfinite(scores)):
        raise CalibrationError("A label score is infinite or not a number, so that nothing can be calibrated on it.")
    return scores


class CalibrationEvidence(Protocol):
    """What a calibration method may ask for. All scores are in nats, under one draw of demonstrations."""

    @property
    def labels(self) -> int:
        """How many labels there are."""
        ...

    def held_out(self) -> tuple[FloatArray, IntArray]:
        """Scores [rows, labels] and targets [rows] of support rows under prompts that do not show them."""
        ...

    def unlabelled(self, texts: Sequence[str]) -> FloatArray:
        """Scores [texts, labels] of any texts under the prompt that will be served."""
        ...


class CalibrationMethod(Protocol):
    """How a classifier gets its calibration."""

    def fit(self, evidence: CalibrationEvidence) -> Calibration:
        """Estimate a calibration; asks `evidence` only for the scores it needs, for they cost model time."""
        ...


@dataclass(frozen=True)
class OutOfFold:
    """Bias and temperature by `fit_bias_temperature` on the support rows, out of fold. The default."""

    def fit(self, evidence: CalibrationEvidence) -> Calibration:
        """See `fit_bias_temperature`; without any support row, the identity."""
        return fit_bias_temperature(*evidence.held_out())


@dataclass(frozen=True)
class Contextual:
    """Contextual calibration; it can cost accuracy where "N/A" is itself a sign of a class.

    Attributes:
        texts: the content-free inputs; those of the paper by default.
    """

    texts: tuple[str, ...] = ("N/A", "", "[MASK]")

    def fit(self, evidence: CalibrationEvidence) -> Calibration:
        """See `contextual`."""
        return contextual(evidence.unlabelled(self.texts))


@dataclass(frozen=True)
class Batch:
    """Batch calibration.

    Attributes:
        texts: unlabelled texts from the traffic. Where there are none, the support rows are used out of fold,
            without their labels. They are fixed here, not taken from what is being predicted, so that a
            text's prediction does not depend on its neighbours.
    """

    texts: tuple[str, ...] = ()

    def fit(self, evidence: CalibrationEvidence) -> Calibration:
        """See `batch`."""
        return batch(evidence.unlabelled(self.texts) if self.texts else evidence.held_out()[0])


@dataclass(frozen=True)
class Uncalibrated:
    """Scores as they are, normalised to sum to 1."""

    def fit(self, evidence: CalibrationEvidence) -> Calibration:
        """The identity."""
        return identity(evidence.labels)


def calibrated_out_of_fold(scores: FloatArray, targets: IntArray, folds: Folds) -> FloatArray:
    """Log-probabilities of each row, calibrated on the rows of the other folds only.

    Args:
        scores: out-of-fold label scores, nats, shape [n, labels].
        targets: true label positions, shape [n].
        folds: positions to fit on and positions to apply to, each row applied to once.

    Returns:
        Natural logarithms, shape [n, labels].
    """
    return nested_choice([scores], targets, folds, calibrate=fit_bias_temperature)[1]


def _as_they_are(scores: FloatArray, targets: IntArray) -> Calibration:
    return identity(scores.shape[1])


def nested_choice(
    tables: Sequence[FloatArray],
    targets: IntArray,
    folds: Folds,
    *,
    calibrate: Any = _as_they_are,
) -> tuple[int, FloatArray]:
    """Choose among ways of scoring by log loss, and estimate honestly what the choice is worth.

    For each fold the way (and its calibration) is chosen on the other folds' rows, and used on the fold's: the
    estimate of a choice made by looking must not come from the rows that were looked at.

    Args:
        tables: out-of-fold label scores of each way, nats, shape [n, labels] each; the cheapest first, for ties.
        targets: true label positions, shape [n].
        folds: positions to choose on and positions to apply to; each row applied to once.
        calibrate: (scores, targets) -> `Calibration`; the scores as they are by default.

    Returns:
        The way chosen on all rows, and log-probabilities of each row by the ways chosen without it, [n, labels].
    """

    def best(rows: Sequence[int]) -> tuple[int, Calibration]:
        found = []
        for number, table in enumerate(tables):
            calibration = calibrate(table[rows], targets[rows])
            loss = row_losses(targets[rows], calibration.probabilities(table[rows])).mean()
            found.append((round(float(loss), 9), number, calibration))
        loss, number, calibration = min(found, key=lambda item: item[:2])
        return number, calibration

    estimate = np.empty_like(tables[0])
    for kept, held in folds:
        number, calibration = best(list(kept))
        estimate[list(held)] = calibration.log_probabilities(tables[number][list(held)])
    return best(list(range(len(targets))))[0], estimate
