"""What an order of candidates is worth: hit@k, reciprocal rank, nDCG, each with a bootstrap interval over choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fewshot_llm.evaluation.intervals import Interval, bootstrap
from fewshot_llm.scoring.base import FloatArray

__all__ = ["hit_at", "mean_reciprocal_rank", "ndcg", "ranks"]


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


def hit_at(found: FloatArray, k: int = 1, *, seed: int, draws: int = 1000, level: float = 0.95) -> Interval:
    """Share of choices whose answer is among the first k.

    Args:
        found: ranks, shape [choices].
        k: how many are looked at.
        seed: of the bootstrap.
        draws: bootstrap resamples.
        level: the interval's level.
    """
    return _mean((found <= k).astype(np.float64), seed, draws, level)


def mean_reciprocal_rank(found: FloatArray, *, seed: int, draws: int = 1000, level: float = 0.95) -> Interval:
    """Mean of 1 / rank."""
    return _mean(1 / found, seed, draws, level)


def ndcg(found: FloatArray, *, seed: int, draws: int = 1000, level: float = 0.95) -> Interval:
    """Normalised discounted cumulative gain with one relevant candidate: the mean of 1 / log2(1 + rank)."""
    return _mean(1 / np.log2(1 + found), seed, draws, level)


def _mean(values: FloatArray, seed: int, draws: int, level: float) -> Interval:
    def figure(rows: npt.NDArray[np.int64]) -> float:
        return float(values[rows].mean()) if len(rows) else float("nan")

    return bootstrap(figure, len(values), seed=seed, draws=draws, level=level)
