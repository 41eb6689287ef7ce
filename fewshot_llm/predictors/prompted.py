"""From prompts to label scores: the builder, the scorer and the normalisation as one thing.

Answers to queries: calibrated, averaged over draws of demonstrations, a chunk of prompts at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import log_softmax

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.errors import ScoringError
from fewshot_llm.predictors.normalisation import Normalisation, Sum
from fewshot_llm.prompting.builder import Prompt, PromptBuilder
from fewshot_llm.scoring.base import Scorer, TopLabels, check_stop
from fewshot_llm.stats.calibration import Calibration
from fewshot_llm.types import FloatArray, IntArray, Progress

__all__ = ["Inference", "LabelProbabilities", "PromptedPredictor", "Question", "TopAnswers"]


@dataclass(frozen=True)
class Question:
    """Queries that are asked with the same support rows.

    Attributes:
        support: where their demonstrations come from.
        queries: the texts.
    """

    support: SupportSet
    queries: tuple[Example, ...]


@dataclass(frozen=True)
class Inference:
    """What is asked of a model, and which scores are read.

    Attributes:
        builder: makes the prompts.
        scorer: scores them.
        support: the support set that is served.
        normalisation: which score of a label is compared.
    """

    builder: PromptBuilder
    scorer: Scorer
    support: SupportSet
    normalisation: Normalisation = field(default_factory=Sum)

    def query(self, text: str) -> Example:
        """A query that holds only this text: in the task's main field, and in every other one that a row must have."""
        task = self.builder.task
        needed = [name for name in task.fields if name == task.fields[-1] or name not in task.optional_fields]
        return Example(dict.fromkeys(needed, text))

    def prompts(self, queries: Sequence[Example], draw: int = 0) -> list[Prompt]:
        """The prompts that are served for these queries under one draw of demonstrations."""
        return [self._prompt(query, draw) for query in queries]

    def _prompt(self, query: Example, draw: int) -> Prompt:
        check_stop()
        return self.builder.build(query, self.support, draw)

    def score_prompts(self, prompts: Sequence[Prompt], draw: int = 0, progress: Progress | None = None) -> FloatArray:
        """Label scores in nats of served prompts, shape [prompts, labels].

        Args:
            prompts: made by `prompts` with the same draw.
            draw: the draw, for the normalisation's neutral texts.
            progress: called with prompts finished and prompts in all.
        """
        return self._tables([(self.support, prompts)], draw, progress)[0]

    def ask(self, questions: Sequence[Question], draw: int = 0, progress: Progress | None = None) -> list[FloatArray]:
        """Label scores of questions with other support rows, scored together so that batches fill.

        Args:
            questions: each with its own support rows.
            draw: which draw of demonstrations.
            progress: called with prompts finished and prompts in all.

        Returns:
            For each question scores in nats, shape [queries, labels].
        """
        groups = [
            (question.support, [self.builder.build(query, question.support, draw) for query in question.queries])
            for question in questions
        ]
        return self._tables(groups, draw, progress)

    def _tables(
        self, groups: Sequence[tuple[SupportSet, Sequence[Prompt]]], draw: int, progress: Progress | None
    ) -> list[FloatArray]:
        """Label scores of each group's prompts, all of them scored together."""
        plans = [self._blocks(support, prompts, draw) for support, prompts in groups]
        asked = [prompt for blocks in plans for block in blocks for part in block for prompt in part]
        rows = iter(self.scorer.log_probs(asked, progress) if asked else [])
        tables = []
        for blocks in plans:
            found = [np.empty((0, len(self.builder.labels)))]
            for neutral, prompts in blocks:
                before, scored = [next(rows) for _ in neutral], [next(rows) for _ in prompts]
                found.append(self.normalisation.scores(scored, before))
            tables.append(np.concatenate(found))
        return tables

    def _blocks(
        self, support: SupportSet, prompts: Sequence[Prompt], draw: int
    ) -> list[tuple[list[Prompt], Sequence[Prompt]]]:
        """Prompts with the content-free ones that they are compared with.

        A content-free prompt shows what the prompt itself shows. Demonstrations of its own would not only be another
        baseline: of a row that is held out they would miss just that row, and so give its label away.
        """
        texts = [self.query(text) for text in self.normalisation.neutral_texts]
        if not prompts:
            return []
        if not (texts and self.builder.shots and self.builder.selection.depends_on_query):
            return [([self.builder.build(text, support, draw) for text in texts], prompts)]
        return [
            ([self.builder.build(text, support, draw, shown=prompt.demonstrations) for text in texts], [prompt])
            for prompt in prompts
        ]


CHUNK = 1024
"""Queries whose prompts are in memory at once; as many as the token-tree scorer shares prefixes among."""


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
class PromptedPredictor:
    """An inference with one calibration per draw of demonstrations.

    Attributes:
        inference: what is asked, and how.
        calibrations: draw 0, draw 1, …; their calibrated log-probabilities are averaged.
    """

    inference: Inference
    calibrations: tuple[Calibration, ...]

    def answer(self, queries: Sequence[Example], progress: Progress | None = None) -> LabelProbabilities:
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
        return LabelProbabilities(np.concatenate(tables), tuple(fingerprints))

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
