from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm import Prediction


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
