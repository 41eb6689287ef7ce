"""What an order of candidates is worth: hit@k, reciprocal rank, nDCG, each with an interval over choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewshot_llm.evaluation.intervals import Interval, share_interval
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


def hit_at(found: FloatArray, k: int = 1, level: float = 0.95) -> Interval:
    """Share of choices whose answer is among the first k.

    Args:
        found: ranks, shape [choices].
        k: how many are looked at.
        level: the interval's level.
    """
    return share_interval((found <= k).astype(np.float64), level)


def mean_reciprocal_rank(found: FloatArray, level: float = 0.95) -> Interval:
    """Mean of 1 / rank."""
    return share_interval(1 / found, level)


def ndcg(found: FloatArray, level: float = 0.95) -> Interval:
    """Normalised discounted cumulative gain with one relevant candidate: the mean of 1 / log2(1 + rank)."""
    return share_interval(1 / np.log2(1 + found), level)
