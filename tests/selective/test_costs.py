"""Costs of errors: what is read, what is decided, and everything that may be wrong with a table of costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import log_softmax

from fewshot_llm.errors import TaskError
from fewshot_llm.selective import Costs, fit_shift, read_costs

LABELS = ("normal", "spam")
DEAR_SPAM = {"normal": {"spam": 1}, "spam": {"normal": 4}}


def test_least_expected_cost_is_a_threshold_for_two_labels() -> None:
    """Missing spam costs four times a false alarm: spam is said from a probability of one fifth on."""
    costs = Costs.of(DEAR_SPAM, LABELS)
    p = np.array([[0.81, 0.19], [0.79, 0.21]])
    assert costs.decide(np.log(p), (0, 0))[0].tolist() == [0, 1]


def test_review_is_asked_for_where_it_is_cheaper() -> None:
    costs = Costs.of(DEAR_SPAM, LABELS, review=0.5)
    p = np.array([[0.99, 0.01], [0.5, 0.5], [0.45, 0.55]])
    assert costs.decide(np.log(p), (0, 0))[1].tolist() == [False, False, False]
    assert Costs.of(DEAR_SPAM, LABELS, review=0.4).decide(np.log(p), (0, 0))[1].tolist() == [False, True, True]


@given(st.integers(2, 5), st.integers(0, 10**6))
def test_decision_is_the_cheapest_of_all(labels: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    names = [f"label {i}" for i in range(labels)]
    table = chance.random((labels, labels))
    costs = Costs.of({a: {b: table[i, j] for j, b in enumerate(names) if i != j} for i, a in enumerate(names)}, names)
    log_p = log_softmax(chance.normal(size=(7, labels)), axis=1)
    said, _ = costs.decide(log_p, (0.0,) * labels)
    for row, best in zip(np.exp(log_p), said, strict=True):
        slow = [sum(row[i] * table[i, j] for i in range(labels) if i != j) for j in range(labels)]
        assert slow[best] == pytest.approx(min(slow))


def test_shift_mends_probabilities_that_are_off() -> None:
    """Every probability of spam is far too low; the rows say so."""
    chance = np.random.default_rng(0)
    targets = chance.integers(0, 2, 60)
    margin = np.where(targets == 1, 1.0, -3.0) + chance.normal(size=60) * 0.5 - 2.0
    log_p = log_softmax(np.column_stack([np.zeros(60), margin]), axis=1)
    costs = Costs.of({"normal": {"spam": 1}, "spam": {"normal": 1}}, LABELS)
    shift = fit_shift(costs, log_p, targets)
    assert (costs.decide(log_p, (0, 0))[0] == targets).mean() < 0.7
    assert (costs.decide(log_p, shift)[0] == targets).mean() > 0.95


def test_rows_that_are_right_shift_nothing() -> None:
    log_p = np.log(np.array([[0.9, 0.1], [0.1, 0.9]]))
    assert fit_shift(Costs.of(DEAR_SPAM, LABELS), log_p, np.array([0, 1])) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        ({"normal": {"spam": -1}, "spam": {"normal": 1}}, "cost of saying 'spam' of a row that is 'normal' is -1"),
        ({"normal": {"spam": 1}}, "nothing of saying 'normal' of a row that is 'spam'"),
        ({"normal": {"spam": "1"}, "spam": {"normal": 1}}, "expected a number of 0 or more"),
        ({"normal": {"spam": float("nan")}, "spam": {"normal": 1}}, "expected a number of 0 or more"),
        ({"normal": {"spam": True}, "spam": {"normal": 1}}, "expected a number of 0 or more"),
        ({"normal": {"spam": 1, "normal": 2}, "spam": {"normal": 1}}, "that is no error"),
        ({"normal": {"spma": 1}, "spam": {"normal": 1}}, "'spma', which is not a label. Did you mean spam"),
        ({"normal": 1, "spam": {"normal": 1}}, "expected a cost for each label"),
    ],
)
def test_bad_costs(costs: dict[str, object], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        Costs.of(costs, LABELS)


def test_file(tmp_path: Path) -> None:
    file = tmp_path / "costs.toml"
    file.write_text("review = 0.2\n[costs.normal]\nspam = 1\n[costs.spam]\nnormal = 5\n", encoding="utf-8")
    assert read_costs(file, LABELS) == Costs(LABELS, ((0.0, 1.0), (5.0, 0.0)), 0.2)
    file.write_text("cost = 1", encoding="utf-8")
    with pytest.raises(TaskError, match=r"unknown key 'cost'\. Did you mean costs"):
        read_costs(file, LABELS)
    file.write_text("[costs", encoding="utf-8")
    with pytest.raises(TaskError, match="not valid TOML"):
        read_costs(file, LABELS)
    file.write_text("review = -1\n[costs.normal]\nspam = 1\n[costs.spam]\nnormal = 5\n", encoding="utf-8")
    with pytest.raises(TaskError, match=r"costs\.toml: The cost of a review is -1"):
        read_costs(file, LABELS)
