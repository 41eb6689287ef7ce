"""Answers to queries: calibrated, averaged over draws of demonstrations, a chunk of prompts at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from fewshot_llm.calibration import Calibration, IntArray
from fewshot_llm.errors import ScoringError
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.scoring.base import FloatArray, Progress, TopLabels
from fewshot_llm.support import Example

__all__ = ["Answerer", "Answers", "TopAnswers"]

CHUNK = 1024
"""Queries whose prompts are in memory at once; as many as the token-tree scorer shares prefixes among."""


@dataclass(frozen=True)
class Answers:
    """What a model says of some queries.

    Attributes:
        log_probabilities: calibrated log P(label | text), nats, shape [queries, labels].
        fingerprints: SHA-256 (hex) of what was scored, one per query; with several draws, of all their
            prompts.
    """

    log_probabilities: FloatArray
    fingerprints: tuple[str, ...]


@dataclass(frozen=True)
class TopAnswers:
    """The most probable labels of some queries.

    Attributes:
        found: for each query its best labels; scores are nats, before the temperature.
        temperature: of the calibration.
        fingerprints: SHA-256 (hex) of each scored prompt.
    """

    found: tuple[TopLabels, ...]
    temperature: float
    fingerprints: tuple[str, ...]


@dataclass(frozen=True)
class Answerer:
    """An inference with one calibration per draw of demonstrations.

    Attributes:
        inference: what is asked, and how.
        calibrations: draw 0, draw 1, …; their calibrated log-probabilities are averaged.
    """

    inference: Inference
    calibrations: tuple[Calibration, ...]

    def answer(self, queries: Sequence[Example], progress: Progress | None = None) -> Answers:
        """Log-probabilities of every label.

        Args:
            queries: the texts.
            progress: called with queries finished and queries in all.
        """
        labels, draws = len(self.inference.builder.labels), len(self.calibrations)
        tables, fingerprints = [np.empty((0, labels))], []
        for start, chunk in _chunks(queries):
            total = np.zeros((len(chunk), labels))
            digests = []
            for draw, calibration in enumerate(self.calibrations):
                prompts = self.inference.prompts(chunk, draw)
                report = _share(progress, start, draw * len(chunk), draws, len(queries))
                scores = self.inference.score_prompts(prompts, draw, report)
                total += calibration.log_probabilities(scores)
                digests.append([prompt.fingerprint for prompt in prompts])
            tables.append(log_softmax(total / draws, axis=1))
            fingerprints += [_joined(parts) for parts in zip(*digests, strict=True)]
        return Answers(np.concatenate(tables), tuple(fingerprints))

    def best(self, queries: Sequence[Example], progress: Progress | None = None) -> IntArray:
        """The most probable label's position for each query, shape [queries].

        With one draw of demonstrations and summed scores it is searched for without scoring every label.
        """
        if not self.searchable:
            best: IntArray = self.answer(queries, progress).log_probabilities.argmax(axis=1)
            return best
        return np.array([top.indices[0] for top in self.top(queries, 1, progress).found], dtype=np.int64)

    @property
    def searchable(self) -> bool:
        """Whether the best labels can be found without scoring all of them."""
        return self.inference.normalisation.keeps_order and len(self.calibrations) == 1

    def top(self, queries: Sequence[Example], k: int, progress: Progress | None = None) -> TopAnswers:
        """The exactly most probable k labels of each query.

        Args:
            queries: the texts.
            k: how many labels.
            progress: called with queries finished and queries in all.

        Raises:
            ScoringError: several draws or a normalisation other than the sum: then every label has to be scored.
        """
        if not self.searchable:
            raise ScoringError(
                "The best labels can be searched for only where scores are summed log-probabilities under one draw "
                "of demonstrations. Take --normalisation sum and --permutations 1, or ask for all probabilities."
            )
        (calibration,) = self.calibrations
        offsets = np.asarray(calibration.bias) * calibration.temperature
        found: list[TopLabels] = []
        fingerprints: list[str] = []
        for start, chunk in _chunks(queries):
            prompts = self.inference.prompts(chunk)
            found += self.inference.scorer.best(
                prompts, k, _share(progress, start, 0, 1, len(queries)), offsets.tolist()
            )
            fingerprints += [prompt.fingerprint for prompt in prompts]
        return TopAnswers(tuple(found), calibration.temperature, tuple(fingerprints))


def _chunks(queries: Sequence[Example]) -> Iterator[tuple[int, Sequence[Example]]]:
    for start in range(0, len(queries), CHUNK):
        yield start, queries[start : start + CHUNK]


def _share(progress: Progress | None, before: int, asked: int, draws: int, total: int) -> Progress | None:
    """Progress in one chunk and draw, told as queries of the whole."""
    return progress and (lambda done, _: progress(before + (asked + done) // draws, total))


def _joined(digests: Sequence[str]) -> str:
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
