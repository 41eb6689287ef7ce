from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from fewshot_llm.errors import CalibrationError
from fewshot_llm.stats import (
    Batch,
    Calibration,
    Contextual,
    OutOfFold,
    Uncalibrated,
    batch,
    contextual,
    fit_bias_temperature,
    identity,
)


def rows_with(bias: np.ndarray, per_class: int, seed: int, sharpness: float = 2.0):
    """Scores of a model that separates the classes, is `sharpness` times too sure and leans towards `bias`."""
    generator = np.random.default_rng(seed)
    labels = len(bias)
    targets = np.repeat(np.arange(labels), per_class)
    scores = generator.normal(0, 1.3, (len(targets), labels))
    scores[np.arange(len(targets)), targets] += 2.0
    return sharpness * (scores + bias), targets


def loss(calibration: Calibration, scores: np.ndarray, targets: np.ndarray) -> float:
    return float(-calibration.log_probabilities(scores)[np.arange(len(targets)), targets].mean())


def right(calibration: Calibration, scores: np.ndarray, targets: np.ndarray) -> float:
    return float((calibration.probabilities(scores).argmax(axis=1) == targets).mean())


@pytest.mark.parametrize("bias", [[2.0, -2.0], [0.0, 1.5, -1.5], [3.0, 0.0, 0.0, 0.0]])
def test_eight_rows_mend_a_biased_model(bias):
    scores, targets = rows_with(np.array(bias), per_class=8 // len(bias) + 1, seed=1)
    unseen = rows_with(np.array(bias), per_class=800, seed=2)
    fitted = fit_bias_temperature(scores, targets)
    assert loss(fitted, *unseen) < 0.75 * loss(identity(len(bias)), *unseen)
    assert right(fitted, *unseen) > right(identity(len(bias)), *unseen) + 0.05


@pytest.mark.parametrize("labels", [27, 77])
def test_many_classes_with_few_rows_are_not_hurt(labels):
    """A model without bias: 4 rows per class must not invent one."""
    unseen = rows_with(np.zeros(labels), per_class=20, seed=0)
    lost = []
    for seed in range(3):
        fitted = fit_bias_temperature(*rows_with(np.zeros(labels), per_class=4, seed=10 + seed))
        lost.append(right(identity(labels), *unseen) - right(fitted, *unseen))
    assert np.mean(lost) < 0.01


def test_many_classes_with_a_bias_are_mended():
    bias = np.random.default_rng(5).normal(0, 1, 27)
    unseen = rows_with(bias, per_class=20, seed=0)
    fitted = fit_bias_temperature(*rows_with(bias, per_class=4, seed=1))
    assert right(fitted, *unseen) > right(identity(27), *unseen) + 0.07


def test_the_true_temperature_is_found_on_many_rows():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (4000, 3))
    p = identity(3).probabilities(logits)
    targets = np.array([generator.choice(3, p=row) for row in p])
    fitted = fit_bias_temperature(3 * logits, targets)
    assert fitted.temperature == pytest.approx(3.0, rel=0.1)
    assert np.abs(fitted.bias).max() < 0.15


def test_unequal_classes_do_not_tilt_the_bias():
    """Forty rows of one class and ten of the other: balanced classes are assumed, so the bias stays near zero."""
    generator = np.random.default_rng(0)
    targets = np.repeat([0, 1], [400, 100])
    logits = generator.normal(0, 1, (500, 2))
    logits[np.arange(500), targets] += 1.0
    fitted = fit_bias_temperature(logits, targets)
    assert abs(fitted.bias[0] - fitted.bias[1]) < 0.4
    assert np.log(4) > 1.3  # what the bias would be if frequencies leaked in


def test_a_perfectly_separated_set_keeps_a_finite_temperature():
    scores = np.array([[9.0, 0.0], [8.0, 1.0], [0.0, 9.0], [1.0, 8.0]])
    fitted = fit_bias_temperature(scores, [0, 0, 1, 1])
    assert 0.2 < fitted.temperature < 1.5


def test_the_optimum_is_where_the_gradient_vanishes():
    """The formula in the docstring, written out again, is stationary at the fitted point."""
    scores, targets = rows_with(np.array([1.0, 0.0, -1.0]), per_class=5, seed=3)
    fitted = fit_bias_temperature(scores, targets)
    bias = np.array(fitted.bias)
    log_frequency = np.log((np.bincount(targets) + 0.5) / (len(targets) + 1.5))

    def without_prior_on_bias(point):
        logits = point[0] * scores + point[1:] + log_frequency
        logits = logits - logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -log_p[np.arange(len(targets)), targets].sum() + point[0] - 1 - np.log(point[0])

    step = 1e-5
    point = np.r_[1 / fitted.temperature, bias]
    gradient = np.array(
        [
            (without_prior_on_bias(point + step * unit) - without_prior_on_bias(point - step * unit)) / (2 * step)
            for unit in np.eye(len(point))
        ]
    )
    assert abs(gradient[0]) < 0.02
    # the rest of the gradient is balanced by the prior's: −b / σ², one σ for all labels
    spread = np.sqrt(-bias / gradient[1:])
    assert spread == pytest.approx(np.full(3, spread[0]), rel=0.05)
    assert 0.249 <= spread[0] <= 4.01


@settings(max_examples=40, deadline=None)
@given(data=st.data(), labels=st.integers(2, 6), rows=st.integers(1, 20))
def test_a_constant_added_to_a_row_changes_nothing(data, labels, rows):
    scores = data.draw(arrays(np.float64, (rows, labels), elements=st.floats(-20, 0)))
    shift = data.draw(arrays(np.float64, (rows, 1), elements=st.floats(-50, 50)))
    targets = data.draw(arrays(np.int64, rows, elements=st.integers(0, labels - 1)))
    plain, shifted = fit_bias_temperature(scores, targets), fit_bias_temperature(scores + shift, targets)
    assert plain.probabilities(scores) == pytest.approx(shifted.probabilities(scores + shift), abs=1e-4)
    assert batch(scores).probabilities(scores) == pytest.approx(batch(scores + shift).probabilities(scores), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), labels=st.integers(2, 5), rows=st.integers(2, 15))
def test_the_order_of_rows_and_labels_does_not_matter(data, labels, rows):
    scores = data.draw(arrays(np.float64, (rows, labels), elements=st.floats(-15, 0)))
    targets = data.draw(arrays(np.int64, rows, elements=st.integers(0, labels - 1)))
    order = np.array(data.draw(st.permutations(range(rows))))
    names = np.array(data.draw(st.permutations(range(labels))))
    plain = fit_bias_temperature(scores, targets)
    moved = fit_bias_temperature(scores[order][:, names], np.argsort(names)[targets[order]])
    assert np.array(plain.bias)[names] == pytest.approx(np.array(moved.bias), abs=2e-3)
    assert plain.temperature == pytest.approx(moved.temperature, rel=2e-3)


@settings(max_examples=50, deadline=None)
@given(
    scores=arrays(np.float64, (4, 3), elements=st.floats(-700, 700)),
    bias=st.tuples(*[st.floats(-30, 30)] * 3),
    temperature=st.floats(0.05, 50),
)
def test_probabilities_sum_to_one(scores, bias, temperature):
    p = Calibration(bias, temperature).probabilities(scores)
    assert np.all(p >= 0)
    assert p.sum(axis=1) == pytest.approx(np.ones(4))


def test_no_rows_or_one_label_is_the_identity():
    assert fit_bias_temperature(np.empty((0, 3)), []) == identity(3)
    assert fit_bias_temperature(np.ones((4, 1)), [0] * 4) == identity(1)
    assert identity(3).keeps_order
    assert not Calibration((0.0, 1.0)).keeps_order


def test_contextual_and_batch_make_the_mean_flat():
    scores = np.array([[-1.0, -4.0, -2.0]])
    for calibration in (contextual(scores), batch(scores)):
        assert calibration.probabilities(scores) == pytest.approx(np.full((1, 3), 1 / 3))
    assert batch(np.empty((0, 3))).keeps_order


@pytest.mark.parametrize(
    ("scores", "targets", "word"),
    [
        ([[0.0, np.nan]], [0], "number"),
        ([[0.0, -np.inf]], [0], "infinite"),
        ([[0.0, 1.0]], [2], "0…1"),
        ([[0.0, 1.0]], [0, 1], "as many targets"),
        ([0.0, 1.0], [0], "table"),
    ],
)
def test_unusable_scores_are_refused(scores, targets, word):
    with pytest.raises(CalibrationError, match=word):
        fit_bias_temperature(np.array(scores), targets)


@pytest.mark.parametrize(("bias", "temperature"), [((), 1.0), ((np.nan,), 1.0), ((0.0,), 0.0), ((0.0,), np.inf)])
def test_an_impossible_calibration_is_refused(bias, temperature):
    with pytest.raises(CalibrationError):
        Calibration(bias, temperature)


@dataclass
class Recorded:
    """Evidence that remembers what it was asked for."""

    labels: int = 2
    asked: list[str] = field(default_factory=list)

    def held_out(self):
        self.asked.append("held out")
        return np.array([[0.0, -1.0], [0.0, -3.0]]), np.array([0, 1])

    def unlabelled(self, texts):
        self.asked.append(f"{len(texts)} texts")
        return np.array([[0.0, -2.0]] * len(texts))


@pytest.mark.parametrize(
    ("method", "asked", "name"),
    [
        (OutOfFold(), ["held out"], "out-of-fold"),
        (Contextual(), ["3 texts"], "contextual"),
        (Batch(), ["held out"], "batch"),
        (Batch(("a", "b")), ["2 texts"], "batch"),
        (Uncalibrated(), [], "none"),
    ],
)
def test_a_method_asks_only_for_what_it_needs(method, asked, name):
    evidence = Recorded()
    assert method.fit(evidence).method == name
    assert evidence.asked == asked
