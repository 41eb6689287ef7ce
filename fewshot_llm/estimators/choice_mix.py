"""Weights for what speaks for a candidate: a conditional logit over the candidates of each choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from fewshot_llm.scoring.base import FloatArray

__all__ = ["ChoiceMix", "first_only", "fit_choice_mix"]


@dataclass(frozen=True)
class ChoiceMix:
    """A weight for each feature.

    Attributes:
        weights: shape [features]; a candidate's score is their product with its features.
    """

    weights: tuple[float, ...]

    def log_probabilities(self, features: FloatArray) -> FloatArray:
        """Log P(candidate) of one choice, shape [candidates], from features [candidates, features]."""
        result: FloatArray = log_softmax(features @ np.asarray(self.weights))
        return result


def first_only(features: int) -> ChoiceMix:
    """The first feature alone, for where there is nothing to fit on."""
    return ChoiceMix((1.0, *[0.0] * (features - 1)))


def fit_choice_mix(features: Sequence[FloatArray], chosen: Sequence[int], penalty: float = 1.0) -> ChoiceMix:
    """McFadden's conditional logit with a ridge penalty.

    Args:
        features: of each answered choice, shape [candidates, features]; scored without showing its answer.
        chosen: positions of the answers.
        penalty: on the squared weights of features that are scaled to a standard deviation of 1 within choices; 1 is
            the prior that a weight is about 1 nat.

    >>> mix = fit_choice_mix([np.array([[1.0, 0.0], [0.0, 0.0]])] * 5, [0] * 5)
    >>> mix.weights[0] > 0, mix.weights[1]
    (True, 0.0)
    """
    centred = [table - table.mean(axis=0) for table in features]
    scale = np.sqrt(np.mean([(table**2).mean(axis=0) for table in centred], axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = [table / scale for table in centred]

    def objective(weights: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = penalty / 2 * float(weights @ weights), penalty * weights
        for table, answer in zip(scaled, chosen, strict=True):
            log_p = log_softmax(table @ weights)
            value -= float(log_p[answer])
            gradient = gradient - table[answer] + np.exp(log_p) @ table
        return value, gradient

    found = minimize(objective, np.zeros(len(scale)), jac=True, method="L-BFGS-B").x
    return ChoiceMix(tuple((found / scale).tolist()))
