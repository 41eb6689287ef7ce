r"""An error contract: from which confidence on answers are given, so that few of those given are wrong.

Of the rows that get a label, at most `max_error` are wrong: the selective risk R(t) = P(wrong | confidence ≥ t). The
threshold t is chosen on labelled rows that the model has not seen, so that this holds with a stated confidence over
the draw of those rows.

The rows are sorted by confidence and thresholds tried in an order that is fixed before any label is looked at, from a
third of the rows on downwards. For each the hypothesis "R(t) > max_error" is tested by the exact binomial bound of
Clopper and Pearson (1934); the first threshold whose bound exceeds `max_error` ends the sequence, and the last one
before it is kept. That is fixed-sequence testing as in Angelopoulos, Bates, Candès, Jordan, Lei, "Learn then Test:
Calibrating predictive algorithms to achieve risk control" (2021), applied to the selective risk of Geifman and
El-Yaniv, "Selective classification for deep neural networks" (2017). As the sequence stops at the first failure, no
correction for the number of thresholds is needed.

Why thresholds may be taken from the rows themselves: let t* be the lowest threshold with R(t*) ≤ `max_error`. The
promise is broken only if the first threshold tried below t* passes. Given how many rows lie above t*, these are wrong
independently with probability R(t*), and each row below t* is wrong with at least that probability if errors do not
become rarer as confidence falls; so the errors counted there are at least as many as a binomial of rate `max_error`,
and the exact test passes with probability 1 − `confidence` at most.

What the promise needs: rows to label that are drawn as the labelled ones were, and confidences that rank: errors may
not become rarer as confidence falls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from fewshot_llm.errors import CalibrationError
from fewshot_llm.types import FloatArray

__all__ = ["RiskThreshold", "error_bound", "fit_contract", "rows_needed"]

FIRST_SHARE = 1 / 3
"""Where the sequence begins. Fewer rows are easily failed by one unlucky error; more would give up where a third of
the rows can be labelled and half of them cannot."""

STEPS = 10
"""Thresholds over the whole of the rows. Fewer and larger steps end less often by one unlucky row."""


def rows_needed(max_error: float, confidence: float) -> int:
    """The fewest labelled rows with which the contract can hold: so many without a single error.

    >>> rows_needed(0.05, 0.9)
    45
    """
    _check_promise(max_error, confidence)
    return math.ceil(round(math.log1p(-confidence) / math.log1p(-max_error), 9))


def error_bound(errors: int, rows: int, confidence: float) -> float:
    """Clopper and Pearson's upper bound for an error rate: what it does not exceed, with this confidence.

    Args:
        errors: rows that were wrong.
        rows: rows in all, at least one.
        confidence: one-sided.

    >>> round(error_bound(0, 45, 0.9), 3)
    0.05
    """
    return 1.0 if errors >= rows else float(beta.ppf(confidence, errors + 1, rows - errors))


@dataclass(frozen=True)
class RiskThreshold:
    """From which confidence on labels are given, and what that rests on.

    Attributes:
        max_error: at most this share of the labelled rows is wrong.
        confidence: how often that holds, over draws of the rows it was fitted on.
        threshold: the least confidence with which a label is given; `None` where none keeps the promise.
        rows: labelled rows it was fitted on.
        labelled: those of them at or above the threshold.
        errors: the wrong ones among these.
    """

    max_error: float
    confidence: float
    threshold: float | None
    rows: int
    labelled: int
    errors: int

    @property
    def coverage(self) -> float:
        """The share of the fitted rows that gets a label."""
        return self.labelled / self.rows

    @property
    def bound(self) -> float:
        """The upper bound of the error rate among labelled rows; 1 where nothing is labelled."""
        return error_bound(self.errors, self.labelled, self.confidence)

    def gives(self, confidences: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether each answer may be given, shape [rows], from the confidences of the answers."""
        return np.asarray(confidences) >= (np.inf if self.threshold is None else self.threshold)


def fit_contract(
    confidences: npt.ArrayLike, right: npt.ArrayLike, *, max_error: float, confidence: float = 0.9
) -> RiskThreshold:
    """The lowest threshold that the sequence of tests reaches; see the module's text.

    Args:
        confidences: of the answers to labelled rows that the model has not seen, shape [rows].
        right: whether each answer was right, shape [rows].
        max_error: what is promised.
        confidence: with which it is promised.

    Raises:
        CalibrationError: a promise outside (0, 1), shapes that differ, confidences that are no numbers, or too few
            rows; the message says how many are needed.

    >>> fit_contract(np.linspace(1, 0, 100), np.arange(100) < 65, max_error=0.05).labelled
    65
    """
    scores, hits = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.bool_)
    if scores.ndim != 1 or scores.shape != hits.shape:
        raise CalibrationError(f"Each confidence needs one right or wrong; got shapes {scores.shape} and {hits.shape}.")
    if not np.all(np.isfinite(scores)):
        raise CalibrationError("A confidence is infinite or not a number, so that no threshold can be chosen.")
    needed = rows_needed(max_error, confidence)
    if len(scores) < needed:
        raise CalibrationError(
            f"At most {max_error:.2%} errors with {confidence:.0%} confidence cannot be promised from {len(scores)} "
            f"labelled rows: at least {needed} are needed, all of them right. Label more (rows that the model has not "
            "seen need no training: --calibration-rows FILE), or allow more errors or less confidence."
        )
    order = np.argsort(-scores, kind="stable")
    ranked, wrong = scores[order], np.cumsum(~hits[order])
    first, step = max(needed, math.ceil(len(scores) * FIRST_SHARE)), max(1, round(len(scores) / STEPS))
    kept = RiskThreshold(max_error, confidence, None, len(scores), 0, 0)
    for wanted in [*range(first, len(scores), step), len(scores)]:
        threshold = ranked[wanted - 1]
        # Rows that tie with the threshold's are labelled too.
        labelled = int(np.searchsorted(-ranked, -threshold, side="right"))
        errors = int(wrong[labelled - 1])
        if error_bound(errors, labelled, confidence) > max_error:
            break
        kept = RiskThreshold(max_error, confidence, float(threshold), len(scores), labelled, errors)
    return kept


def _check_promise(max_error: float, confidence: float) -> None:
    for name, value in (("max_error", max_error), ("confidence", confidence)):
        if not 0 < value < 1:
            raise CalibrationError(f"{name} is {value:g}; expected a share between 0 and 1, for instance 0.05 or 0.9.")
