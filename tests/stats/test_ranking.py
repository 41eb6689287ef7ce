"""Ranks and what they are worth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.metrics import ndcg_score

from fewshot_llm.stats import hit_at, mean_reciprocal_rank, ndcg, ranks


def test_ranks_by_hand() -> None:
    assert ranks([np.array([3.0, 1.0, 2.0])] * 3, [0, 2, 1]).tolist() == [1, 2, 3]


def test_equal_scores_are_no_hit() -> None:
    found = ranks([np.zeros(4)], [0])
    assert found.tolist() == [2.5]
    assert hit_at(found).value == 0.0


def test_figures_by_hand() -> None:
    found = np.array([1.0, 2.0, 4.0])
    assert hit_at(found).value == pytest.approx(1 / 3)
    assert hit_at(found, 2).value == pytest.approx(2 / 3)
    assert mean_reciprocal_rank(found).value == pytest.approx((1 + 1 / 2 + 1 / 4) / 3)
    assert ndcg(found).value == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(5)) / 3)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=12, unique=True), st.data())
def test_ndcg_is_scikit_learns(scores: list[int], data: st.DataObject) -> None:
    answer = data.draw(st.integers(0, len(scores) - 1))
    relevance = np.eye(len(scores))[[answer]]
    own = ndcg(ranks([np.array(scores, dtype=float)], [answer])).value
    assert own == pytest.approx(ndcg_score(relevance, np.array([scores])))


def test_interval_narrows_with_choices() -> None:
    few, many = (hit_at(np.tile([1.0, 3.0], n)) for n in (10, 400))
    assert few.high - few.low > 2 * (many.high - many.low)
