"""The threshold with the best F1."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, strategies as st
from sklearn.metrics import f1_score

from fewshot_llm.predictors import best_threshold


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=20))
@example([(0.0, False), (5e-324, True)])
@example([(0.5, False), (float(np.nextafter(0.5, 1)), True)])
def test_no_other_threshold_is_better(rows: list[tuple[float, bool]]) -> None:
    p, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    threshold = best_threshold(p, truth)
    assert 0 <= threshold <= 1
    if truth.any():
        best = max(f1_score(truth, p >= other, zero_division=0.0) for other in [0.5, *p, 0.0])
        assert f1_score(truth, p >= threshold, zero_division=0.0) >= best - 1e-9


def test_label_without_an_example_keeps_one_half() -> None:
    assert best_threshold(np.array([0.9, 0.1]), np.array([False, False])) == 0.5


def test_nearest_to_one_half_of_equals() -> None:
    assert best_threshold(np.array([0.1, 0.9]), np.array([False, True])) == 0.5
