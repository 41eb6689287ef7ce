"""Single rows and weak labels."""

from __future__ import annotations

import math

import numpy as np

from fewshot_llm.evaluation import Row, class_figures, least_sure, mixups, surest_mistakes
from tests.report.conftest import run_of

P = np.array([[0.7, 0.3], [0.1, 0.9], [0.45, 0.55], [0.99, 0.01]])
RUN = run_of(1, 0, np.array([0, 0, 0, 1]), np.log(P))
ROWS = [Row("a", "good"), Row("b", "good"), Row("c", "good"), Row("d", "bad")]


def test_surest_mistakes_come_first() -> None:
    found = surest_mistakes(RUN, ROWS, ("good", "bad"))
    assert [(one.number, one.text, one.given, round(one.probability, 2)) for one in found] == [
        (4, "d", "good", 0.99),
        (2, "b", "bad", 0.9),
        (3, "c", "bad", 0.55),
    ]
    assert not any(one.right for one in found)


def test_least_sure_rows_come_first() -> None:
    found = least_sure(RUN, ROWS, ("good", "bad"), most=2)
    assert [(one.text, one.runner_up, round(one.runner_up_probability, 2)) for one in found] == [
        ("c", "good", 0.45),
        ("a", "bad", 0.3),
    ]


def test_weak_labels_come_first_and_absent_ones_are_left_out() -> None:
    found = class_figures(("a", "b", "c"), [[8, 2, 0], [5, 5, 0], [0, 0, 0]])
    assert [(one.label, one.rows, one.found.value) for one in found] == [("b", 10, 0.5), ("a", 10, 0.8)]
    assert found[1].trusted.value == 8 / 13
    assert math.isnan(class_figures(("a", "b"), [[0, 3], [0, 3]])[0].trusted.value)


def test_commonest_mixups_come_first() -> None:
    assert [(one.label, one.given, one.rows) for one in mixups(("a", "b", "c"), [[1, 2, 0], [0, 1, 5], [0, 0, 9]])] == [
        ("b", "c", 5),
        ("a", "b", 2),
    ]
