"""A mixture: the members' log-probabilities, weighed, summed and normalised (a log-opinion pool).

Genest and Zidek 1986, "Combining probability distributions". A member that knows nothing gets no weight; two that err
in different places are better than either. Weights are fitted on answers to rows that the members did not see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from fewshot_llm.data.example import Example
from fewshot_llm.predictors.base import LabelProbabilities, Predictor
from fewshot_llm.types import FloatArray, Progress

__all__ = ["MixturePredictor", "pooled"]


def pooled(tables: Sequence[FloatArray], weights: Sequence[float]) -> FloatArray:
    """A pool's log P(label | text): the weighed sum of log-probabilities, normalised; nats, shape [rows, labels].

    Args:
        tables: log P(label | text) of each member, shape [rows, labels] each.
        weights: of each member, 0 or more.

    >>> np.exp(pooled([np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])], [1.0, 1.0])).round(2).tolist()
    [[0.9, 0.1]]
    """
    found: FloatArray = log_softmax(np.tensordot(np.asarray(weights), np.stack(list(tables)), axes=1), axis=1)
    return found


@dataclass(frozen=True)
class MixturePredictor(Predictor):
    """Several predictors of the same labels, answering together.

    Attributes:
        parts: the members.
        rungs: what each member is called.
        weights: of each member's log-probabilities, above 0; their sum is how sure the pool is, 1 for no change.
    """

    parts: tuple[Predictor, ...]
    rungs: tuple[str, ...]
    weights: tuple[float, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The members', which are alike."""
        return self.parts[0].labels

    @property
    def members(self) -> tuple[Predictor, ...]:
        """All that answer together."""
        return self.parts

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the members and the weights."""
        told = [*(part.fingerprint for part in self.parts), repr(self.weights)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def answer(self, queries: Sequence[Example], progress: Progress | None = None) -> LabelProbabilities:
        """Log-probabilities of every label.

        Args:
            queries: the texts.
            progress: called with queries finished and queries in all; a member counts for its share.
        """
        count, answers = len(self.parts), []
        for number, part in enumerate(self.parts):
            share = None if progress is None else _share(progress, number, count)
            answers.append(part.answer(queries, share))
        found = pooled([one.log_probabilities for one in answers], self.weights)
        told = zip(*(one.fingerprints for one in answers), strict=True)
        digests = tuple(hashlib.sha256("".join(parts).encode()).hexdigest() for parts in told)
        return LabelProbabilities(found, digests)


def _share(progress: Progress, number: int, count: int) -> Progress:
    return lambda done, total: progress((number * total + done) // count, total)
