"""A predictor that scores label words after a prompt: what is asked, which score is compared, and what it answers.

**Which score of a label is compared**: its summed log-probability, the mean per token, or PMI. Label words of unequal
length make the sum favour short ones. The mean per token undoes that and overcorrects where a label's later tokens are
certain once the first is given. Pointwise mutual information (Holtzman et al. 2021, "Surface Form Competition") takes
away what the label words score after a text without content.

**Answers** are calibrated and averaged over draws of demonstrations, a chunk of prompts at a time.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from scipy.special import log_softmax

from fewshot_llm.data.example import Example
from fewshot_llm.data.problem import only_text
from fewshot_llm.data.support_set import SupportSet
from fewshot_llm.errors import FewshotWarning, ScoringError, nearest
from fewshot_llm.predictors.base import LabelProbabilities, Predictor
from fewshot_llm.prompting.builder import Prompt, PromptBuilder
from fewshot_llm.scoring.base import LabelScores, Scorer, TopLabels, check_stop
from fewshot_llm.stats.calibration import Calibration
from fewshot_llm.types import FloatArray, IntArray, Progress

__all__ = [
    "DEFAULT_SHOTS",
    "Inference",
    "MeanPerToken",
    "Normalisation",
    "NormalisationName",
    "PointwiseMutualInformation",
    "PromptedPredictor",
    "Question",
    "ShownShots",
    "Sum",
    "TopAnswers",
    "as_normalisation",
    "prompted_in",
    "shown_shots",
    "warn_of_shots",
]

NormalisationName: TypeAlias = Literal["sum", "mean", "pmi"]


class Normalisation(Protocol):
    """A score for each label from what the scorer gives."""

    @property
    def neutral_texts(self) -> tuple[str, ...]:
        """Content-free texts whose scores, under the served prompt, `scores` has to be given; often none."""
        ...

    @property
    def keeps_order(self) -> bool:
        """Whether labels rank as by their summed log-probabilities."""
        ...

    def scores(self, rows: Sequence[LabelScores], neutral: Sequence[LabelScores]) -> FloatArray:
        """Label scores in nats, shape [rows, labels]."""
        ...


@dataclass(frozen=True)
class Sum:
    """log P(label words | prompt) over all the label's tokens: what the model says, unchanged."""

    neutral_texts: ClassVar[tuple[str, ...]] = ()
    keeps_order: ClassVar[bool] = True

    def scores(self, rows: Sequence[LabelScores], neutral: Sequence[LabelScores] = ()) -> FloatArray:
        """The sums, shape [rows, labels]."""
        return np.stack([row.log_probs for row in rows])


@dataclass(frozen=True)
class MeanPerToken:
    """The sum divided by the number of the label's tokens."""

    neutral_texts: ClassVar[tuple[str, ...]] = ()
    keeps_order: ClassVar[bool] = False

    def scores(self, rows: Sequence[LabelScores], neutral: Sequence[LabelScores] = ()) -> FloatArray:
        """The means, shape [rows, labels]."""
        return np.stack([row.log_probs / row.token_counts for row in rows])


@dataclass(frozen=True)
class PointwiseMutualInformation:
    """log P(words | prompt with the text) − mean log P(words | prompt with a content-free text)."""

    neutral_texts: tuple[str, ...] = ("N/A",)
    keeps_order: ClassVar[bool] = False

    def scores(self, rows: Sequence[LabelScores], neutral: Sequence[LabelScores]) -> FloatArray:
        """The differences, shape [rows, labels]."""
        if not neutral:
            raise ScoringError("PMI compares with the scores of content-free texts, and none were given.")
        baseline: FloatArray = Sum().scores(neutral).mean(axis=0)
        return Sum().scores(rows) - baseline


def as_normalisation(value: NormalisationName | Normalisation) -> Normalisation:
    """The object for `sum`, `mean` or `pmi`; an object is given back as it is.

    >>> as_normalisation("mean")
    MeanPerToken()
    """
    match value:
        case "sum":
            return Sum()
        case "mean":
            return MeanPerToken()
        case "pmi":
            return PointwiseMutualInformation()
        case str():
            raise ScoringError(f"There is no normalisation {value!r}. {nearest(value, ['sum', 'mean', 'pmi'])}")
    return value


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
        """A query that holds only this text; see `only_text`."""
        return only_text(self.builder.task, text)

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
class PromptedPredictor(Predictor):
    """An inference with one calibration per draw of demonstrations.

    Attributes:
        inference: what is asked, and how.
        calibrations: draw 0, draw 1, …; their calibrated log-probabilities are averaged.
    """

    inference: Inference
    calibrations: tuple[Calibration, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """As the task names them, in the order in which they are scored."""
        return self.inference.builder.labels

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the prompt, the support rows, the scorer, the normalisation and the calibrations."""
        inference = self.inference
        parts = (
            inference.builder.fingerprint,
            inference.support.fingerprint,
            inference.scorer.fingerprint,
            repr(inference.normalisation),
            repr(self.calibrations),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

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
            return super().best(queries, progress)
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


def prompted_in(predictor: Predictor) -> PromptedPredictor | None:
    """The predictor that asks a language model: the predictor itself, or the member of a mixture that does."""
    return next((one for one in predictor.members if isinstance(one, PromptedPredictor)), None)


def _chunks(queries: Sequence[Example]) -> Iterator[tuple[int, Sequence[Example]]]:
    for start in range(0, len(queries), CHUNK):
        yield start, queries[start : start + CHUNK]


def _share(progress: Progress | None, before: int, asked: int, draws: int, total: int) -> Progress | None:
    """Progress in one chunk and draw, told as queries of the whole."""
    return progress and (lambda done, _: progress(before + (asked + done) // draws, total))


def _joined(digests: Sequence[str]) -> str:
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


DEFAULT_SHOTS = 4
"""Nobody asked for these; a class with fewer rows is no news."""


@dataclass(frozen=True)
class ShownShots:
    """What a prompt shows.

    Attributes:
        asked: the parameter `shots`.
        per_class: whether it counts rows of each class; else rows in all.
        available: rows of the largest class, or rows in all.
        shown: demonstrations in a prompt, before any are left out because they do not fit the context.
    """

    asked: int
    per_class: bool
    available: int
    shown: int

    @property
    def short(self) -> bool:
        """Whether more were asked for than there are."""
        return self.asked > self.available

    @property
    def english(self) -> str:
        """What is shown instead."""
        what = "of each class, and the largest class has" if self.per_class else "in all, and there are"
        return (
            f"{self.asked} demonstrations were asked for {what} {self.available} labelled rows: every prompt shows at "
            f"most {self.shown}. Add rows, or ask for fewer shots."
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"asked": self.asked, "per_class": self.per_class, "available": self.available, "shown": self.shown}


def shown_shots(inference: Inference) -> ShownShots:
    """What is shown of the support set that is served."""
    builder, support = inference.builder, inference.support
    if builder.selection.depends_on_query:
        return ShownShots(builder.shots, False, len(support), min(builder.shots, len(support)))
    shown = builder.selection.select(support, None, builder.shots, builder.seed) if builder.shots else ()
    largest = max((len(rows) for rows in support.by_label().values()), default=0)
    return ShownShots(builder.shots, True, largest, len(shown))


def warn_of_shots(inference: Inference, stacklevel: int = 2) -> None:
    """A Python warning where more demonstrations were asked for than there are."""
    found = shown_shots(inference)
    if found.short and found.asked != DEFAULT_SHOTS and len(inference.support):
        warnings.warn(found.english, FewshotWarning, stacklevel=stacklevel + 1)
