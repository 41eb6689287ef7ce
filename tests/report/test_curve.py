"""What more rows are worth, by a power law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fewshot_llm.evaluation import Extrapolation, extrapolate, power_law, power_law_value, sizes
from tests.report.conftest import MakeResult


@given(a=st.floats(0.05, 0.9), b=st.floats(-0.2, 1.0))
def test_a_power_law_is_found_again(a: float, b: float) -> None:
    x = np.array([2.0, 4.0, 8.0, 32.0])
    fit = power_law(x, a * x**-b, np.array([1e9]))
    assert np.exp(fit[0]) == pytest.approx(a, rel=1e-4)
    assert fit[1] == pytest.approx(b, abs=1e-4)
    assert power_law_value(fit, 64.0) == pytest.approx(min(a * 64.0**-b, 1.0), rel=1e-3)


def test_many_fits_at_once_are_the_fits_one_by_one() -> None:
    x, generator = np.array([4.0, 8.0, 16.0]), np.random.default_rng(0)
    rates, counts = generator.uniform(0.05, 0.5, (5, 2, 3)), np.array([30.0, 60.0])
    together = power_law(x, rates, counts)
    for draw in range(5):
        for group in range(2):
            alone = power_law(x, rates[draw, group], counts[group])
            assert together[draw, group] == pytest.approx(alone)


def test_the_gain_of_a_known_curve_lies_in_the_interval(make_result: MakeResult) -> None:
    found = extrapolate(make_result(rows=600))
    assert isinstance(found, Extrapolation)
    truth = 0.6 * (16**-0.5 - 36**-0.5)
    assert found.overall.gain.low <= truth <= found.overall.gain.high
    assert found.overall.sure
    assert found.close
    assert (found.rows, found.more) == (16, 20)
    assert found.sizes[-1] == pytest.approx(36)
    assert [worth.share for worth in found.by_class] == [0.5, 0.5]
    assert sum(worth.gain.value for worth in found.by_class) == pytest.approx(found.overall.gain.value, abs=0.01)


def test_a_curve_that_flattens_at_its_end_promises_little(make_result: MakeResult) -> None:
    steep = {1: 0.67, 2: 0.54, 4: 0.30, 8: 0.30}
    found = extrapolate(make_result((1, 2, 4, 8), error=lambda k: steep[k]))
    assert isinstance(found, Extrapolation)
    assert not found.overall.sure


def test_a_curve_that_is_no_power_law_is_called_a_guess(make_result: MakeResult) -> None:
    found = extrapolate(make_result(error=lambda k: {0: 0.9, 4: 0.7, 8: 0.65, 16: 0.02}[k], rows=600))
    assert isinstance(found, Extrapolation)
    assert not found.close


def test_a_flat_curve_promises_nothing(make_result: MakeResult) -> None:
    found = extrapolate(make_result(error=lambda k: 0.3))
    assert isinstance(found, Extrapolation)
    assert not found.overall.sure
    assert found.overall.gain.low <= 0 <= found.overall.gain.high


def test_perfect_answers_leave_nothing_to_gain(make_result: MakeResult) -> None:
    found = extrapolate(make_result(error=lambda k: -1.0))
    assert isinstance(found, Extrapolation)
    assert abs(found.overall.gain.value) < 0.01


def test_the_same_result_gives_the_same_numbers(make_result: MakeResult) -> None:
    assert extrapolate(make_result()) == extrapolate(make_result())


def test_nothing_is_said_where_the_data_do_not_allow_it(make_result: MakeResult) -> None:
    assert extrapolate(make_result((0, 4, 8))) == "too few sizes"
    assert extrapolate(make_result((4,))) == "too few sizes"
    assert extrapolate(make_result((1, 2, 4))) == "too far"
    assert extrapolate(make_result((4, 8, 16), support_rows=32)) == "same rows"


def test_sizes_are_rows_and_not_demonstrations(make_result: MakeResult) -> None:
    assert sizes(make_result((2, 4), support_rows=12)) == {2: 6.0, 4: 6.0}
