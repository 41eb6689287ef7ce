"""Rung `mixture`: the rungs below, weighed by what their answers to unseen rows are worth."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.evidence import LabelEvidence, label_evidence
from fewshot_llm.predictors.mixture import MixturePredictor, pooled
from fewshot_llm.types import FloatArray, IntArray, Text

__all__ = ["Mixture", "fit_weights"]

MOST = 3
FOLDS = 10
ALONE = Text("fewer than two rungs were measured on every row", "在所有样例上评估过的方法不足两种")
ONE_IS_ENOUGH = Text("no second rung adds to the best one", "没有第二种方法能为最好的一种增益")

PRICE = 1.0
"""Of a unit of weight on another member than the best: so many nats of the support rows' log-likelihood in all. A
member that adds nothing gets no weight at all, and one that adds as little as chance does (half a nat) none either."""


@dataclass(frozen=True)
class Mixture(Rung):
    """A log-opinion pool of the rungs below; at most three of them."""

    name: ClassVar[str] = "mixture"
    title: ClassVar[Text] = Text("mixture", "混合")

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Fit the weights on out-of-fold answers; what the fitting is worth is told by folds of these."""
        started = time.perf_counter()
        rows = tuple(range(len(climb.support)))
        below = [
            one for one in climb.candidates if isinstance(one.evidence, LabelEvidence) and one.evidence.rows == rows
        ]
        if len(below) < 2:
            return Skipped(ALONE)
        tables, targets = np.stack([one.out_of_fold for one in below]), climb.problem.targets
        weights = fit_weights(tables, targets)
        members = [place for place, weight in enumerate(weights) if weight > 0]
        if len(members) < 2:
            return Skipped(ONE_IS_ENOUGH)
        estimate = np.empty_like(tables[0])
        for learn, held in climb.folds(FOLDS):
            without = fit_weights(tables[:, list(learn)], targets[list(learn)])
            estimate[list(held)] = pooled(list(tables[:, list(held)]), without.tolist())
        kept = [below[place] for place in members]
        names = tuple(one.evidence.rung for one in kept)
        shares = tuple(float(weights[place]) for place in members)
        costs = [one.evidence.seconds_per_1000 for one in kept]
        evidence = label_evidence(
            self.name,
            rows,
            targets,
            estimate,
            time.perf_counter() - started,
            title=self.title,
            settings={"weights": dict(zip(names, (round(share, 4) for share in shares), strict=True))},
            seed=climb.seed,
            seconds_per_1000=None if None in costs else sum(cost or 0.0 for cost in costs),
        )

        def build() -> MixturePredictor:
            return MixturePredictor(tuple(one.build() for one in kept), names, shares)

        return Candidate(evidence, estimate, build)


def fit_weights(tables: FloatArray, targets: IntArray) -> FloatArray:
    r"""Weights of a log-opinion pool.

    With the members' log-probabilities L_k, it minimises

    .. math:: \sum_i -\log \operatorname{softmax}_{y_i}(\sum_k w_k L_{ki}) + \sum_{k \ne b} w_k + (s - 1 - \log s)

    over w ≥ 0, where b is the best member alone and s the sum of the weights: the price keeps members out that add
    nothing, and the last term is the weight of one row that says that the pool is as sure as it should be. More than
    three members are cut to the three heaviest, and these are weighed anew.

    Args:
        tables: log P(label | text) out of fold, nats, shape [members, rows, labels].
        targets: label positions, shape [rows].

    Returns:
        Shape [members], 0 or more, at most three above 0.
    """
    losses = [-table[np.arange(len(targets)), targets].mean() for table in tables]
    best = int(np.argmin(np.round(losses, 9)))
    weights = _weighed(tables, targets, best)
    heaviest = sorted(np.argsort(-weights, kind="stable")[:MOST].tolist())
    if (weights > 0).sum() > MOST:
        weights = np.zeros(len(tables))
        weights[heaviest] = _weighed(tables[heaviest], targets, heaviest.index(best) if best in heaviest else 0)
    return weights


def _weighed(tables: FloatArray, targets: IntArray, best: int) -> FloatArray:
    members, rows, _ = tables.shape
    price = np.full(members, PRICE)
    price[best] = 0.0

    def objective(weights: FloatArray) -> tuple[float, FloatArray]:
        total = max(float(weights.sum()), 1e-9)
        log_p = log_softmax(np.tensordot(weights, tables, axes=1), axis=1)
        right = tables[:, np.arange(rows), targets]
        expected = (np.exp(log_p) * tables).sum(axis=2)
        value = -log_p[np.arange(rows), targets].sum() + price @ weights + total - 1 - np.log(total)
        return float(value), (expected - right).sum(axis=1) + price + 1 - 1 / total

    start = np.zeros(members)
    start[best] = 1.0
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * members)
    weights: FloatArray = np.where(found.x < 1e-3, 0.0, found.x)
    return weights
