"""Weights by a conditional logit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fewshot_llm.predictors import ChoiceMix, first_only, fit_choice_mix


def drawn(weights: list[float], many: int, seed: int = 0) -> tuple[list[np.ndarray], list[int]]:
    generator = np.random.default_rng(seed)
    tables = [generator.normal(size=(generator.integers(3, 8), len(weights))) for _ in range(many)]
    return tables, [int((table @ weights + generator.gumbel(size=len(table))).argmax()) for table in tables]


def test_weights_that_made_the_choices_are_found() -> None:
    mix = fit_choice_mix(*drawn([2.0, 0.0, -1.0], 800))
    assert mix.weights == pytest.approx([2.0, 0.0, -1.0], abs=0.25)


def test_what_all_candidates_share_does_not_matter() -> None:
    tables, chosen = drawn([1.0, 0.5], 50)
    shifted = [table + 100.0 for table in tables]
    assert fit_choice_mix(shifted, chosen).weights == pytest.approx(fit_choice_mix(tables, chosen).weights, abs=1e-4)


def test_feature_that_never_differs_gets_no_weight() -> None:
    tables, chosen = drawn([1.0, 0.0], 20)
    for table in tables:
        table[:, 1] = 3.0
    assert fit_choice_mix(tables, chosen).weights[1] == pytest.approx(0.0)


@given(st.integers(2, 9), st.integers(0, 50))
def test_probabilities_sum_to_one(candidates: int, seed: int) -> None:
    table = np.random.default_rng(seed).normal(size=(candidates, 2)) * 50
    assert np.exp(ChoiceMix((1.0, -2.0)).log_probabilities(table)).sum() == pytest.approx(1)
    assert first_only(2).log_probabilities(table).argmax() == table[:, 0].argmax()
