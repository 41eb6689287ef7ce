from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, log_loss as sklearn_log_loss, recall_score, roc_auc_score

from fewshot_llm.stats import (
    accuracy,
    area_under_curve,
    balanced_accuracy,
    confusion,
    expected_calibration_error,
    log_loss,
    macro_f1,
)

labels_of = arrays(np.int64, 30, elements=st.integers(0, 3))


@settings(max_examples=25, deadline=None)
@given(targets=labels_of, predictions=labels_of)
def test_values_are_those_of_scikit_learn(targets, predictions):
    f1 = macro_f1(targets, predictions, 4, seed=0, draws=20)
    assert f1.value == pytest.approx(f1_score(targets, predictions, average="macro", zero_division=0.0))
    assert f1.low <= f1.high
    balanced = balanced_accuracy(targets, predictions)
    recalls = recall_score(targets, predictions, labels=np.unique(targets), average="macro", zero_division=0.0)
    assert balanced.value == pytest.approx(recalls)
    assert accuracy(targets, predictions).value == pytest.approx((targets == predictions).mean())


def test_macro_f1_resamples_agree_with_scikit_learn():
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 3, 150)
    predictions = np.where(generator.random(150) < 0.7, targets, generator.integers(0, 3, 150))
    ours = macro_f1(targets, predictions, 3, seed=4, draws=300)
    again = np.random.default_rng(4)
    figures = []
    for _ in range(300):
        rows = again.integers(0, 150, 150)
        figures.append(f1_score(targets[rows], predictions[rows], average="macro", zero_division=0.0))
    low, high = np.quantile(figures, [0.025, 0.975])
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.01)
    assert (ours.low <= low, high <= ours.high) == (True, True)


def test_log_loss_is_scikit_learns_and_finite_at_zero():
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]])
    targets = np.array([0, 1, 1])
    found = log_loss(targets, p)
    assert found.value == pytest.approx(sklearn_log_loss(targets, p))
    assert found.low <= found.value <= found.high
    assert np.isfinite(log_loss(np.array([1]), np.array([[1.0, 0.0]])).value)


def test_calibration_error_by_hand():
    """Two rows at .9 of which one is right, two at .6 which are both right: (2·.4 + 2·.4) / 4."""
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert expected_calibration_error(np.array([0, 1, 0, 0]), p, seed=0).value == pytest.approx(0.4)


def test_a_calibrated_model_has_a_small_calibration_error():
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.ones(3), 5000)
    targets = np.array([generator.choice(3, p=row) for row in p])
    assert expected_calibration_error(targets, p, seed=0, draws=10).value < 0.03
    certain = np.eye(3)[p.argmax(axis=1)]
    assert expected_calibration_error(targets, certain, seed=0, draws=10).value > 0.2


def test_certainty_of_one_falls_in_the_last_bin():
    assert expected_calibration_error(np.array([0]), np.array([[1.0, 0.0]]), seed=0).value == 0.0


def test_area_under_the_curve_is_scikit_learns():
    generator = np.random.default_rng(3)
    targets, scores = generator.integers(0, 2, 60), generator.integers(0, 9, 60) / 9  # many scores are equal
    assert area_under_curve(targets, scores, seed=0).value == pytest.approx(roc_auc_score(targets, scores))


def test_area_under_the_curve():
    targets = np.array([0, 0, 1, 1])
    assert area_under_curve(targets, np.array([0.1, 0.4, 0.35, 0.8]), seed=0).value == pytest.approx(0.75)
    assert np.isnan(area_under_curve(np.zeros(3, dtype=np.int64), np.arange(3.0), seed=0).value)


def test_confusion_counts_every_label():
    assert confusion(np.array([0, 0, 1]), np.array([0, 2, 1]), 3) == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_no_rows_give_no_figures_and_no_warnings():
    none, table = np.empty(0, dtype=np.int64), np.empty((0, 2))
    for interval in (
        macro_f1(none, none, 2, seed=0),
        balanced_accuracy(none, none),
        log_loss(none, table),
        expected_calibration_error(none, table, seed=0),
        area_under_curve(none, np.empty(0), seed=0),
    ):
        assert np.isnan(interval.value)


def test_answers_that_are_all_right_are_no_certainty():
    targets = np.arange(8) % 2
    p = np.where(np.eye(2)[targets] == 1, 0.99, 0.01)
    intervals = (
        accuracy(targets, targets),
        balanced_accuracy(targets, targets),
        macro_f1(targets, targets, 2, seed=0),
        log_loss(targets, p),
        expected_calibration_error(targets, p, seed=0),
        area_under_curve(targets, p[:, 1], seed=0),
    )
    assert min(one.high - one.low for one in intervals) > 0.2
