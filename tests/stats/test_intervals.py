"""Intervals: known values, what they cover by simulation, and that none is a certainty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, t

from eval.interval_coverage import Covered, covered, differences, shares
from fewshot_llm.stats import (
    balanced_share_interval,
    bootstrap,
    difference_interval,
    estimand,
    loss_reach,
    mcnemar,
    mean_bounds,
    mean_interval,
    paired_bootstrap,
    proportion,
    rows_needed,
    share_interval,
)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_proportion_gives_published_values(successes, n, low, high):
    """Newcombe's (1998) worked examples, method 5 (Clopper and Pearson)."""
    interval = proportion(successes, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("n", [4, 10, 30, 100, 300])
def test_proportion_covers_every_truth(n):
    """Exact coverage over all outcomes, for accuracies on a grid up to 1; Wilson's interval falls to .84 there."""
    bounds = np.array([(found.low, found.high) for found in (proportion(k, n) for k in range(n + 1))])
    for p in (*np.linspace(0.5, 1, 101), 1 - 0.05 / n, 1 - 0.17 / n):
        held = (bounds[:, 0] <= p) & (p <= bounds[:, 1])
        assert binom.pmf(np.arange(n + 1), n, p) @ held >= 0.95 - 1e-9


@given(n=st.integers(1, 500), data=st.data())
def test_proportion_holds_its_value_and_mirrors(n, data):
    k = data.draw(st.integers(0, n))
    interval, mirrored = proportion(k, n), proportion(n - k, n)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high)
    table = np.arange(n) < k
    again = share_interval(table)
    assert (again.value, again.low, again.high) == pytest.approx((interval.value, interval.low, interval.high))


def test_no_rows_say_nothing():
    assert (proportion(0, 0).low, proportion(0, 0).high) == (0.0, 1.0)
    assert (share_interval([]).low, share_interval([]).high) == (0.0, 1.0)
    assert np.isnan(mean_interval([], reach=1).low)
    with pytest.raises(ValueError, match="successes"):
        proportion(3, 2)


def test_four_right_answers_are_no_certainty():
    for table in (np.ones(4), np.ones((2, 4)), np.ones((5, 4))):
        found = share_interval(table)
        assert (found.value, found.high) == (1.0, 1.0)
        assert found.low == pytest.approx(0.025**0.25)


def test_rows_needed_are_those_from_which_the_interval_tells():
    needed = rows_needed(1.0, 0.9)
    assert proportion(needed, needed).low >= 0.9 > proportion(needed - 1, needed - 1).low
    below = rows_needed(0.8, 0.9)
    assert proportion(round(0.8 * below), below).high < 0.9
    assert rows_needed(0.9, 0.9) is None
    assert rows_needed(0.9001, 0.9) is None


ROWS, DRAWS = (4, 10, 30, 300), (1, 2, 3, 4, 5)


def _failing(found: list[Covered]) -> list[Covered]:
    return [one for one in found if one.coverage < 0.93 or one.narrowest <= 0]


def test_intervals_of_accuracies_cover_what_they_say():
    """4 to 300 rows, 1 to 5 draws, accuracy .5 to 1, draws that err independently to alike, equally good or not."""
    cells = list(shares(ROWS, DRAWS, (0.5, 0.9, 0.97, 1.0)))
    found = [covered(cell, 800, np.random.default_rng((7, at))) for at, cell in enumerate(cells)]
    assert {one.cell.draws for one in found} == set(DRAWS)
    assert _failing(found) == []


def test_intervals_of_differences_cover_what_they_say():
    """Pairs with and without a difference, from sides that err independently to sides that hardly ever differ."""
    cells = list(differences((4, 30, 300), (1, 3, 5), ((0.5, 0.5), (0.97, 0.97), (0.9, 1.0))))
    found = [covered(cell, 800, np.random.default_rng((8, at))) for at, cell in enumerate(cells)]
    assert _failing(found) == []


def test_the_method_that_was_replaced_fails_this_simulation():
    """The check can fail: the pigeonhole bootstrap has no width in small samples that agree."""
    cells = list(shares((4, 30), (1, 3), (0.95,)))
    found = [covered(cell, 60, np.random.default_rng((9, at)), replaced=True) for at, cell in enumerate(cells)]
    assert len(_failing(found)) > len(found) / 2


@pytest.mark.parametrize(("a", "b"), [(2, 2), (5, 1), (20, 1)])
def test_intervals_of_log_losses_cover_the_truth(a, b):
    """Calibrated answers of two labels, unsure to sure: losses are small, now and then large."""
    generator = np.random.default_rng(0)
    everything = generator.beta(a, b, 400_000)
    truth = -(everything * np.log(everything) + (1 - everything) * np.log1p(-everything)).mean()
    for rows in (4, 30, 300):
        p = generator.beta(a, b, (1000, 1, rows))
        losses = -np.log(np.where(generator.random(p.shape) < p, p, 1 - p))
        _, low, high = mean_bounds(losses, reach=loss_reach(2), least=0.0)
        assert ((low <= truth) & (truth <= high)).mean() >= 0.92
        assert (high - low).min() > 0


@given(arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 9)), elements=st.floats(0, 1)))
def test_no_interval_is_a_certainty(table):
    classes = np.arange(table.shape[1]) % 2
    intervals = (
        share_interval(table),
        balanced_share_interval(table, classes),
        difference_interval(table - table[::-1]),
        mean_interval(table * 0, reach=0.7, least=0.0),
    )
    for found in intervals:
        assert found.low <= found.value <= found.high
        assert found.high - found.low > 0.05
        assert found.estimand == estimand(len(table))


def test_draws_that_err_on_the_same_rows_count_once_and_others_count_more():
    generator = np.random.default_rng(0)
    one = (generator.random(300) < 0.8).astype(float)
    alike, apart = np.stack([one] * 4), (generator.random((4, 300)) < 0.8).astype(float)
    single, repeated, several = share_interval(one), share_interval(alike), share_interval(apart)
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high))
    assert several.high - several.low < 0.6 * (single.high - single.low)


def test_five_draws_speak_of_new_draws():
    """Draws that differ widen the interval from five on; for four, they are what is estimated."""
    generator = np.random.default_rng(0)
    differing = np.stack([(generator.random(300) < p).astype(float) for p in (0.6, 0.7, 0.8, 0.9, 1.0)])
    these, new = share_interval(differing[:4]), share_interval(differing)
    assert (these.estimand, new.estimand) == ("rows", "rows and draws")
    assert new.high - new.low > 3 * (these.high - these.low)


def test_balanced_shares_rest_on_the_smaller_class():
    right, classes = np.ones(300), np.r_[np.zeros(10), np.ones(290)]
    found = balanced_share_interval(right, classes)
    small, large = proportion(10, 10), proportion(290, 290)
    assert found.low == pytest.approx(1 - np.hypot(1 - small.low, 1 - large.low) / 2)


def test_a_mean_is_students_where_there_are_many_rows():
    values = np.random.default_rng(1).normal(5, 2, 2000)
    found = mean_interval(values, reach=1.0)
    half = t.ppf(0.975, 1999) * values.std(ddof=1) / np.sqrt(2000)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), rel=1e-4)


def test_bootstrap_agrees_with_the_interval_of_a_share():
    values = (np.random.default_rng(0).random(400) < 0.7).astype(float)
    interval = bootstrap(lambda rows: float(values[rows].mean()), 400, seed=1)
    reference = proportion(int(values.sum()), 400)
    assert (interval.low, interval.high) == pytest.approx((reference.low, reference.high), abs=0.006)
    assert interval == bootstrap(lambda rows: float(values[rows].mean()), 400, seed=1)


def test_bootstrap_of_rows_that_agree_has_width():
    found = bootstrap(lambda rows: 1.0, 40, seed=0, effective=4)
    assert (found.value, found.low, found.high) == pytest.approx((1.0, proportion(4, 4).low, 1.0))


def test_mcnemar_is_the_binomial_test_of_discordant_rows():
    first = np.array([True] * 50 + [True] * 2 + [False] * 12 + [False] * 6)
    second = np.array([True] * 50 + [False] * 2 + [True] * 12 + [False] * 6)
    found = mcnemar(first, second)
    assert (found.first_only, found.second_only) == (2, 12)
    assert found.p_value == pytest.approx(2 * binom.cdf(2, 14, 0.5))
    assert found.difference.value == pytest.approx(10 / 70)
    assert mcnemar(first, first).p_value == 1.0
    assert mcnemar(second, first).difference.value == pytest.approx(-10 / 70)
    agreed = mcnemar(first, first).difference
    assert agreed.low < 0 < agreed.high


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
