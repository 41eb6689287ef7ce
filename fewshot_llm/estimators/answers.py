"""Answers to queries: calibrated, averaged over draws of demonstrations, a chunk of prompts at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from fewshot_llm.calibration import Calibration, IntArray
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.scoring.base import FloatArray, Progress
from fewshot_llm.support import Example

__all__ = ["Answerer", "Answers"]

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

        Where probabilities rank labels as the raw scores do, the best label is searched for without scoring
        them all.
        """
        normalisation, calibrations = self.inference.normalisation, self.calibrations
        if not (normalisation.keeps_order and len(calibrations) == 1 and calibrations[0].keeps_order):
            best: IntArray = self.answer(queries, progress).log_probabilities.argmax(axis=1)
            return best
        found: list[int] = []
        for start, chunk in _chunks(queries):
            report = _share(progress, start, 0, 1, len(queries))
            found += [top.indices[0] for top in self.inference.scorer.best(self.inference.prompts(chunk), 1, report)]
        return np.array(found, dtype=np.int64)


def _chunks(queries: Sequence[Example]) -> Iterator[tuple[int, Sequence[Example]]]:
    for start in range(0, len(queries), CHUNK):
        yield start, queries[start : start + CHUNK]


def _share(progress: Progress | None, before: int, asked: int, draws: int, total: int) -> Progress | None:
    """Progress in one chunk and draw, told as queries of the whole."""
    return progress and (lambda done, _: progress(before + (asked + done) // draws, total))


def _joined(digests: Sequence[str]) -> str:
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
