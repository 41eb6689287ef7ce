"""Reliability, the undoing of a calibration, risk and coverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from fewshot_llm.evaluation import Evaluation, coverage_at, reliability, risk_coverage, uncalibrated
from fewshot_llm.stats import Calibration, expected_calibration_error
from tests.report.conftest import run_of

SCORES = hnp.arrays(np.float64, (6, 3), elements=st.floats(-8, 8))


@given(scores=SCORES, temperature=st.floats(0.3, 5), bias=hnp.arrays(np.float64, 3, elements=st.floats(-3, 3)))
def test_a_calibration_is_undone(scores: np.ndarray, temperature: float, bias: np.ndarray) -> None:
    calibration = Calibration(tuple(bias), temperature, "out-of-fold")
    run = run_of(4, 0, np.zeros(6, dtype=np.int64), calibration.log_probabilities(scores))
    raw = uncalibrated(replace(run, calibrations=(calibration,)))
    assert raw == pytest.approx(Calibration((0.0,) * 3).probabilities(scores), abs=1e-6)


def test_what_cannot_be_undone_is_not_shown(result: Evaluation) -> None:
    run = result.headline
    assert uncalibrated(replace(run, calibrations=run.calibrations * 2)) is None
    assert uncalibrated(replace(run, calibrations=(Calibration((0.0, 0.0)),))) is None


def test_bins_add_up_to_the_calibration_error(result: Evaluation) -> None:
    run = result.headline
    p = np.exp(run.log_probabilities)
    found = reliability(run.targets, p)
    assert sum(one.rows for one in found.bins) == len(run.targets)
    gaps = [one.rows / len(run.targets) * abs(one.accuracy.value - one.confidence) for one in found.bins]
    assert sum(gaps) == pytest.approx(expected_calibration_error(run.targets, p, seed=0).value)
    assert all(one.low <= one.confidence <= one.high + 1e-9 for one in found.bins)


def test_coverage_counts_the_surest_rows_first() -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.8, 0.2], [0.4, 0.6]])
    curve = risk_coverage(np.array([0, 0, 1, 0]), p)
    assert [(point.threshold, point.coverage, round(point.accuracy.value, 3)) for point in curve] == [
        (0.9, 0.25, 1.0),
        (0.8, 0.75, 0.667),
        (0.6, 1.0, 0.5),
    ]
    assert coverage_at(curve, 0.6) == curve[1]
    assert coverage_at(curve[1:], 0.9) is None


def test_the_whole_set_has_the_accuracy(result: Evaluation) -> None:
    run = result.headline
    last = risk_coverage(run.targets, np.exp(run.log_probabilities))[-1]
    assert (last.coverage, last.accuracy) == (1.0, run.figures.accuracy)
