"""What moved a decision: leave something out, answer again. Words by occlusion, demonstrations one at a time.

Both are exact: what is compared are answers that a classifier could be asked for, as log-odds of the label that was
given against the runner-up (`Explanation`). Occlusion: Zeiler and Fergus, "Visualizing and Understanding Convolutional
Networks" (2014); for words, Li et al., "Understanding Neural Networks through Representation Erasure" (2016).

Words are explained of every predictor; demonstrations where a prompt answers alone. All prompts of a draw then go to
the scorer in one call, which computes what they share once: the demonstrations for all occlusions, and for a
demonstration left out everything before it.

Chinese is occluded by a window of two characters that slides by one. A fixed cut into pairs would split half of the
words; a window that slides meets every two-character word (most of them are) as a whole, whatever its place, and needs
no word list. A word list (jieba and the like) would be a dependency and would still not know a shop's own words. Who
has one gives its spans: `spans=lambda text: [(start, end) for _, start, end in jieba.tokenize(text)]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
from scipy.special import log_softmax

from fewshot_llm.data import Example
from fewshot_llm.data.language import UNSPACED
from fewshot_llm.predictors.base import Predictor
from fewshot_llm.predictors.prompted import PromptedPredictor
from fewshot_llm.prompting.builder import Prompt
from fewshot_llm.types import FloatArray, Progress

__all__ = [
    "Explanation",
    "Passage",
    "Shown",
    "Spans",
    "Variant",
    "Word",
    "explain",
    "score_variants",
    "without_span",
    "word_spans",
]


@dataclass(frozen=True)
class Word:
    """A piece of the text and what taking it away does.

    Attributes:
        start: position of its first character in the passage.
        end: one past its last.
        text: the piece itself.
        effect: log-odds, nats, that the label loses against the runner-up when the piece is deleted: positive for what
            speaks for the label, negative for what speaks against it.
    """

    start: int
    end: int
    text: str
    effect: float


@dataclass(frozen=True)
class Passage:
    """One field of the text that was labelled.

    Attributes:
        field: its name in the task.
        text: all of it.
        words: the pieces that were taken away; those of Chinese overlap.
    """

    field: str
    text: str
    words: tuple[Word, ...]

    def pieces(self) -> list[Word]:
        """The whole text in order, cut where the effect changes, nothing overlapping: what a highlighter draws.

        A character's effect is the mean over the words that hold it, 0 where none does.

        >>> passage = Passage("text", "很好吃", (Word(0, 2, "很好", 1.0), Word(1, 3, "好吃", 2.0)))
        >>> [(piece.text, piece.effect) for piece in passage.pieces()]
        [('很', 1.0), ('好', 1.5), ('吃', 2.0)]
        """
        holding: list[list[int]] = [[] for _ in self.text]
        for number, word in enumerate(self.words):
            for at in range(word.start, word.end):
                holding[at].append(number)
        found, start = [], 0
        for numbers, group in groupby(holding):
            end = start + len(list(group))
            effect = sum(self.words[number].effect for number in numbers) / max(1, len(numbers))
            found.append(Word(start, end, self.text[start:end], effect))
            start = end
        return found

    def strongest(self, n: int) -> list[Word]:
        """The n words that speak most for the label, no two of which overlap, strongest first."""
        chosen: list[Word] = []
        for word in sorted(self.words, key=lambda word: -word.effect):
            if len(chosen) < n and all(word.end <= other.start or other.end <= word.start for other in chosen):
                chosen.append(word)
        return chosen


@dataclass(frozen=True)
class Shown:
    """A demonstration in the prompt and what leaving it out does.

    Attributes:
        row: its position in the support set.
        label: its label.
        text: its text.
        effect: log-odds, nats, that the label loses against the runner-up when it is left out.
    """

    row: int
    label: str
    text: str
    effect: float


@dataclass(frozen=True)
class Explanation:
    """Why a text got its label.

    Every effect is measured on its own, with everything else in place; effects do not add up to `log_odds`. The
    calibration stays as it was fitted.

    Attributes:
        label: the label that was given.
        runner_up: the next most probable one.
        log_odds: log P(label) − log P(runner-up), calibrated, nats; never negative.
        probabilities: calibrated probability of each label, in the task's order.
        passages: the text's fields with their words.
        demonstrations: what the prompt showed, the strongest effect first; none where other things than a prompt
            alone answer.
    """

    label: str
    runner_up: str
    log_odds: float
    probabilities: dict[str, float]
    passages: tuple[Passage, ...]
    demonstrations: tuple[Shown, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain lists and mappings."""
        return asdict(self)


Spans: TypeAlias = Callable[[str], Sequence[tuple[int, int]]]
"""Gives the (start, end) of everything in a text that is to be taken away, one at a time; they may overlap."""

Demonstration: TypeAlias = tuple[int, Example]
"""A row's position in the support set, and the row."""

MOST = 96
"""Windows of one text; a longer text gets wider ones, so that its cost does not grow with its length squared."""

_RUN = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+(?:['’-][^\W_{UNSPACED}]+)*")
_STARTS_UNSPACED = re.compile(f"[{UNSPACED}]")


def word_spans(text: str, most: int = MOST) -> list[tuple[int, int]]:
    """Words of spaced scripts; overlapping pairs of characters of Chinese, Japanese and Korean.

    Args:
        text: any text; punctuation and white space belong to no window.
        most: how many windows at most. Where there would be more, neighbours are joined.

    Returns:
        (start, end) of each window, ascending.

    Example:
        >>> text = "Great! 物流快"
        >>> [text[start:end] for start, end in word_spans(text)]
        ['Great', '物流', '流快']
    """
    spans: list[tuple[int, int]] = []
    for run in _RUN.finditer(text):
        start, end = run.span()
        if _STARTS_UNSPACED.match(run[0]) and end - start > 2:
            spans += [(at, at + 2) for at in range(start, end - 1)]
        else:
            spans.append((start, end))
    joined = max(1, math.ceil(len(spans) / most))
    return [(spans[at][0], spans[min(at + joined, len(spans)) - 1][1]) for at in range(0, len(spans), joined)]


def without_span(text: str, start: int, end: int) -> str:
    """The text without one span, and without the space that would be left doubled or hanging.

    Example:
        >>> without_span("not a good one", 6, 10), without_span("so good", 3, 7)
        ('not a one', 'so')
    """
    left, right = text[:start], text[end:]
    if not right.strip():
        return left.rstrip()
    if right[0].isspace() and (not left or left[-1].isspace()):
        right = right[1:]
    return left + right


@dataclass(frozen=True)
class Variant:
    """A query that was changed, or demonstrations that were left out, or both.

    Attributes:
        query: the text to label.
        without: positions in the support set of demonstrations that are not shown.
    """

    query: Example
    without: tuple[int, ...] = ()


def explain(
    predictor: Predictor,
    queries: Sequence[Example],
    spans: Spans = word_spans,
    progress: Progress | None = None,
) -> list[Explanation]:
    """Which words and which demonstrations moved the decision about each text.

    Texts that are explained together share the prompts' prefixes, also of those that lack a demonstration: ten cost
    little more than one.

    Args:
        predictor: what answers (`predictor_`). Where a prompt answers alone, its demonstrations are left out in turn.
        queries: the texts.
        spans: what is taken away from each field.
        progress: called with prompts (or texts) finished and in all, per draw of demonstrations.
    """
    cuts = [[(name, *span) for name, text in _texts(query).items() for span in spans(text)] for query in queries]
    occluded = [[_cut(query, *cut) for cut in own] for query, own in zip(queries, cuts, strict=True)]
    shown: list[tuple[Demonstration, ...]] = [() for _ in queries]
    if isinstance(predictor, PromptedPredictor):
        shown = [_demonstrations(predictor, query) for query in queries]
        variants = [
            [Variant(query), *map(Variant, without), *(Variant(query, (row,)) for row, _ in demonstrations)]
            for query, without, demonstrations in zip(queries, occluded, shown, strict=True)
        ]
        tables = score_variants(predictor, queries, variants, progress)
    else:
        tables = _answers(predictor, [[query, *own] for query, own in zip(queries, occluded, strict=True)], progress)
    return [_explanation(predictor.labels, *parts) for parts in zip(queries, cuts, shown, tables, strict=True)]


def _answers(predictor: Predictor, groups: Sequence[Sequence[Example]], progress: Progress | None) -> list[FloatArray]:
    """Log P(label) of groups of texts, answered together: shape [texts, labels] each."""
    log_p = predictor.log_probabilities([text for group in groups for text in group], progress)
    return np.split(log_p, np.cumsum([len(group) for group in groups])[:-1]) if groups else []


def score_variants(
    predictor: PromptedPredictor,
    queries: Sequence[Example],
    variants: Sequence[Sequence[Variant]],
    progress: Progress | None = None,
) -> list[FloatArray]:
    """Calibrated log P(label) of variants of texts, all under the demonstrations that the text itself is shown.

    Args:
        predictor: what a fitted classifier asks.
        queries: the texts as they are; they choose the demonstrations.
        variants: what is scored for each.
        progress: called with prompts finished and prompts in all, per draw of demonstrations.

    Returns:
        For each text natural logarithms, shape [variants, labels].
    """
    inference = predictor.inference
    builder = inference.builder
    # As `PromptedPredictor` does: a content-free prompt shows what the query's shows, where that depends on the query.
    by_query = builder.selection.depends_on_query

    def prompt(query: Example, shown: Sequence[int], without: Sequence[int]) -> Prompt:
        # What is varied must not change the rest, so that the selection is not asked again.
        return builder.build(query, inference.support, shown=tuple(row for row in shown if row not in without))

    neutral = [inference.query(text) for text in inference.normalisation.neutral_texts]
    asked = [(query, variant) for query, own in zip(queries, variants, strict=True) for variant in own]
    total = np.zeros((len(asked), len(builder.labels)))
    for draw, calibration in enumerate(predictor.calibrations):
        prompts = [
            prompt(changed, _shown(predictor, original, draw), variant.without)
            for query, variant in asked
            for original, changed in (
                *((query if by_query else other, other) for other in neutral),
                (query, variant.query),
            )
        ]
        rows = inference.scorer.log_probs(prompts, progress) if prompts else []
        own = range(len(neutral), len(rows), len(neutral) + 1)
        scores = [inference.normalisation.scores(rows[at : at + 1], rows[at - len(neutral) : at]) for at in own]
        total += calibration.log_probabilities(np.concatenate([np.empty((0, len(builder.labels))), *scores]))
    log_p = log_softmax(total / len(predictor.calibrations), axis=1)
    return np.split(log_p, np.cumsum([len(own) for own in variants])[:-1]) if variants else []


def _explanation(
    labels: Sequence[str],
    query: Example,
    cuts: Sequence[tuple[str, int, int]],
    shown: Sequence[Demonstration],
    log_p: FloatArray,
) -> Explanation:
    best, second = np.argsort(-log_p[0], kind="stable")[:2]
    odds = log_p[:, best] - log_p[:, second]
    effects = (odds[0] - odds[1:]).tolist()
    texts = _texts(query)
    words = [
        (name, Word(start, end, texts[name][start:end], effect))
        for (name, start, end), effect in zip(cuts, effects[: len(cuts)], strict=True)
    ]
    demonstrations = [
        Shown(row, str(example.label), example.text, effect)
        for (row, example), effect in zip(shown, effects[len(cuts) :], strict=True)
    ]
    return Explanation(
        label=labels[best],
        runner_up=labels[second],
        log_odds=float(odds[0]),
        probabilities=dict(zip(labels, np.exp(log_p[0]).tolist(), strict=True)),
        passages=tuple(
            Passage(name, text, tuple(word for field, word in words if field == name)) for name, text in texts.items()
        ),
        demonstrations=tuple(sorted(demonstrations, key=lambda shown: -abs(shown.effect))),
    )


def _demonstrations(predictor: PromptedPredictor, query: Example) -> tuple[Demonstration, ...]:
    """What the prompts of all draws show, in prompt order, each once."""
    draws = range(len(predictor.calibrations))
    rows = dict.fromkeys(row for draw in draws for row in _shown(predictor, query, draw))
    return tuple((row, predictor.inference.support[row]) for row in rows)


def _shown(predictor: PromptedPredictor, query: Example, draw: int) -> tuple[int, ...]:
    """The rows that the served prompt shows, in prompt order."""
    return predictor.inference.builder.build(query, predictor.inference.support, draw).demonstrations


def _texts(query: Example) -> dict[str, str]:
    return {name: value for name, value in query.fields.items() if isinstance(value, str)}


def _cut(query: Example, field: str, start: int, end: int) -> Example:
    return Example({**query.fields, field: without_span(query.fields[field], start, end)})
