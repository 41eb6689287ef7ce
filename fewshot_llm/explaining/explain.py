"""Leave something out, score again: words by occlusion, demonstrations one at a time.

Both are exact: what is compared are scores of prompts that a classifier could be asked. Occlusion: Zeiler and Fergus,
"Visualizing and Understanding Convolutional Networks" (2014); for words, Li et al., "Understanding Neural Networks
through Representation Erasure" (2016). All prompts of a draw go to the scorer in one call, which computes what they
share once: the demonstrations for all occlusions, and for a demonstration left out everything before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax

from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.explaining.explanation import Explanation, Passage, Shown, Word
from fewshot_llm.explaining.windows import Spans, without_span, word_spans
from fewshot_llm.scoring.base import FloatArray, Progress
from fewshot_llm.support import Example, SupportSet

__all__ = ["Variant", "explain", "score_variants"]


@dataclass(frozen=True)
class Variant:
    """A query that was changed, or demonstrations that were left out, or both.

    Attributes:
        query: the text to label.
        without: positions in the support set of demonstrations that are not shown.
    """

    query: Example
    without: tuple[int, ...] = ()


@dataclass(frozen=True)
class _AsGiven:
    """Shows every row of the support set in its order, whatever the query: what is varied must not change the rest."""

    depends_on_query: ClassVar[bool] = False

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        return tuple(range(len(support)))


def explain(
    answerer: Answerer, query: Example, spans: Spans = word_spans, progress: Progress | None = None
) -> Explanation:
    """Which words and which demonstrations moved the decision about one text.

    Args:
        answerer: what a fitted classifier asks and how it reads the scores (`answerer_`).
        query: the text.
        spans: what is taken away from each field.
        progress: called with prompts finished and prompts in all, per draw of demonstrations.
    """
    texts = {name: value for name, value in query.fields.items() if isinstance(value, str)}
    cuts = [(name, start, end) for name, text in texts.items() for start, end in spans(text)]
    occluded = [Variant(_cut(query, name, start, end)) for name, start, end in cuts]
    draws = range(len(answerer.calibrations))
    shown = tuple(dict.fromkeys(row for draw in draws for row in _shown(answerer.inference, query, draw)))
    left_out = [Variant(query, (row,)) for row in shown]

    log_p = score_variants(answerer, query, [Variant(query), *occluded, *left_out], progress)
    best, second = np.argsort(-log_p[0], kind="stable")[:2]
    odds = log_p[:, best] - log_p[:, second]
    effects = (odds[0] - odds[1:]).tolist()

    words = [
        (name, Word(start, end, texts[name][start:end], effect))
        for (name, start, end), effect in zip(cuts, effects[: len(cuts)], strict=True)
    ]
    support, labels = answerer.inference.support, answerer.inference.builder.labels
    demonstrations = [
        Shown(row, str(support[row].label), support[row].text, effect)
        for row, effect in zip(shown, effects[len(cuts) :], strict=True)
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


def score_variants(
    answerer: Answerer, query: Example, variants: Sequence[Variant], progress: Progress | None = None
) -> FloatArray:
    """Calibrated log P(label) of variants of one text, all under the demonstrations that the text itself is shown.

    Args:
        answerer: what a fitted classifier asks.
        query: the text as it is; it chooses the demonstrations.
        variants: what is scored.
        progress: called with prompts finished and prompts in all, per draw of demonstrations.

    Returns:
        Natural logarithms, shape [variants, labels].
    """
    inference = answerer.inference
    neutral = [inference.query(text) for text in inference.normalisation.neutral_texts]
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, variant in enumerate(variants):
        groups.setdefault(variant.without, []).append(position)
    builder = replace(inference.builder, selection=_AsGiven(), shots=max(1, inference.builder.shots))
    total = np.zeros((len(variants), len(builder.labels)))
    for draw, calibration in enumerate(answerer.calibrations):
        shown = _shown(inference, query, draw)
        asked = []
        for without, positions in groups.items():
            prompts = [
                builder.build(other, _kept(inference, _shown(inference, other, draw), without)) for other in neutral
            ]
            kept = _kept(inference, shown, without)
            asked.append(prompts + [builder.build(variants[position].query, kept) for position in positions])
        rows = inference.scorer.log_probs([prompt for prompts in asked for prompt in prompts], progress)
        for prompts, positions in zip(asked, groups.values(), strict=True):
            scored, rows = rows[: len(prompts)], rows[len(prompts) :]
            scores = inference.normalisation.scores(scored[len(neutral) :], scored[: len(neutral)])
            total[positions] += calibration.log_probabilities(scores)
    result: FloatArray = log_softmax(total / len(answerer.calibrations), axis=1)
    return result


def _shown(inference: Inference, query: Example, draw: int) -> tuple[int, ...]:
    """The rows that the served prompt shows, in prompt order."""
    return inference.builder.build(query, inference.support, draw).demonstrations


def _kept(inference: Inference, shown: Sequence[int], without: Sequence[int]) -> SupportSet:
    return inference.support.subset(row for row in shown if row not in without)


def _cut(query: Example, field: str, start: int, end: int) -> Example:
    return Example({**query.fields, field: without_span(query.fields[field], start, end)})
