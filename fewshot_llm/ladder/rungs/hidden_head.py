"""Rung `hidden-head`: logistic regression on the language model's own hidden state; no second model is needed."""

from __future__ import annotations

import time
from functools import partial
from typing import ClassVar

import numpy as np

from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.rungs.heads import FOLDS, HeadVariant, propose_head
from fewshot_llm.ladder.rungs.lora import ELSEWHERE
from fewshot_llm.predictors.linear import HiddenFeatures, LinearHead, fit_head
from fewshot_llm.scoring.base import local_model
from fewshot_llm.scoring.vectors import OneWordState, layers_to_try, one_word_states
from fewshot_llm.types import FloatArray, IntArray, Text

__all__ = ["HiddenHead"]

STRENGTHS = (0.001, 0.01, 0.1)
"""Numbers are standardised and there are hundreds of them: a strong penalty."""


class HiddenHead(Rung):
    """The state after "… means in one word:", and a linear head on it; the layer is chosen out of fold."""

    name: ClassVar[str] = "hidden-head"
    title: ClassVar[Text] = Text("hidden-state head", "隐状态分类头")

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Read each row once; fit heads without each fold in turn."""
        started = time.perf_counter()
        model = local_model(climb.inference.scorer)
        if model is None:
            return Skipped(ELSEWHERE)
        language, layers = climb.problem.language, layers_to_try(model)
        texts = [row.text for row in climb.support]
        before = time.perf_counter()
        states = one_word_states(model, language, texts, layers)
        per_row = (time.perf_counter() - before) / len(texts)
        variants = []
        for layer, found in zip(layers, states, strict=True):
            state = OneWordState(model, language, layer)
            for strength in STRENGTHS:
                scores = _held_out(climb, state, found, strength)
                settings = {"layer": layer, "layers_tried": layers, "strength": strength}
                fit = partial(_fitted, climb, state, found, np.arange(len(found)), strength)
                variants.append(HeadVariant(settings, scores, fit))
        return propose_head(self, climb, variants, started, 1000 * per_row)


def _fitted(
    climb: Climb, state: OneWordState, states: FloatArray, rows: IntArray, strength: float
) -> tuple[HiddenFeatures, LinearHead]:
    features = HiddenFeatures(state, states[rows].mean(axis=0), states[rows].std(axis=0) + 1e-6)
    known, targets = features.scaled(states[rows]), climb.problem.targets[rows]
    return features, fit_head(known, targets, len(climb.problem.labels), strength)


def _held_out(climb: Climb, state: OneWordState, states: FloatArray, strength: float) -> FloatArray:
    scores = np.empty((len(states), len(climb.problem.labels)))
    for learn, held in climb.folds(FOLDS):
        features, head = _fitted(climb, state, states, np.array(learn), strength)
        scores[list(held)] = head.scores(features.scaled(states[list(held)]))
    return scores
