"""Mixtures: a pool of log-probabilities; its weights keep out what knows nothing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from fewshot_llm.data import Example
from fewshot_llm.ladder.rungs import fit_weights
from fewshot_llm.predictors import LabelProbabilities, MixturePredictor, Predictor, pooled

ROWS, LABELS = 60, 3
TARGETS = np.arange(ROWS) % LABELS


def member(seed, strength, rows=ROWS, targets=TARGETS):
    """Log-probabilities that lean towards the right label by `strength` nats, with noise of one nat."""
    draw = np.random.default_rng(seed)
    scores = draw.normal(0, 1, (rows, LABELS))
    scores[np.arange(rows), targets] += strength
    return log_softmax(scores, axis=1)


class Told(Predictor):
    """Says what it was told."""

    def __init__(self, table, name):
        self.table, self.name = table, name

    @property
    def labels(self):
        return ("a", "b", "c")

    @property
    def fingerprint(self):
        return self.name

    def answer(self, queries, progress=None):
        rows = [int(query.text) for query in queries]
        if progress:
            progress(len(rows), len(rows))
        return LabelProbabilities(self.table[rows], tuple(f"{self.name}{row}" for row in rows))


def test_a_mixture_says_the_pool_of_its_members():
    tables = [member(0, 2.0), member(1, 1.0)]
    mixture = MixturePredictor((Told(tables[0], "x"), Told(tables[1], "y")), ("one", "two"), (0.7, 0.4))
    told = []
    found = mixture.answer([Example.of(str(row)) for row in (4, 2)], lambda *done: told.append(done))
    scores = 0.7 * tables[0][[4, 2]] + 0.4 * tables[1][[4, 2]]
    np.testing.assert_allclose(found.log_probabilities, scores - np.log(np.exp(scores).sum(1, keepdims=True)))
    assert told == [(1, 2), (2, 2)]
    assert len(set(found.fingerprints)) == 2
    assert mixture.members == mixture.parts


@pytest.mark.parametrize("seed", range(5))
def test_what_is_no_better_than_a_guess_gets_no_weight(seed):
    good = member(seed, 3.0)
    for noise in (member(100 + seed, 0.0), np.full((ROWS, LABELS), -np.log(LABELS)), member(200 + seed, -1.0)):
        assert fit_weights(np.stack([noise, good]), TARGETS).tolist() == [0, 1]


@pytest.mark.parametrize("seed", range(5))
def test_a_weak_member_costs_a_strong_one_little(seed):
    """Their plain mean would cost much."""
    weights = fit_weights(np.stack([member(seed, 0.7), member(50 + seed, 5.0)]), TARGETS)
    assert weights[1] > 0.8


def test_two_that_err_in_different_places_answer_together():
    gains = []
    for seed in range(10):
        weights = fit_weights(np.stack([member(seed, 1.5), member(50 + seed, 1.5)]), TARGETS)
        others = np.arange(3000) % LABELS
        tables = [member(900 + seed, 1.5, 3000, others), member(950 + seed, 1.5, 3000, others)]
        losses = [-table[np.arange(3000), others].mean() for table in (*tables, pooled(tables, weights.tolist()))]
        assert (weights > 0.2).all()
        gains.append(min(losses[:2]) - losses[2])
    assert np.mean(gains) > 0.05


def test_at_most_three_have_a_weight():
    weights = fit_weights(np.stack([member(seed, 1.0) for seed in range(6)]), TARGETS)
    assert 2 <= (weights > 0).sum() <= 3
    np.testing.assert_allclose(weights.sum(), 1)


def test_the_same_member_twice_is_as_good_as_once():
    table, other = member(3, 2.0), member(4, 1.5)
    once, twice = fit_weights(np.stack([table, other]), TARGETS), fit_weights(np.stack([table, table, other]), TARGETS)
    before, after = pooled([table, other], once.tolist()), pooled([table, table, other], twice.tolist())
    np.testing.assert_allclose(np.exp(before), np.exp(after), atol=0.05)


def test_the_weights_are_those_of_a_slow_mean():
    """Two members: eleven pools, each by its own prior and likelihood."""
    tables = np.stack([member(1, 1.0), member(2, 1.5)])
    total = weighed = 0.0
    for tenths in range(11):
        share = np.array([tenths, 10 - tenths]) / 10
        prior = 1 / 2 if tenths in (0, 10) else 2 / 9
        log_p = log_softmax(np.tensordot(share, tables, axes=1), axis=1)
        mass = prior * np.exp(log_p[np.arange(ROWS), TARGETS].sum() + 50)
        total, weighed = total + mass, weighed + mass * share[0]
    np.testing.assert_allclose(fit_weights(tables, TARGETS), [weighed / total, 1 - weighed / total], atol=1e-9)
