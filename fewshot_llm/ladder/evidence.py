"""Evidence: what a rung's answers are worth on support rows that they had not seen, and one rung against another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fewshot_llm.errors import TuningError
from fewshot_llm.stats.intervals import Interval, mcnemar, mean_interval, paired_bootstrap, share_interval
from fewshot_llm.stats.metrics import (
    accuracy,
    brier_scores,
    expected_calibration_error,
    log_loss,
    loss_reach,
    macro_f1,
    row_losses,
)
from fewshot_llm.types import FloatArray, IntArray, Text

__all__ = [
    "Comparison",
    "Criterion",
    "Evidence",
    "Figure",
    "LabelEvidence",
    "NumberEvidence",
    "compare",
    "label_evidence",
    "number_evidence",
]

NOISE = 0.6827
"""Level of the interval that a gain must lie above: plus or minus one standard error, as in the rule by which the
simplest model within one standard error of the best is kept (Breiman et al. 1984, "Classification and Regression
Trees"). With 32 rows a stricter test would throw away most real gains; see `docs/decisions.md`."""


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


@dataclass(frozen=True)
class Criterion:
    """One figure by which rungs are compared.

    Attributes:
        name: what it is.
        values: of each row; smaller is better.
        level: of the paired interval that has to lie on one side of zero.
        reach: how far a further row may be from the mean; None for a paired bootstrap, which needs no such bound.
    """

    name: str
    values: Sequence[float]
    level: float = NOISE
    reach: float | None = None


class Evidence(_Frozen):
    """Out-of-fold results of one rung, whatever it predicts.

    Attributes:
        rung: its name.
        title: how people read it; None in records of earlier versions.
        settings: what was used, and how it was chosen.
        rows: positions in the support set of the rows that were held out.
        seconds: what it cost to measure.
        seconds_per_1000: what answering 1,000 rows costs; None where that is not known.
    """

    rung: str
    title: Text | None = None
    settings: dict[str, Any] = {}
    rows: tuple[int, ...] = Field(min_length=1)
    seconds: float = Field(ge=0)
    seconds_per_1000: float | None = Field(default=None, ge=0)

    @property
    @abstractmethod
    def headline(self) -> Figure:
        """The figure that is compared with the target."""

    @property
    @abstractmethod
    def outcomes(self) -> tuple[float, ...]:
        """Of each row: what the headline is the mean of."""

    @abstractmethod
    def headline_of(self, outcomes: FloatArray) -> Figure:
        """The headline that other outcomes of the rows would make, shape [rows]."""

    @abstractmethod
    def reaches(self, target: float, figure: Figure | None = None) -> bool:
        """Whether the headline is good enough beyond doubt: its whole interval reaches the target.

        Args:
            target: what is good enough.
            figure: looked at in place of the headline, for instance a corrected one.
        """

    @property
    @abstractmethod
    def loss(self) -> Criterion:
        """The loss of each row; smaller is better."""

    @property
    @abstractmethod
    def criteria(self) -> tuple[Criterion, ...]:
        """By what it is compared with another rung: better in one of them, and worse in none."""


class LabelEvidence(Evidence):
    """Out-of-fold labels of one rung.

    Attributes:
        right: whether each was right.
        losses: -log P(true label) of each, nats.
        briers: Brier score of each, 0 to 2; empty in records of earlier versions.
        accuracy: share of rows that were right, with its exact interval.
        macro_f1: bootstrap interval.
        log_loss: nats per row, Student's interval with pseudo rows.
        calibration_error: expected calibration error, bootstrap interval.
    """

    right: tuple[bool, ...]
    losses: tuple[float, ...]
    briers: tuple[float, ...] = ()
    accuracy: Figure
    macro_f1: Figure
    log_loss: Figure
    calibration_error: Figure

    @property
    def headline(self) -> Figure:
        """The accuracy."""
        return self.accuracy

    @property
    def outcomes(self) -> tuple[float, ...]:
        """1 where the answer was right, else 0."""
        return tuple(float(right) for right in self.right)

    def headline_of(self, outcomes: FloatArray) -> Figure:
        """The share of right answers, with its exact interval."""
        return Figure.of(share_interval(outcomes))

    def reaches(self, target: float, figure: Figure | None = None) -> bool:
        """Whether the lower end of the accuracy's interval is at least the target."""
        return (figure or self.accuracy).low >= target

    @property
    def loss(self) -> Criterion:
        """-log P(true label), nats."""
        return Criterion("loss", self.losses, 0.95, loss_reach(2))

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """Wrong answers, and Brier scores, which tell more where few answers change.

        (Not log loss: one confident mistake among 32 rows would outweigh the rest.)
        """
        wrong = Criterion("wrong", [float(not right) for right in self.right])
        return (wrong, Criterion("brier", self.briers)) if self.briers else (wrong,)

    @model_validator(mode="after")
    def _same_rows(self) -> Self:
        if not len(self.rows) == len(self.right) == len(self.losses) or len(set(self.rows)) != len(self.rows):
            raise ValueError("rows, right and losses must list the same rows, each once")
        if self.briers and len(self.briers) != len(self.rows):
            raise ValueError("there must be a Brier score for each row, or none")
        return self


class NumberEvidence(Evidence):
    """Out-of-fold numbers of one rung.

    Attributes:
        errors: absolute error of each row, in the targets' unit.
        error: their mean, Student's interval with pseudo rows.
        step: the smallest step of the grid of numbers.
    """

    errors: tuple[float, ...]
    error: Figure
    step: float

    @property
    def headline(self) -> Figure:
        """The mean absolute error."""
        return self.error

    @property
    def outcomes(self) -> tuple[float, ...]:
        """The absolute errors."""
        return self.errors

    def headline_of(self, outcomes: FloatArray) -> Figure:
        """The mean of absolute errors, Student's interval with pseudo rows."""
        return Figure.of(_mean_error(outcomes, self.step))

    def reaches(self, target: float, figure: Figure | None = None) -> bool:
        """Whether the upper end of the mean absolute error's interval is at most the target."""
        return (figure or self.error).high <= target

    @property
    def loss(self) -> Criterion:
        """The absolute errors. A further row may be off by twice what is usual, or by a step of the grid more."""
        return Criterion("error", self.errors, 0.95, max(self.error.value, self.step))

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The absolute errors, at 95 %."""
        return (self.loss,)


class Comparison(_Frozen):
    """Two rungs on the rows that both were asked. In a decision each measured rung is held against the kept one.

    Attributes:
        below: the rung that is compared with.
        above: the rung that may be better: in a decision the kept one; in records of earlier versions one that might
            have replaced `below`.
        rows: how many rows both were asked.
        accuracy_gain: accuracy of `above` minus that of `below`; None for numbers.
        p_value: McNemar's exact test on right answers, two-sided; what a gain of one standard error is worth.
        loss_change: mean loss of `above` minus that of `below` (labels: log loss, nats; numbers: absolute error), with
            its 95 % interval.
        brier_change: the same of the Brier score, within one standard error; None in records of earlier versions.
        better: by more than noise in one of the evidence's criteria, and in none of them worse by more than noise.
    """

    below: str
    above: str
    rows: int
    accuracy_gain: float | None = None
    p_value: float | None = None
    loss_change: Figure
    brier_change: Figure | None = None
    better: bool


def label_evidence(
    rung: str,
    rows: Sequence[int],
    targets: IntArray,
    log_probabilities: FloatArray,
    seconds: float,
    *,
    title: Text | None = None,
    settings: dict[str, Any] | None = None,
    seconds_per_1000: float | None = None,
    seed: int = 0,
) -> LabelEvidence:
    """Figures and intervals from out-of-fold log-probabilities.

    Args:
        rung: its name.
        rows: positions in the support set, n of them.
        targets: true label positions, shape [n].
        log_probabilities: log P(label | text), nats, shape [n, labels].
        seconds: what it cost to measure.
        title: how people read the rung.
        settings: what was used.
        seconds_per_1000: what answering 1,000 rows costs, where it was measured.
        seed: of the bootstraps.

    Raises:
        TuningError: shapes differ, a row is told twice, or log-probabilities are NaN or no distribution.
    """
    _require_log_probabilities(rung, rows, targets, log_probabilities)
    probabilities = np.exp(log_probabilities)
    predicted = log_probabilities.argmax(axis=1)
    labels = log_probabilities.shape[1]
    return LabelEvidence(
        rung=rung,
        title=title,
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
        seconds_per_1000=seconds_per_1000,
    )


def _require_log_probabilities(
    rung: str, rows: Sequence[int], targets: IntArray, log_probabilities: FloatArray
) -> None:
    """Refuse what no figure can be made of, or only a false one: scores that are no distribution have tiny losses."""
    shape, count = np.shape(log_probabilities), len(rows)
    if len(shape) != 2 or shape[0] != count or np.shape(targets) != (count,) or not count:
        raise TuningError(
            f"The rung {rung!r} has {count} rows, targets of the shape {np.shape(targets)} and log-probabilities of "
            f"the shape {shape}; expected [rows], and [rows, labels] with at least one row."
        )
    if len({int(row) for row in rows}) < count:
        raise TuningError(f"The rung {rung!r} lists a row of the support set twice; expected each once.")
    if not ((np.asarray(targets) >= 0) & (np.asarray(targets) < shape[1])).all():
        raise TuningError(f"The rung {rung!r} has targets outside its {shape[1]} labels; expected their positions.")
    sums = np.exp(log_probabilities).sum(axis=1)
    wrong = np.flatnonzero(~(np.abs(sums - 1) < 1e-3))
    if len(wrong):
        raise TuningError(
            f"The rung {rung!r} has log-probabilities whose exponentials do not sum to 1: those of row "
            f"{int(rows[wrong[0]])} sum to {sums[wrong[0]]:g}. Subtract the log of the sum (scipy.special.log_softmax)."
        )


def number_evidence(
    rung: str,
    errors: FloatArray,
    step: float,
    seconds: float,
    *,
    title: Text | None = None,
    settings: dict[str, Any] | None = None,
    seconds_per_1000: float | None = None,
) -> NumberEvidence:
    """The mean absolute error, with its interval.

    Args:
        rung: its name.
        errors: absolute error of each support row, by a predictor that did not see it, shape [rows].
        step: the smallest step of the grid of numbers.
        seconds: what it cost to measure.
        title: how people read the rung.
        settings: what was used.
        seconds_per_1000: what answering 1,000 rows costs, where it was measured.

    Raises:
        TuningError: there are no errors, or one is negative or not finite.
    """
    if np.ndim(errors) != 1 or not len(errors) or not (np.isfinite(errors) & (errors >= 0)).all():
        raise TuningError(
            f"The rung {rung!r} has errors of the shape {np.shape(errors)}, or some that are negative or not finite; "
            "expected one absolute error for each row."
        )
    return NumberEvidence(
        rung=rung,
        title=title,
        settings=settings or {},
        rows=tuple(range(len(errors))),
        errors=tuple(float(error) for error in errors),
        error=Figure.of(_mean_error(errors, step)),
        step=step,
        seconds=seconds,
        seconds_per_1000=seconds_per_1000,
    )


def _mean_error(errors: FloatArray, step: float) -> Interval:
    return mean_interval(errors, reach=max(float(errors.mean()), step), least=0.0)


def compare(below: Evidence, above: Evidence, *, seed: int = 0) -> Comparison:
    """Is `above` better than `below` by more than noise?

    Every criterion of the evidence is compared by a paired bootstrap over the rows that both were asked. `above` is
    better if it is better in one of them by more than its level asks for, and worse in none.
    """
    shared = sorted(set(below.rows) & set(above.rows))
    first, second = ({row: i for i, row in enumerate(side.rows)} for side in (below, above))
    a, b = [first[row] for row in shared], [second[row] for row in shared]

    def change(one: Criterion, other: Criterion) -> Interval:
        sides = [one.values[i] for i in a], [other.values[i] for i in b]
        if one.reach is None or other.reach is None:
            return paired_bootstrap(*sides, seed=seed, level=one.level).difference
        difference = np.array(sides[1]) - np.array(sides[0])
        return mean_interval(difference, reach=max(one.reach, other.reach), level=one.level)

    there = {criterion.name: criterion for criterion in above.criteria}
    changes = {
        criterion.name: change(criterion, there[criterion.name])
        for criterion in below.criteria
        if criterion.name in there
    }
    facts: dict[str, Any] = {}
    if isinstance(below, LabelEvidence) and isinstance(above, LabelEvidence):
        right = [below.right[i] for i in a], [above.right[i] for i in b]
        facts = {"accuracy_gain": -changes["wrong"].value, "p_value": mcnemar(*right).p_value}
        if "brier" in changes:
            facts["brier_change"] = Figure.of(changes["brier"])
    return Comparison(
        below=below.rung,
        above=above.rung,
        rows=len(shared),
        loss_change=Figure.of(change(below.loss, above.loss)),
        better=any(one.high < 0 for one in changes.values()) and not any(one.low > 0 for one in changes.values()),
        **facts,
    )
