"""Rung `mixture`: the rungs below, weighed by what their answers to unseen rows are worth.

It is no luckier choice among them but a hedge: its own answers out of fold come from weights that four fifths of the
rows have fitted, so that it looks a little worse than it is. It is kept unless another is better by more than noise.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import ClassVar

import numpy as np
from scipy.special import softmax

from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.evidence import LabelEvidence, label_evidence
from fewshot_llm.predictors.mixture import MixturePredictor, pooled
from fewshot_llm.types import FloatArray, IntArray, Text

__all__ = ["Mixture", "fit_weights"]

MOST = 3
"""Members of a pool: more cost more, and few rows cannot weigh them."""

STEPS = 10
"""Weights are multiples of a tenth."""

PRIOR = (1.0, 2.0, 4.0)
"""Of pools of one, two and three members, before a row has been looked at."""

LEAST = 0.05
"""A smaller mean weight is none."""

FOLDS = 5
ALONE = Text("fewer than two rungs were measured on every row", "在所有样例上评估过的方法不足两种")
ONE_IS_ENOUGH = Text("no second rung adds to the best one", "没有第二种方法能为最好的一种增益")


@dataclass(frozen=True)
class Mixture(Rung):
    """A log-opinion pool of the rungs below; at most three of them."""

    name: ClassVar[str] = "mixture"
    title: ClassVar[Text] = Text("mixture", "混合")
    hedges: ClassVar[bool] = True

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
    """Weights of a log-opinion pool: their posterior mean.

    All pools of at most three members are weighed by what they make of the rows, not the best one of them taken: with
    few rows many are about as good, and what they agree in is safer than any. A member that is no better than a guess
    is left out from the start.

    Args:
        tables: log P(label | text) out of fold, nats, shape [members, rows, labels].
        targets: label positions, shape [rows].

    Returns:
        Shape [members], 0 or more, at most three above 0; they sum to 1.
    """
    rows = np.arange(len(targets))
    losses = -tables[:, rows, targets].mean(axis=1)
    best = int(losses.round(9).argmin())
    kept = [member for member in range(len(tables)) if losses[member] < np.log(tables.shape[2]) or member == best]
    while True:
        points, prior = _simplex(len(kept))
        likelihood = [_log_likelihood(point, tables[kept], targets) for point in points]
        mean = softmax(np.array(likelihood) + prior) @ points
        heaviest = [place for place in np.argsort(-mean, kind="stable")[:MOST] if mean[place] >= LEAST]
        if len(heaviest) == len(kept):
            break
        kept = sorted(kept[place] for place in heaviest)
    weights = np.zeros(len(tables))
    weights[kept] = mean / mean.sum()
    return weights


def _log_likelihood(point: FloatArray, tables: FloatArray, targets: IntArray) -> float:
    members = np.flatnonzero(point)
    log_p = pooled(list(tables[members]), point[members].tolist())
    return float(log_p[np.arange(len(targets)), targets].sum())


@cache
def _simplex(members: int) -> tuple[FloatArray, FloatArray]:
    """Weights of all pools, shape [points, members], and their log prior: first how many, then which, then how much."""
    points, prior = [], []
    for size in range(1, min(MOST, members) + 1):
        pools = list(combinations(range(members), size))
        shares = [np.diff((0, *cuts, STEPS)) / STEPS for cuts in combinations(range(1, STEPS), size - 1)]
        for pool in pools:
            for share in shares:
                point = np.zeros(members)
                point[list(pool)] = share
                points.append(point)
                prior.append(np.log(PRIOR[size - 1]) - np.log(len(pools) * len(shares)))
    return np.array(points), np.array(prior)
