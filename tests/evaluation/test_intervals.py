from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from fewshot_llm.evaluation.intervals import bootstrap, crossed_bootstrap, mcnemar, paired_bootstrap, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)],
)
def test_wilson_gives_published_values(successes, n, low, high):
    """The last two are Newcombe's (1998) worked examples."""
    interval = wilson(successes, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8, 0.95])
def test_wilson_covers_the_truth_as_often_as_it_says(p):
    """Exact coverage over all outcomes, for 200 rows."""
    n = 200
    covered = [interval.low <= p <= interval.high for interval in (wilson(k, n) for k in range(n + 1))]
    coverage = float(binom.pmf(np.arange(n + 1), n, p) @ np.array(covered))
    assert coverage == pytest.approx(0.95, abs=0.02)


@given(n=st.integers(1, 500), data=st.data())
def test_wilson_holds_its_value_and_mirrors(n, data):
    k = data.draw(st.integers(0, n))
    interval, mirrored = wilson(k, n), wilson(n - k, n)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high)


def test_no_rows_say_nothing():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="successes"):
        wilson(3, 2)


def test_bootstrap_agrees_with_the_normal_interval_of_a_mean():
    values = np.random.default_rng(0).normal(5, 2, 400)
    interval = bootstrap(lambda rows: float(values[rows].mean()), 400, seed=1)
    half = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.04)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.04)
    assert interval == bootstrap(lambda rows: float(values[rows].mean()), 400, seed=1)
    assert interval != bootstrap(lambda rows: float(values[rows].mean()), 400, seed=2)


def test_the_crossed_bootstrap_sees_both_rows_and_seeds():
    """Seeds that differ widen the interval; a single seed gives that of the rows."""
    generator = np.random.default_rng(0)
    alike = (generator.random((3, 300)) < 0.8).astype(float)
    differing = np.stack([(generator.random(300) < p).astype(float) for p in (0.6, 0.8, 1.0)])
    narrow, wide = crossed_bootstrap(alike, seed=0), crossed_bootstrap(differing, seed=0)
    assert narrow.value == pytest.approx(alike.mean())
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    one = crossed_bootstrap(alike[:1], seed=0)
    reference = wilson(int(alike[0].sum()), 300)
    assert (one.low, one.high) == pytest.approx((reference.low, reference.high), abs=0.01)


def test_the_crossed_bootstrap_covers_the_mean_over_new_seeds_and_rows():
    generator = np.random.default_rng(3)
    covered = 0
    for repeat in range(200):
        by_seed, by_row = generator.normal(0, 0.5, (8, 1)), generator.normal(0, 1.0, (1, 60))
        values = 1.0 + by_seed + by_row + generator.normal(0, 0.5, (8, 60))
        interval = crossed_bootstrap(values, seed=repeat, draws=400)
        covered += interval.low <= 1.0 <= interval.high
    assert 0.86 <= covered / 200 <= 1.0


def test_mcnemar_is_the_binomial_test_of_discordant_rows():
    first = np.array([True] * 50 + [True] * 2 + [False] * 12 + [False] * 6)
    second = np.array([True] * 50 + [False] * 2 + [True] * 12 + [False] * 6)
    found = mcnemar(first, second)
    assert (found.first_only, found.second_only) == (2, 12)
    assert found.p_value == pytest.approx(2 * binom.cdf(2, 14, 0.5))
    assert found.difference.value == pytest.approx(10 / 70)
    assert mcnemar(first, first).p_value == 1.0
    assert mcnemar(second, first).difference.value == pytest.approx(-10 / 70)


def test_mcnemar_rarely_cries_wolf():
    generator = np.random.default_rng(0)
    alarms = [mcnemar(*(generator.random((2, 100)) < 0.8)).p_value < 0.05 for _ in range(300)]
    assert np.mean(alarms) <= 0.06


def test_the_paired_bootstrap_finds_what_is_there():
    generator = np.random.default_rng(0)
    first = generator.normal(1.0, 1.0, 200)
    better = paired_bootstrap(first, first - 0.1 + generator.normal(0, 0.1, 200), seed=0)
    assert better.p_value < 0.01
    assert better.difference.high < 0
    same = paired_bootstrap(first, first, seed=0)
    assert (same.p_value, same.difference.value, same.first_only, same.second_only) == (1.0, 0.0, 0, 0)


def test_both_sides_must_be_the_same_rows():
    for compare in (mcnemar, lambda a, b: paired_bootstrap(a, b, seed=0)):
        with pytest.raises(ValueError, match="same rows"):
            compare([True, False], [True])
    assert paired_bootstrap([], [], seed=0).p_value == 1.0
    assert mcnemar([], []).p_value == 1.0
