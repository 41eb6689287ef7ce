"""What the rungs with a linear head share: variants are scored out of fold, and one is chosen by nested folds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fewshot_llm.ladder.base import Candidate, Climb, Rung
from fewshot_llm.ladder.evidence import label_evidence
from fewshot_llm.predictors.linear import Features, LinearHead, LinearPredictor, Matrix, fit_head
from fewshot_llm.stats.calibration import fit_temperature, nested_choice
from fewshot_llm.types import FloatArray

__all__ = ["FOLDS", "HeadVariant", "held_out_scores", "propose_head"]

FOLDS = 10
"""A head is fitted in milliseconds; with many folds each sees nearly as many rows as the one that is served."""


@dataclass(frozen=True)
class HeadVariant:
    """One way of fitting a head.

    Attributes:
        settings: what it does, as plain values for a record.
        scores: of the support rows, each by a head that did not see it, nats, shape [rows, labels].
        fit: the features and the head, fitted on all rows.
    """

    settings: dict[str, Any]
    scores: FloatArray = field(repr=False)
    fit: Callable[[], tuple[Features, LinearHead]] = field(repr=False)


def held_out_scores(climb: Climb, matrix: Matrix, strength: float, extra: Matrix | None = None) -> FloatArray:
    """Scores of the support rows out of fold, nats, shape [rows, labels].

    Args:
        climb: gives rows, labels and folds.
        matrix: features that learned nothing from the rows, shape [rows, width].
        strength: as for `fit_head`.
        extra: a further row for each label, learned from in every fold, shape [labels, width].
    """
    targets, labels = climb.problem.targets, len(climb.problem.labels)
    scores = np.empty((len(targets), labels))
    for learn, held in climb.folds(FOLDS):
        rows = list(learn)
        head = fit_head(*with_extra(matrix[rows], targets[rows], extra), labels, strength)
        scores[list(held)] = head.scores(matrix[list(held)])
    return scores


def with_extra(matrix: Matrix, targets: Any, extra: Matrix | None) -> tuple[Matrix, Any]:
    """Rows and targets, and behind them a row for each label where there are some."""
    if extra is None:
        return matrix, targets
    return np.concatenate([matrix, extra]), np.concatenate([targets, np.arange(len(extra))])


def propose_head(
    rung: Rung, climb: Climb, variants: Sequence[HeadVariant], started: float, seconds_per_1000: float
) -> Candidate:
    """The variant with the smallest calibrated log loss out of fold; what that choice is worth, by nested folds.

    Args:
        rung: who proposes.
        climb: gives rows, labels and folds.
        variants: from the plainest up; the first of equals is taken.
        started: when the rung began, of `time.perf_counter`.
        seconds_per_1000: what answering costs.
    """
    problem = climb.problem
    tables = [variant.scores for variant in variants]
    best, estimate = nested_choice(tables, problem.targets, climb.folds(FOLDS), calibrate=fit_temperature)
    chosen = variants[best]
    evidence = label_evidence(
        rung.name,
        range(len(problem.targets)),
        problem.targets,
        estimate,
        time.perf_counter() - started,
        title=rung.title,
        settings={**chosen.settings, "variants_tried": len(variants)},
        seed=climb.seed,
        seconds_per_1000=seconds_per_1000,
    )

    def build() -> LinearPredictor:
        calibration = fit_temperature(chosen.scores, problem.targets)
        return LinearPredictor(problem.labels, *chosen.fit(), calibration)

    return Candidate(evidence, estimate, build)
