"""Evidence: how often a way of answering was right on support rows that it had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fewshot_llm.calibration import Calibration, fit_bias_temperature, identity
from fewshot_llm.evaluation.intervals import Interval, mcnemar, mean_interval, paired_bootstrap
from fewshot_llm.evaluation.metrics import (
    accuracy,
    brier_scores,
    expected_calibration_error,
    log_loss,
    loss_reach,
    macro_f1,
    row_losses,
)
from fewshot_llm.scoring.base import FloatArray

__all__ = [
    "RUNGS",
    "Comparison",
    "Figure",
    "Rung",
    "RungEvidence",
    "calibrated_out_of_fold",
    "compare",
    "nested_choice",
    "rung_evidence",
]

Rung: TypeAlias = Literal["zero-shot", "in-context", "calibrated", "lora"]
RUNGS: tuple[Rung, ...] = ("zero-shot", "in-context", "calibrated", "lora")
"""From the cheapest to the dearest."""

NOISE = 0.6827
"""Level of the interval that a gain must lie above: plus or minus one standard error, as in the rule by which the
simplest model within one standard error of the best is kept (Breiman et al. 1984, "Classification and Regression
Trees"). With 32 rows a stricter test would throw away most real gains; see `docs/decisions.md`."""

IntArray = npt.NDArray[np.int64]
Folds = Sequence[tuple[Sequence[int], Sequence[int]]]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)


class Figure(_Frozen):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """From an `Interval`."""
        return cls(value=interval.value, low=interval.low, high=interval.high)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class RungEvidence(_Frozen):
    """Out-of-fold results of one rung.

    Attributes:
        rung: which one.
        settings: what was used, and how it was chosen.
        rows: positions in the support set of the rows that were held out.
        right: whether each was right.
        losses: -log P(true label) of each, nats.
        briers: Brier score of each, 0 to 2; empty in records of earlier versions.
        accuracy: share of rows that were right, with its exact interval.
        macro_f1: bootstrap interval.
        log_loss: nats per row, Student's interval with pseudo rows.
        calibration_error: expected calibration error, bootstrap interval.
        seconds: what it cost to measure.
    """

    rung: Rung
    settings: dict[str, Any] = {}
    rows: tuple[int, ...] = Field(min_length=1)
    right: tuple[bool, ...]
    losses: tuple[float, ...]
    briers: tuple[float, ...] = ()
    accuracy: Figure
    macro_f1: Figure
    log_loss: Figure
    calibration_error: Figure
    seconds: float = Field(ge=0)

    @model_validator(mode="after")
    def _same_rows(self) -> Self:
        if not len(self.rows) == len(self.right) == len(self.losses) or len(set(self.rows)) != len(self.rows):
            raise ValueError("rows, right and losses must list the same rows, each once")
        if self.briers and len(self.briers) != len(self.rows):
            raise ValueError("there must be a Brier score for each row, or none")
        return self


class Comparison(_Frozen):
    """One rung against the one kept below it, on the rows that both were asked.

    Attributes:
        below: the rung that was kept so far.
        above: the rung that might replace it.
        rows: how many rows both were asked.
        accuracy_gain: accuracy of `above` minus that of `below`.
        p_value: McNemar's exact test on right answers, two-sided; what a gain of one standard error is worth.
        loss_change: mean log loss of `above` minus that of `below`, nats, with its 95 % interval.
        brier_change: the same of the Brier score, within one standard error; None in records of earlier versions.
        better: by more than noise in right answers or in the Brier score, and in neither worse by more than noise.
    """

    below: Rung
    above: Rung
    rows: int
    accuracy_gain: float
    p_value: float
    loss_change: Figure
    brier_change: Figure | None = None
    better: bool


def rung_evidence(
    rung: Rung,
    rows: Sequence[int],
    targets: IntArray,
    log_probabilities: FloatArray,
    seconds: float,
    *,
    settings: dict[str, Any] | None = None,
    seed: int = 0,
) -> RungEvidence:
    """Figures and intervals from out-of-fold log-probabilities.

    Args:
        rung: which one.
        rows: positions in the support set, n of them.
        targets: true label positions, shape [n].
        log_probabilities: log P(label | text), nats, shape [n, labels].
        seconds: what it cost to measure.
        settings: what was used.
        seed: of the bootstraps.
    """
    probabilities = np.exp(log_probabilities)
    predicted = log_probabilities.argmax(axis=1)
    labels = log_probabilities.shape[1]
    return RungEvidence(
        rung=rung,
        settings=settings or {},
        rows=tuple(int(row) for row in rows),
        right=tuple(bool(right) for right in predicted == targets),
        losses=tuple(float(loss) for loss in row_losses(targets, probabilities)),
        briers=tuple(float(score) for score in brier_scores(targets, probabilities)),
        accuracy=Figure.of(accuracy(targets, predicted)),
        macro_f1=Figure.of(macro_f1(targets, predicted, labels, seed=seed)),
        log_loss=Figure.of(log_loss(targets, probabilities)),
        calibration_error=Figure.of(expected_calibration_error(targets, probabilities, seed=seed)),
        seconds=seconds,
    )


def compare(below: RungEvidence, above: RungEvidence, *, seed: int = 0) -> Comparison:
    """Is `above` better than `below` by more than noise?

    Two paired bootstraps, because each sees what the other misses: one on right answers, and one on Brier scores, which
    tells more where few answers change. (Not on log loss: one confident mistake among 32 rows would outweigh the rest.)
    `above` is better if it is better in one of the two by more than a standard error, and worse in neither.
    """
    shared = sorted(set(below.rows) & set(above.rows))
    first, second = ({row: i for i, row in enumerate(side.rows)} for side in (below, above))
    a, b = [first[row] for row in shared], [second[row] for row in shared]

    def sides(figures: str) -> tuple[list[float], list[float]]:
        return [getattr(below, figures)[i] for i in a], [getattr(above, figures)[i] for i in b]

    def change(figures: str) -> Interval:
        return paired_bootstrap(*sides(figures), seed=seed, level=NOISE).difference

    losses = np.array(sides("losses"))
    right = change("right")
    brier = change("briers") if below.briers and above.briers else None
    ahead = right.low > 0 or (brier is not None and brier.high < 0)
    behind = right.high < 0 or (brier is not None and brier.low > 0)
    return Comparison(
        below=below.rung,
        above=above.rung,
        rows=len(shared),
        accuracy_gain=right.value,
        p_value=mcnemar([below.right[i] for i in a], [above.right[i] for i in b]).p_value,
        loss_change=Figure.of(mean_interval(losses[1] - losses[0], reach=loss_reach(2))),
        brier_change=Figure.of(brier) if brier else None,
        better=bool(ahead and not behind),
    )


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
