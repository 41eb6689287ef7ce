from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import log_softmax

from fewshot_llm import Prediction
from fewshot_llm.scoring import LabelScores, best_of


def test_the_best_label_its_probability_and_its_margin():
    found = Prediction.from_log_probabilities(["a", "b", "c"], np.log([0.2, 0.7, 0.1]), "f")
    assert (found.label, found.abstained, found.prompt_fingerprint) == ("b", False, "f")
    assert found.probability == pytest.approx(0.7)
    assert found.margin == pytest.approx(0.5)
    assert list(found.probabilities) == ["a", "b", "c"]


def test_a_tie_goes_to_the_earlier_label():
    assert Prediction.from_log_probabilities(["x", "y"], np.log([0.5, 0.5]), "").label == "x"


def test_one_label_is_certain():
    assert Prediction.from_log_probabilities(["only"], np.zeros(1), "").margin == 1.0


@given(
    scores=st.lists(st.integers(-80, 0).map(lambda n: n / 4), min_size=1, max_size=6),
    k=st.integers(1, 7),
    temperature=st.floats(0.3, 3),
)
def test_top_labels_bound_the_true_probabilities(scores, k, temperature):
    labels = [f"label {number}" for number in range(len(scores))]
    top = best_of(LabelScores(np.array(scores), np.ones(len(scores), dtype=np.int64)), k)
    found = Prediction.from_top(labels, top, temperature, "")
    truth = Prediction.from_log_probabilities(labels, log_softmax(np.array(scores) / temperature), "")
    assert found.label == truth.label
    assert sum(found.probabilities.values()) + found.rest == pytest.approx(1)
    assert found.margin <= truth.margin + 1e-9
    for label, probability in found.probabilities.items():
        assert probability <= truth.probabilities[label] + 1e-9
        assert truth.probabilities[label] <= probability / (1 - found.rest) + 1e-9
