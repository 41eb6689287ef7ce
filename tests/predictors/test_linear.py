"""Linear heads: rows do not depend on each other, heads agree with scikit-learn, fingerprints tell heads apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from fewshot_llm.data import Example
from fewshot_llm.predictors import HiddenFeatures, LinearHead, LinearPredictor, WordFeatures, fit_head
from fewshot_llm.scoring import OneWordState, one_word_states
from fewshot_llm.stats import Calibration

TEXTS = [
    "物流很快，质量也不错",
    "包装破损，客服态度差",
    "fast delivery, great quality",
    "the box was broken",
    "!!!",
    "",
]
QUERIES = [Example.of(text) for text in TEXTS]
KINDS = (("word", (1, 2)), ("char_wb", (1, 3)))
TARGETS = np.array([0, 1, 0, 1, 0, 1])


@pytest.fixture(scope="module")
def features():
    return WordFeatures.fit(KINDS, QUERIES)


@pytest.fixture(scope="module")
def predictor(features):
    head = fit_head(features.matrix(QUERIES), TARGETS, 2, 10.0)
    return LinearPredictor(("good", "bad"), features, head, Calibration((0.0, 0.0), temperature=2.0))


def test_terms_are_weighed_as_scikit_learn_does(features):
    slow = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    expected = slow.fit_transform(TEXTS).toarray()
    np.testing.assert_allclose(features.parts[0].matrix(TEXTS).toarray(), expected, atol=1e-12)


def test_a_row_does_not_depend_on_the_others(predictor):
    together = predictor.answer(QUERIES)
    alone = [predictor.answer([query]) for query in QUERIES]
    np.testing.assert_allclose(
        together.log_probabilities, np.concatenate([one.log_probabilities for one in alone]), atol=1e-12
    )
    assert together.fingerprints == tuple(one.fingerprints[0] for one in alone)
    np.testing.assert_allclose(np.exp(together.log_probabilities).sum(axis=1), 1)


def test_texts_without_a_single_term(features):
    empty = WordFeatures.fit(KINDS[:1], [Example.of("!!!"), Example.of("？")])
    assert empty.matrix(QUERIES).shape == (6, 0)
    head = fit_head(empty.matrix(QUERIES), TARGETS, 2, 1.0)
    assert np.isfinite(head.scores(empty.matrix(QUERIES))).all()


def test_no_queries(predictor):
    found = predictor.answer([])
    assert found.log_probabilities.shape == (0, 2)
    assert found.fingerprints == ()


@pytest.mark.parametrize("labels", [2, 3, 5])
def test_a_head_is_logistic_regression(labels):
    draw = np.random.default_rng(labels)
    matrix, targets = draw.normal(size=(40, 6)), np.arange(40) % labels
    slow = LogisticRegression(C=3.0, class_weight="balanced", max_iter=2000).fit(matrix, targets)
    scores = fit_head(matrix, targets, labels, 3.0).scores(matrix)
    found = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, slow.predict_proba(matrix), atol=1e-6)


def test_a_label_that_no_row_has_is_never_the_answer():
    draw = np.random.default_rng(0)
    matrix, targets = draw.normal(size=(20, 4)), np.arange(20) % 2 * 2
    head = fit_head(matrix, targets, 4, 1.0)
    found = head.scores(matrix).argmax(axis=1)
    assert set(found) <= {0, 2}
    assert (found == targets).mean() > 0.5


def test_only_one_label_is_there():
    head = fit_head(np.ones((3, 2)), np.array([1, 1, 1]), 3, 1.0)
    assert head.scores(np.zeros((1, 2))).argmax() == 1


def test_fingerprints_tell_heads_apart(predictor, features):
    head = predictor.head
    others = [
        replace(predictor, calibration=Calibration((0.0, 0.0))),
        replace(predictor, head=LinearHead(head.weights * 2, head.intercepts)),
        replace(predictor, names=("bad", "good")),
        replace(predictor, features=WordFeatures.fit(KINDS, QUERIES[:4])),
    ]
    assert len({predictor.fingerprint, *(one.fingerprint for one in others)}) == 5
    assert replace(predictor).fingerprint == predictor.fingerprint


def test_hidden_states_do_not_depend_on_their_batch(llama):
    layers = [1, 2]
    together = one_word_states(llama, "zh", TEXTS, layers)
    for layer, states in zip(layers, together, strict=True):
        alone = np.concatenate([OneWordState(llama, "zh", layer)([text]) for text in TEXTS])
        np.testing.assert_allclose(states, alone, atol=1e-4)
    assert not np.allclose(together[0], together[1])


def test_a_long_text_is_cut_and_still_asked(llama):
    """The question behind the text stays, so that the state is that after the question."""
    long = "very " * 2000
    states = one_word_states(llama, "en", [long, long + "good"], [2])[0]
    np.testing.assert_allclose(states[0], states[1], atol=1e-5)
    assert not np.allclose(states[0], one_word_states(llama, "zh", [long], [2])[0][0])


def test_states_are_scaled_by_what_was_learned(llama):
    state = OneWordState(llama, "en", 2)
    states = state(TEXTS)
    features = HiddenFeatures(state, states.mean(axis=0), states.std(axis=0))
    found = features.matrix(QUERIES)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    standard = (states - states.mean(axis=0)) / states.std(axis=0)
    np.testing.assert_allclose(found, standard / np.linalg.norm(standard, axis=1, keepdims=True), atol=1e-3)
    np.testing.assert_allclose(features.matrix(QUERIES[:1]), found[:1], atol=1e-3)
