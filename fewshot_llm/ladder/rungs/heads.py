"""What the rungs with a linear head share: variants are judged out of fold, and one is chosen by nested folds.

A variant may learn from the labels' own words as well: a row for each label, which counts as much as a share of the
rows that the label has. With few rows that is the largest single gain; where it is none, the share is chosen to be 0.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse

from fewshot_llm.ladder.base import Candidate, Climb, Rung
from fewshot_llm.ladder.evidence import label_evidence
from fewshot_llm.predictors.linear import Features, LinearHead, LinearPredictor, Matrix, fit_head
from fewshot_llm.stats.calibration import fit_bias_temperature, fit_temperature
from fewshot_llm.types import FloatArray, IntArray

__all__ = ["Fitted", "Variant", "fit_with_words", "propose_head"]

FOLDS = 5
"""Ten are no better."""


@dataclass(frozen=True)
class Fitted:
    """A head that was fitted to some of the rows.

    Attributes:
        features: learned from these rows as well, where they learn.
        head: its weights.
        ask: scores of other rows by their positions, nats, shape [rows, labels].
    """

    features: Features = field(repr=False)
    head: LinearHead = field(repr=False)
    ask: Callable[[Sequence[int]], FloatArray] = field(repr=False)


@dataclass(frozen=True)
class Variant:
    """One way of fitting a head.

    Attributes:
        settings: what it does, as plain values for a record.
        fit: a head fitted to the rows at these positions.
    """

    settings: Mapping[str, Any]
    fit: Callable[[Sequence[int]], Fitted] = field(repr=False)


def fit_with_words(matrix: Matrix, targets: IntArray, words: Matrix, share: float, strength: float) -> LinearHead:
    """A head that learns from labelled rows and from the labels' words.

    Args:
        matrix: features of the rows, shape [rows, width].
        targets: label positions, shape [rows].
        words: features of each label's words, shape [labels, width].
        share: how much these count, as a share of the mean number of rows of a label; 0 leaves them out.
        strength: as for `fit_head`.
    """
    labels = words.shape[0]
    if not share:
        return fit_head(matrix, targets, labels, strength)
    join = scipy.sparse.vstack if scipy.sparse.issparse(matrix) else np.concatenate
    weights = np.r_[np.ones(len(targets)), np.full(labels, share * len(targets) / labels)]
    return fit_head(join([matrix, words]), np.r_[targets, np.arange(labels)], labels, strength, weights)


def propose_head(
    rung: Rung, climb: Climb, variants: Sequence[Variant], started: float, seconds_per_1000: float
) -> Candidate:
    """The variant with the smallest calibrated log loss out of fold; what that choice is worth, by nested folds.

    Args:
        rung: who proposes.
        climb: gives rows, labels and folds.
        variants: from the plainest up; the first of equals is taken.
        started: when the rung began, of `time.perf_counter`.
        seconds_per_1000: what answering costs.
    """
    problem, splits = climb.problem, climb.folds(FOLDS)
    everything, targets = range(len(climb.support)), problem.targets
    tables = [_held_out(variant, splits, len(targets), len(problem.labels)) for variant in variants]
    estimate = np.empty_like(tables[0])
    for learn, held in splits:
        table = tables[_best(tables, targets, learn)]
        calibration = fit_bias_temperature(table[list(learn)], targets[list(learn)])
        estimate[list(held)] = calibration.log_probabilities(table[list(held)])
    best = _best(tables, targets, everything)
    evidence = label_evidence(
        rung.name,
        everything,
        targets,
        estimate,
        time.perf_counter() - started,
        title=rung.title,
        settings={**variants[best].settings, "variants_tried": len(variants)},
        seed=climb.seed,
        seconds_per_1000=seconds_per_1000,
    )

    def build() -> LinearPredictor:
        fitted = variants[best].fit(everything)
        calibration = fit_bias_temperature(tables[best], targets)
        return LinearPredictor(problem.labels, fitted.features, fitted.head, calibration)

    return Candidate(evidence, estimate, build)


def _best(tables: Sequence[FloatArray], targets: IntArray, rows: Sequence[int]) -> int:
    """Which table has the smallest log loss on these rows, each at its best temperature."""
    losses = []
    for table in tables:
        scores, right = table[list(rows)], targets[list(rows)]
        found = fit_temperature(scores, right).log_probabilities(scores)
        losses.append(round(float(-found[np.arange(len(right)), right].mean()), 9))
    return int(np.argmin(losses))


def _held_out(variant: Variant, splits: Any, rows: int, labels: int) -> FloatArray:
    scores = np.empty((rows, labels))
    for learn, held in splits:
        scores[list(held)] = variant.fit(learn).ask(held)
    return scores
