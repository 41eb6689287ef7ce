"""`SelectivePolicy`: which answers are kept back, and which label is given where errors differ in cost.

Its thresholds are fitted on calibrated answers to labelled rows that the model has not seen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from fewshot_llm.data import Example, Problem, SupportSet, folds
from fewshot_llm.data.language import normalise_text
from fewshot_llm.errors import CalibrationError, nearest
from fewshot_llm.predictors.base import Prediction, Predictor
from fewshot_llm.predictors.out_of_fold import score_held_out
from fewshot_llm.predictors.prompted import PromptedPredictor
from fewshot_llm.selective.costs import Costs, fit_shift, read_costs
from fewshot_llm.selective.out_of_scope import LabelledTexts, OutOfScopeDetector, fit_scope
from fewshot_llm.selective.risk_control import RiskThreshold, fit_contract
from fewshot_llm.stats.calibration import Calibration, calibrated_out_of_fold
from fewshot_llm.types import FloatArray, IntArray, Progress

__all__ = [
    "FittedPolicy",
    "OutOfFoldPredictions",
    "Reason",
    "SelectivePolicy",
    "SelectivePrediction",
    "Verdicts",
    "answers_of_rungs",
    "answers_out_of_fold",
    "fit_policy",
    "require_unseen",
]


FOLDS = 10
"""Of the calibration, which is fitted on the same rows; costs no model time."""


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Answers to labelled rows.

    Attributes:
        examples: the rows, without their labels.
        log_probabilities: calibrated log P(label | text), nats, shape [rows, labels].
        targets: positions of the right labels, shape [rows].
    """

    examples: tuple[Example, ...]
    log_probabilities: FloatArray
    targets: IntArray


def answers_out_of_fold(predictor: PromptedPredictor) -> OutOfFoldPredictions:
    """Answers to the support rows, each by demonstrations and a calibration that come from other rows.

    Args:
        predictor: what will be served.

    Raises:
        CalibrationError: no row can be held out.
    """
    support = predictor.inference.support
    draws = [score_held_out(predictor.inference, draw) for draw in range(len(predictor.calibrations))]
    rows = sorted(set.intersection(*(set(draw.rows.tolist()) for draw in draws)))
    if not rows:
        raise CalibrationError(
            "No labelled row can be held out: each is the only one of its class. Add rows, or give labelled rows of "
            "their own to fit on (--calibration-rows FILE)."
        )
    held = support.subset(rows)
    total = np.zeros((len(rows), len(predictor.inference.builder.labels)))
    for draw, calibration in zip(draws, predictor.calibrations, strict=True):
        here = np.searchsorted(draw.rows, rows)
        targets = draw.targets[here]
        total += _calibrate_others(draw.scores[here], held, targets, calibration)
    return OutOfFoldPredictions(
        tuple(Example(row.fields) for row in held), log_softmax(total / len(draws), axis=1), targets
    )


def answers_of_rungs(problem: Problem, rows: Sequence[int], log_probabilities: FloatArray) -> OutOfFoldPredictions:
    """Answers to the support rows as the ladder has measured them, by predictors that did not see the row.

    Args:
        problem: whose support rows they are.
        rows: positions of the rows that were answered.
        log_probabilities: calibrated log P(label | text), nats, shape [rows, labels].
    """
    held = tuple(Example(problem.support[row].fields) for row in rows)
    return OutOfFoldPredictions(held, log_probabilities, problem.targets[list(rows)])


def _calibrate_others(scores: FloatArray, held: SupportSet, targets: IntArray, served: Calibration) -> FloatArray:
    """Log-probabilities by the served kind of calibration, fitted without the row's fold where it learns from labels.

    Args:
        scores: out-of-fold label scores, nats, shape [rows, labels].
        held: the scored rows.
        targets: their labels' positions, shape [rows].
        served: the calibration that is served; only `out-of-fold` learns from labels.
    """
    splits = min(FOLDS, len({normalise_text(example.text) for example in held}))
    if served.method != "out-of-fold" or splits < 2:
        return served.log_probabilities(scores)
    return calibrated_out_of_fold(scores, targets, folds(held, splits))


def _answers_to_others(problem: Problem, predictor: Predictor, rows: SupportSet) -> OutOfFoldPredictions:
    """Answers to labelled rows that are not in the support set.

    Raises:
        CalibrationError: a row is in the support set, or has a label that the classifier does not know.
    """
    leaks = problem.support.leak_check(rows)
    if leaks:
        raise CalibrationError(
            f"{len(leaks)} of the calibration rows are in the support set (the first: {leaks[0].text[:60]!r}), so that "
            "they show nothing of what the model does with new ones. Leave them out."
        )
    labels = problem.labels
    unknown = sorted({str(row.label) for row in rows} - set(labels))
    if unknown:
        raise CalibrationError(
            f"The calibration rows have the label {unknown[0]!r}, which the classifier does not give. "
            f"{nearest(unknown[0], labels)}"
        )
    asked = tuple(Example(row.fields) for row in rows)
    targets = np.array([labels.index(str(row.label)) for row in rows], dtype=np.int64)
    return OutOfFoldPredictions(asked, predictor.answer(asked).log_probabilities, targets)


def require_unseen(trained_on: str | None, support: SupportSet) -> None:
    """Refuse to fit on rows that an adapter was trained on.

    Args:
        trained_on: fingerprint of the adapter's support set; None without an adapter, or where its folder does not say.
        support: the rows.

    Raises:
        CalibrationError: the adapter has seen these rows, or rows it does not show.
    """
    if trained_on is not None and (not len(support) or trained_on == support.fingerprint):
        raise CalibrationError(
            "The adapter was trained on the labelled rows, so that its answers to them show nothing of what it does "
            "with new ones. Give labelled rows of their own (--calibration-rows FILE)."
        )


Reason: TypeAlias = Literal["out_of_scope", "unsure", "review_is_cheaper"]
"""Why a row gets no label: it is unlike the labelled rows; the error contract does not hold for it; by the costs a
person's look is cheaper than the risk."""


@dataclass(frozen=True)
class SelectivePolicy:
    """What is asked of a classifier's answers. Everything may be left out.

    Attributes:
        max_error: of the rows that get a label, at most this share is wrong; see `selective.risk_control`.
        confidence: of that promise.
        costs: of errors: a mapping truth → said → cost, a TOML file, or `Costs`; see `selective.costs`.
        out_of_scope: detect rows that belong to no label, at this share of false alarms; see `selective.out_of_scope`.
        calibration: labelled rows of their own to fit the contract on; the support rows out of fold by default.
    """

    max_error: float | None = None
    confidence: float = 0.9
    costs: Costs | Mapping[str, Any] | str | os.PathLike[str] | None = None
    out_of_scope: float | None = None
    calibration: SupportSet | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SelectivePrediction(Prediction):
    """A prediction under a policy.

    Attributes:
        reason: why the label should not be used; `None` where it may.
    """

    reason: Reason | None = None


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What becomes of some answers.

    Attributes:
        labels: positions of the labels, shape [rows].
        reasons: why a row's label is not given; `None` where it is.
    """

    labels: IntArray
    reasons: tuple[Reason | None, ...]


@dataclass(frozen=True)
class FittedPolicy:
    """A policy that was fitted to a classifier.

    Attributes:
        costs: of errors.
        shift: of the labels' log-probabilities before costs are weighed, nats.
        contract: from which probability on a label is given.
        scope: tells rows that belong to no label.
    """

    costs: Costs | None = None
    shift: tuple[float, ...] = ()
    contract: RiskThreshold | None = None
    scope: OutOfScopeDetector | None = None

    @property
    def fingerprint(self) -> str:
        """Everything that may change a verdict, as one line; numbers to six digits."""
        parts = [
            self.costs and f"costs {self.costs.table} review {self.costs.review} shift {self.shift}",
            self.contract and f"max error {self.contract.max_error:g} from {self.contract.threshold or 2:.6f}",
            self.scope and f"scope {self.scope.fingerprint}",
        ]
        return "; ".join(part for part in parts if part)

    def judge(self, log_probabilities: FloatArray, queries: Sequence[Example], problem: Problem) -> Verdicts:
        """The label of each row, and whether it is given.

        Args:
            log_probabilities: log P(label | text), nats, shape [rows, labels].
            queries: the rows.
            problem: that was answered; the scope reads its support rows.
        """
        labels, reviewed = _decide(self.costs, self.shift, log_probabilities)
        reasons: list[Reason | None] = ["review_is_cheaper" if left else None for left in reviewed]
        if self.contract is not None:
            for row in np.flatnonzero(~self.contract.gives(_confidences(log_probabilities, labels))):
                reasons[row] = "unsure"
        if self.scope is not None:
            texts = [query.text for query in queries]
            for row in np.flatnonzero(self.scope.outside(texts, log_probabilities, _known(problem))):
                reasons[row] = "out_of_scope"
        return Verdicts(labels, tuple(reasons))

    def best(self, predictor: Predictor, queries: Sequence[Example], progress: Progress | None = None) -> IntArray:
        """The label's position for each query, whether it is given or not, shape [queries]."""
        if self.costs is None:
            return predictor.best(queries, progress)
        return _decide(self.costs, self.shift, predictor.answer(queries, progress).log_probabilities)[0]

    def apply(
        self,
        predictions: Sequence[Prediction],
        log_probabilities: FloatArray,
        queries: Sequence[Example],
        problem: Problem,
    ) -> list[Prediction]:
        """The predictions with the verdicts on them.

        Args:
            predictions: the classifier's.
            log_probabilities: they were made of, nats, shape [rows, labels].
            queries: the rows.
            problem: that was answered.
        """
        verdicts = self.judge(log_probabilities, queries, problem)
        names = problem.labels
        return [
            SelectivePrediction(
                **(vars(prediction) | {"label": names[label], "abstained": reason is not None}), reason=reason
            )
            for prediction, label, reason in zip(predictions, verdicts.labels, verdicts.reasons, strict=True)
        ]


def fit_policy(
    policy: SelectivePolicy,
    problem: Problem,
    predictor: Predictor,
    out_of_fold: Callable[[], OutOfFoldPredictions],
) -> FittedPolicy:
    """Fit what the policy asks for, on rows that the model has not seen.

    With a contract the costs are weighed as they are, without a shift: that would be fitted on the very rows that the
    promise rests on.

    Args:
        policy: what is asked.
        problem: that was answered.
        predictor: the fitted classifier's.
        out_of_fold: answers to the support rows that may be fitted on; asked only where they are needed.

    Raises:
        CalibrationError: too few rows for the promise; the message says how many are needed.
        TaskError: the costs are negative or miss a pair.
    """
    labels = problem.labels
    costs = _as_costs(policy.costs, labels)
    seen = cache(out_of_fold)  # costs model time
    shift: tuple[float, ...] = (0.0,) * len(labels)
    if costs is not None and policy.max_error is None:
        shift = fit_shift(costs, seen().log_probabilities, seen().targets)
    contract = None
    if policy.max_error is not None:
        rows = seen() if policy.calibration is None else _answers_to_others(problem, predictor, policy.calibration)
        contract = _contract(rows, costs, shift, policy.max_error, policy.confidence)
    scope = None
    if policy.out_of_scope is not None:
        known = LabelledTexts(tuple(example.text for example in seen().examples), seen().targets)
        scope = fit_scope(known, seen().log_probabilities, policy.out_of_scope)
    return FittedPolicy(costs, shift, contract, scope)


def _contract(
    rows: OutOfFoldPredictions, costs: Costs | None, shift: Sequence[float], max_error: float, confidence: float
) -> RiskThreshold:
    said, _ = _decide(costs, shift, rows.log_probabilities)
    confidences = _confidences(rows.log_probabilities, said)
    return fit_contract(confidences, said == rows.targets, max_error=max_error, confidence=confidence)


def _known(problem: Problem) -> LabelledTexts:
    return LabelledTexts(tuple(row.text for row in problem.support), problem.targets)


def _as_costs(costs: Costs | Mapping[str, Any] | str | os.PathLike[str] | None, labels: Sequence[str]) -> Costs | None:
    if costs is None or isinstance(costs, Costs):
        return costs
    return Costs.of(costs, labels) if isinstance(costs, Mapping) else read_costs(costs, labels)


def _decide(
    costs: Costs | None, shift: Sequence[float], log_probabilities: FloatArray
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    if costs is None:
        return log_probabilities.argmax(axis=1), np.zeros(len(log_probabilities), dtype=np.bool_)
    return costs.decide(log_probabilities, shift)


def _confidences(log_probabilities: FloatArray, labels: IntArray) -> FloatArray:
    result: FloatArray = np.exp(log_probabilities[np.arange(len(labels)), labels])
    return result
