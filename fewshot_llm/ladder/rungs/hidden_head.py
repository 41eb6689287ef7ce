"""Rung `hidden-head`: logistic regression on the language model's own hidden state; no second model is needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.rungs.heads import FittedHead, HeadVariant, fit_with_words, propose_head
from fewshot_llm.ladder.rungs.lora import ELSEWHERE
from fewshot_llm.predictors.linear import HiddenFeatures
from fewshot_llm.scoring.base import local_model
from fewshot_llm.scoring.vectors import OneWordState, layers_to_try, one_word_states
from fewshot_llm.types import FloatArray, IntArray, Text

__all__ = ["HiddenHead"]

STRENGTH = 10.0
SHARES = (0.0, 0.25, 1.0)
"""See `heads`."""


class HiddenHead(Rung):
    """The state after "… means in one word:", and a linear head on it; the layer is chosen out of fold."""

    name: ClassVar[str] = "hidden-head"
    title: ClassVar[Text] = Text("hidden-state head", "隐状态分类头")

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Read each row once; fit heads without each fold in turn."""
        started, problem = time.perf_counter(), climb.problem
        model = local_model(climb.inference.scorer)
        if model is None:
            return Skipped(ELSEWHERE)
        layers, language = layers_to_try(model), problem.language
        before = time.perf_counter()
        states = one_word_states(model, language, [row.text for row in climb.support], layers)
        seconds = time.perf_counter() - before
        named = one_word_states(model, language, list(problem.described.values()), layers)
        variants = [
            HeadVariant(
                {"layer": layer, "layers_tried": layers, "label_words": share},
                partial(
                    _fit, OneWordState(model, language, layer), states[place], problem.targets, named[place], share
                ),
            )
            for place, layer in enumerate(layers)
            for share in SHARES
        ]
        return propose_head(self, climb, variants, started, 1000 * seconds / len(problem.targets))


def _fit(
    state: OneWordState, states: FloatArray, targets: IntArray, named: FloatArray, share: float, learn: Sequence[int]
) -> FittedHead:
    rows = list(learn)
    features = HiddenFeatures(state, states[rows].mean(axis=0), states[rows].std(axis=0) + 1e-6)
    known = features.scaled(states[rows])
    head = fit_with_words(known, targets[rows], features.scaled(named), share, STRENGTH)

    def ask(others: Sequence[int]) -> FloatArray:
        return head.scores(features.scaled(states[list(others)]))

    return FittedHead(features, head, ask)
