"""What answers: a predictor gives calibrated log P(label | text) for texts that it has not seen."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from fewshot_llm.data.example import Example
from fewshot_llm.scoring.base import TopLabels
from fewshot_llm.types import FloatArray, IntArray, Progress

__all__ = ["LabelProbabilities", "Prediction", "Predictor", "fingerprints_of"]


class Predictor(ABC):
    """Something fitted that tells labels apart: what a rung builds, an artifact saves and a server serves.

    A new one is a subclass with three members. What else a predictor can do (search for the best labels, explain by its
    prompt) is its own; whoever needs it asks for that class.
    """

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """What it tells apart, in the order of the columns of its answers."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that may change an answer."""

    @abstractmethod
    def answer(self, queries: Sequence[Example], progress: Progress | None = None) -> LabelProbabilities:
        """Log-probabilities of every label.

        Args:
            queries: the texts.
            progress: called with queries finished and queries in all.
        """

    def log_probabilities(self, queries: Sequence[Example], progress: Progress | None = None) -> FloatArray:
        """Calibrated log P(label | text), nats, shape [queries, labels]."""
        return self.answer(queries, progress).log_probabilities

    def best(self, queries: Sequence[Example], progress: Progress | None = None) -> IntArray:
        """The most probable label's position for each query, shape [queries]."""
        found: IntArray = self.log_probabilities(queries, progress).argmax(axis=1)
        return found

    @property
    def members(self) -> tuple[Predictor, ...]:
        """The predictors that answer together: this one alone, but in a mixture."""
        return (self,)


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one text.

    Attributes:
        label: the most probable label; None for a text that is missing or empty.
        probabilities: calibrated probability of every label, in the task's label order; they sum to 1. Of a search
            for the top labels only those, best first, each a lower bound.
        margin: the best probability minus the second best; 1 where there is one label.
        abstained: whether the label should not be acted upon without a human look.
        prompt_fingerprint: SHA-256 (hex) of what was scored; with several permutations, of all their prompts.
        rest: at most so much probability lies on labels that are not listed; 0 where all are.
    """

    label: str | None
    probabilities: Mapping[str, float]
    margin: float
    abstained: bool
    prompt_fingerprint: str
    rest: float = 0.0

    @property
    def probability(self) -> float:
        """Probability of `label`; 0 where there is none."""
        return 0.0 if self.label is None else self.probabilities[self.label]

    @classmethod
    def of_no_text(cls) -> Prediction:
        """The prediction for a text that is missing or empty."""
        return cls(None, {}, 0.0, abstained=True, prompt_fingerprint="")

    def cut(self, k: int) -> Self:
        """The same with the k best labels alone, best first; what the others have is `rest`.

        >>> Prediction.from_log_probabilities(["good", "bad"], np.log([0.25, 0.75]), "").cut(1).probabilities
        {'bad': 0.75}
        """
        best = dict(sorted(self.probabilities.items(), key=lambda item: -item[1])[:k])
        return replace(self, probabilities=best, rest=max(0.0, 1 - sum(best.values())))

    @property
    def reason(self) -> str | None:
        """`empty-text` where there is no label; None where there is one. A policy has reasons of its own."""
        return "empty-text" if self.label is None else None

    @classmethod
    def from_log_probabilities(
        cls, labels: Sequence[str], log_probabilities: FloatArray, prompt_fingerprint: str
    ) -> Prediction:
        """The prediction for one text.

        Args:
            labels: in the order of `log_probabilities`.
            log_probabilities: log P(label | text), nats, shape [labels].
            prompt_fingerprint: of the scored prompt.

        >>> Prediction.from_log_probabilities(["good", "bad"], np.log([0.75, 0.25]), "").margin
        0.5
        """
        p = np.exp(log_probabilities)
        order = np.argsort(-p, kind="stable")
        margin = float(p[order[0]] - p[order[1]]) if len(p) > 1 else 1.0
        probabilities = dict(zip(labels, p.tolist(), strict=True))
        return cls(labels[order[0]], probabilities, margin, abstained=False, prompt_fingerprint=prompt_fingerprint)

    @classmethod
    def from_top(cls, labels: Sequence[str], top: TopLabels, temperature: float, prompt_fingerprint: str) -> Prediction:
        """The prediction of a search that did not score every label.

        With e_i = exp(score_i / T) for the labels that were found and e_b for the bound on each of the m others,
        P(i) lies between e_i / (Σe + m e_b), which is what is given, and e_i / Σe.

        Args:
            labels: all of them, in the order that `top.indices` counts in.
            top: what was found.
            temperature: what scores are divided by, T.
            prompt_fingerprint: of the scored prompt.

        >>> top = TopLabels(indices=(1,), scores=(0.0,), bound=float(np.log(0.25)))
        >>> found = Prediction.from_top(["good", "bad"], top, 1.0, "")
        >>> found.label, found.probability, found.rest
        ('bad', 0.8, 0.2)
        """
        scores = np.array([*top.scores, top.bound]) / temperature
        weights = np.exp(scores - scores.max())
        others = len(labels) - len(top.indices)
        *p, each = (weights / (weights[:-1].sum() + others * weights[-1])).tolist()
        shares = dict(zip((labels[i] for i in top.indices), p, strict=True))
        rival = p[1] if len(p) > 1 else each if others else 0.0
        return cls(labels[top.indices[0]], shares, p[0] - rival, False, prompt_fingerprint, rest=others * each)


@dataclass(frozen=True)
class LabelProbabilities:
    """What a model says of some queries.

    Attributes:
        log_probabilities: calibrated log P(label | text), nats, shape [queries, labels].
        fingerprints: SHA-256 (hex) of what was scored, one per query; with several draws, of all their
            prompts.
    """

    log_probabilities: FloatArray
    fingerprints: tuple[str, ...]


def fingerprints_of(predictor: Predictor, queries: Sequence[Example]) -> tuple[str, ...]:
    """A fingerprint of each query as a predictor without a prompt reads it: SHA-256 (hex) of both."""
    before = hashlib.sha256(predictor.fingerprint.encode())
    found = []
    for query in queries:
        digest = before.copy()
        digest.update(query.text.encode())
        found.append(digest.hexdigest())
    return tuple(found)
