"""The figure of the best of several candidates: what it is off by, by simulation, with the correction and without."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import norm

from fewshot_llm.stats import (
    Contest,
    cheapest_within_noise,
    fold_weights,
    held_out_choice,
    share_interval,
    smallest_loss,
    unless_beaten,
)

ROWS, SAMPLES = 32, 1500
WORLDS = {
    "equal": np.full(10, 0.8),
    "equal and good": np.full(10, 0.9),
    "slightly unequal": np.linspace(0.8, 0.88, 10),
    "unequal": np.linspace(0.6, 0.85, 10),
    "two are good": np.array([0.9, 0.88] + [0.7] * 8),
    "one is best": np.array([0.9] + [0.75] * 9),
}


def slow_reference(losses, values, weights):
    found = []
    for row in range(values.shape[1]):
        told = []
        for draw in weights:
            if draw[row] == 0:
                means = [np.average(of_one, weights=draw) for of_one in losses]
                told.append(values[min(range(len(means)), key=lambda i: round(means[i], 9)), row])
        found.append(np.mean(told))
    return found


@given(st.integers(0, 200), st.integers(1, 6), st.integers(2, 12))
def test_it_is_what_the_slow_reference_says(seed, candidates, rows):
    generator = np.random.default_rng(seed)
    losses = generator.exponential(size=(candidates, rows))
    values = (losses < 0.7).astype(float)
    weights = fold_weights(rows, seed=seed, repeats=3)
    found = held_out_choice(smallest_loss(losses), values, weights)
    np.testing.assert_allclose(found, slow_reference(losses, values, weights))


@given(st.integers(2, 40), st.integers(0, 50))
def test_every_row_is_held_out_equally_often(rows, seed):
    weights = fold_weights(rows, seed=seed, repeats=4)
    assert ((weights == 0).sum(axis=0) == 4).all()
    sizes = (weights == 0).sum(axis=1)
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(weights, fold_weights(rows, seed=seed, repeats=4))


def test_one_candidate_needs_no_correction():
    right = np.array([[1.0, 0.0, 1.0, 1.0]])
    found = held_out_choice(smallest_loss(1 - right), right, fold_weights(4, seed=0))
    np.testing.assert_array_equal(found, right[0])


def test_of_equal_candidates_the_first_is_chosen():
    same = np.ones((3, 4))
    assert (smallest_loss(same)(fold_weights(4, seed=0)) == 0).all()


def test_what_cannot_be_held_out_is_refused():
    with pytest.raises(ValueError, match="got 1"):
        fold_weights(1, seed=0)
    with pytest.raises(ValueError, match="row 2 was held out of no choice"):
        held_out_choice(smallest_loss(np.ones((2, 3))), np.ones((2, 3)), np.array([[0.0, 0.0, 1.0]]))


def slow_cheapest(losses, contests, costs, draw):
    rows = [row for row in range(len(draw)) if draw[row]]
    best = min(range(len(losses)), key=lambda i: losses[i, rows].mean())
    level = []
    for i in range(len(losses)):
        bounds = []
        for one in contests:
            change = one.values[best, rows] - one.values[i, rows]
            pseudo = [change.mean() + side * one.reach for side in (1, 1, -1, -1)] if one.reach else []
            spread = sum((value - change.mean()) ** 2 for value in [*change, *pseudo])
            half = norm.ppf(0.5 + one.level / 2) * np.sqrt(spread) / len(rows)
            bounds.append((change.mean() - half, change.mean() + half))
        better = any(high < 0 for _, high in bounds) and not any(low > 0 for low, _ in bounds)
        if not better:
            level.append(i)
    return min(level, key=lambda i: costs[i])


@given(st.integers(0, 200), st.permutations([1.0, 2.0, 2.0, 3.0]), st.sampled_from([0.0, 0.3]))
def test_the_cheapest_is_what_the_slow_reference_says(seed, costs, reach):
    generator = np.random.default_rng(seed)
    losses = generator.exponential(size=(4, 12)) * np.array([[1.0], [1.0], [0.7], [0.4]])
    contests = [Contest((losses > 0.7).astype(float), 0.6827), Contest(losses, 0.95, reach)]
    weights = fold_weights(12, seed=seed, repeats=2)
    found = cheapest_within_noise(losses, contests, costs)(weights)
    assert found.tolist() == [slow_cheapest(losses, contests, costs, draw) for draw in weights]


def bootstrap_weights(rows, seed, draws=500):
    return np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), size=draws).astype(float)


@cache
def simulated(name, correlation):
    """Mean of each estimate minus the true accuracy of the chosen candidate, and how often its interval holds that.

    A row's margin is a candidate's own strength, the row's difficulty, which all share, and chance.
    """
    accuracies = WORLDS[name]
    generator = np.random.default_rng(1)
    folds, bootstraps = fold_weights(ROWS, seed=0, repeats=40), bootstrap_weights(ROWS, seed=0, draws=200)
    off = {"uncorrected": [], "folds": [], "bootstrap": []}
    held = []
    for sample in range(SAMPLES):
        own = generator.normal(size=(len(accuracies), ROWS)) * np.sqrt(1 - correlation)
        margins = norm.ppf(accuracies)[:, np.newaxis] + own + generator.normal(size=ROWS) * np.sqrt(correlation)
        losses, right = np.logaddexp(0, -2 * margins), (margins > 0).astype(float)
        chosen = losses.mean(axis=1).argmin()
        by_folds = held_out_choice(smallest_loss(losses), right, folds)
        by_bootstrap = held_out_choice(smallest_loss(losses), right, bootstraps)
        for way, figure in (("uncorrected", right[chosen]), ("folds", by_folds), ("bootstrap", by_bootstrap)):
            off[way].append(figure.mean() - accuracies[chosen])
        if sample % 5 == 0:
            interval = share_interval(by_folds)
            held.append(interval.low <= accuracies[chosen] <= interval.high)
    return {way: float(np.mean(values)) for way, values in off.items()} | {"held": float(np.mean(held))}


@pytest.mark.parametrize("correlation", [0.3, 0.7])
@pytest.mark.parametrize("name", WORLDS)
def test_the_corrected_accuracy_is_unbiased_within_one_point(name, correlation):
    assert abs(simulated(name, correlation)["folds"]) < 0.01


@pytest.mark.parametrize("name", [name for name in WORLDS if name != "one is best"])
def test_the_uncorrected_accuracy_is_not(name):
    found = simulated(name, 0.3)
    assert found["uncorrected"] > 0.02
    assert found["uncorrected"] > 3 * abs(found["folds"])


def test_bootstraps_correct_too_much_where_one_candidate_is_best():
    # They leave a choice .63 of the rows: then it errs more often than the choice that was really made.
    assert simulated("one is best", 0.3)["bootstrap"] < -0.015


@pytest.mark.parametrize("correlation", [0.3, 0.7])
@pytest.mark.parametrize("name", WORLDS)
def test_its_interval_holds_the_truth(name, correlation):
    assert simulated(name, correlation)["held"] > 0.92


def test_its_interval_has_a_width_where_all_rows_are_right():
    right = np.ones((3, ROWS))
    interval = share_interval(held_out_choice(smallest_loss(1 - right), right, fold_weights(ROWS, seed=0)))
    assert interval.low < 0.9 < interval.high == 1.0


def test_a_favourite_is_chosen_unless_it_is_beaten_by_more_than_noise():
    generator = np.random.default_rng(0)
    best = generator.normal(0, 1, ROWS)
    level, worse = best + 0.02 + np.tile([1.0, -1.0], ROWS // 2), best + generator.normal(2, 1, ROWS)
    everything = np.ones((1, ROWS))
    for other, expected in ((level, 1), (worse, 0)):
        losses = np.stack([best, other])
        assert smallest_loss(losses)(everything).tolist() == [0]
        assert unless_beaten(losses, [Contest(losses, 0.6827)], 1)(everything).tolist() == [expected]
