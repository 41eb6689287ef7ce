"""From scores to numbers: expected values and corrections."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from fewshot_llm.predictors import Correction, Line, Linear, Monotone, Steps, expected, ridge_line

VALUES = np.array([1.0, 2.0, 3.0, 4.0, 5.0])


def scores_for(numbers: np.ndarray, sharpness: float = 1.0) -> np.ndarray:
    return -sharpness * (numbers[:, None] - VALUES) ** 2


@given(st.integers(0, 1000), st.sampled_from([0.5, 1.0, 4.0]))
def test_expected_value_lies_on_the_grid_and_heeds_no_constant(seed: int, temperature: float) -> None:
    scores = np.random.default_rng(seed).normal(size=(4, 5)) * 10
    found = expected(scores, VALUES, temperature)
    assert ((found >= 1) & (found <= 5)).all()
    assert expected(scores + 7.0, VALUES, temperature) == pytest.approx(found)


def test_line_mends_a_shifted_and_squeezed_model() -> None:
    truth = np.linspace(1, 5, 40)
    scores = scores_for(3 + (truth - 3) / 4)  # the model dares little
    raw = np.abs(expected(scores, VALUES) - truth).mean()
    mended = np.abs(Linear().fit(scores, VALUES, truth).read(scores, VALUES) - truth).mean()
    assert mended < 0.1 < 0.5 < raw


def test_scores_that_speak_against_the_targets_give_the_mean() -> None:
    truth = np.linspace(1, 5, 20)
    found = Linear().fit(scores_for(6 - truth), VALUES, truth)
    assert found.read(scores_for(truth), VALUES) == pytest.approx(np.full(20, 3.0))


def test_leave_one_out_error_is_that_of_refitting() -> None:
    generator = np.random.default_rng(0)
    x, noise = generator.normal(size=60), generator.normal(size=60)
    y = 2 * x + noise
    _, error = ridge_line(x, y)
    alpha = float(((x - x.mean()) ** 2).mean())
    refitted = cross_val_predict(Ridge(alpha=alpha), x[:, None], y, cv=LeaveOneOut())
    assert error == pytest.approx(float(((y - refitted) ** 2).mean()), rel=1e-2)


def test_monotone_follows_a_bend_that_a_line_cannot() -> None:
    truth = np.linspace(1, 5, 60)
    scores, bent = scores_for(truth), np.where(truth < 3, 1.0, 5.0)
    errors = [
        np.abs(method.fit(scores, VALUES, bent).read(scores, VALUES) - bent).mean() for method in (Linear(), Monotone())
    ]
    assert errors[1] < 0.1 < errors[0]


@given(st.integers(0, 1000))
def test_every_correction_ascends(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores, truth = generator.normal(size=(12, 5)) * 3, generator.uniform(1, 5, 12)
    for method in (Linear(), Monotone()):
        found = method.fit(scores, VALUES, truth).curve(np.linspace(1, 5, 30))
        assert (np.diff(found) >= -1e-9).all()


def test_two_rows_are_enough() -> None:
    for method in (Linear(), Monotone()):
        found = method.fit(scores_for(np.array([1.0, 5.0])), VALUES, np.array([1.0, 5.0]))
        assert np.isfinite(found.read(scores_for(VALUES), VALUES)).all()


def test_steps_are_flat_beyond_their_ends() -> None:
    assert Correction(1.0, Steps((2.0, 4.0), (1.0, 5.0))).read(scores_for(VALUES, 50), VALUES) == pytest.approx(
        [1, 1, 3, 5, 5], abs=1e-6
    )
    assert Line(1.0, 2.0)(np.array([3.0])).tolist() == [7.0]
