"""Leave something out, score again: words by occlusion, demonstrations one at a time.

Both are exact: what is compared are scores of prompts that a classifier could be asked. Occlusion: Zeiler and Fergus,
"Visualizing and Understanding Convolutional Networks" (2014); for words, Li et al., "Understanding Neural Networks
through Representation Erasure" (2016). All prompts of a draw go to the scorer in one call, which computes what they
share once: the demonstrations for all occlusions, and for a demonstration left out everything before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.explaining.explanation import Explanation, Passage, Shown, Word
from fewshot_llm.explaining.windows import Spans, without_span, word_spans
from fewshot_llm.prompting.prompt import Prompt
from fewshot_llm.scoring.base import FloatArray, Progress
from fewshot_llm.support import Example

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


def explain(
    answerer: Answerer, queries: Sequence[Example], spans: Spans = word_spans, progress: Progress | None = None
) -> list[Explanation]:
    """Which words and which demonstrations moved the decision about each text.

    Texts that are explained together share the prompts' beginnings, also of those that lack a demonstration: ten cost
    little more than one.

    Args:
        answerer: what a fitted classifier asks and how it reads the scores (`answerer_`).
        queries: the texts.
        spans: what is taken away from each field.
        progress: called with prompts finished and prompts in all, per draw of demonstrations.
    """
    cuts, shown, variants = [], [], []
    for query in queries:
        cuts.append([(name, start, end) for name, text in _texts(query).items() for start, end in spans(text)])
        draws = range(len(answerer.calibrations))
        shown.append(tuple(dict.fromkeys(row for draw in draws for row in _shown(answerer, query, draw))))
        occluded = [Variant(_cut(query, name, start, end)) for name, start, end in cuts[-1]]
        variants.append([Variant(query), *occluded, *(Variant(query, (row,)) for row in shown[-1])])
    tables = score_variants(answerer, queries, variants, progress)
    return [_explanation(answerer, *parts) for parts in zip(queries, cuts, shown, tables, strict=True)]


def score_variants(
    answerer: Answerer,
    queries: Sequence[Example],
    variants: Sequence[Sequence[Variant]],
    progress: Progress | None = None,
) -> list[FloatArray]:
    """Calibrated log P(label) of variants of texts, all under the demonstrations that the text itself is shown.

    Args:
        answerer: what a fitted classifier asks.
        queries: the texts as they are; they choose the demonstrations.
        variants: what is scored for each.
        progress: called with prompts finished and prompts in all, per draw of demonstrations.

    Returns:
        For each text natural logarithms, shape [variants, labels].
    """
    inference = answerer.inference
    builder = inference.builder
    # As `Inference` does: a content-free prompt shows what the query's shows, where that depends on the query.
    by_query = builder.selection.depends_on_query

    def prompt(query: Example, shown: Sequence[int], without: Sequence[int]) -> Prompt:
        # What is varied must not change the rest, so that the selection is not asked again.
        return builder.build(query, inference.support, shown=tuple(row for row in shown if row not in without))

    neutral = [inference.query(text) for text in inference.normalisation.neutral_texts]
    asked = [(query, variant) for query, own in zip(queries, variants, strict=True) for variant in own]
    total = np.zeros((len(asked), len(builder.labels)))
    for draw, calibration in enumerate(answerer.calibrations):
        prompts = [
            prompt(changed, _shown(answerer, original, draw), variant.without)
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
    log_p = log_softmax(total / len(answerer.calibrations), axis=1)
    return np.split(log_p, np.cumsum([len(own) for own in variants])[:-1]) if variants else []


def _explanation(
    answerer: Answerer,
    query: Example,
    cuts: Sequence[tuple[str, int, int]],
    shown: Sequence[int],
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


def _shown(answerer: Answerer, query: Example, draw: int) -> tuple[int, ...]:
    """The rows that the served prompt shows, in prompt order."""
    return answerer.inference.builder.build(query, answerer.inference.support, draw).demonstrations


def _texts(query: Example) -> dict[str, str]:
    return {name: value for name, value in query.fields.items() if isinstance(value, str)}


def _cut(query: Example, field: str, start: int, end: int) -> Example:
    return Example({**query.fields, field: without_span(query.fields[field], start, end)})
