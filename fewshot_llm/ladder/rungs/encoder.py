"""Rung `encoder`: an encoder's vectors with logistic regression; the labels' own words may be rows to learn from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.rungs.heads import Fitted, Variant, fit_with_words, propose_head
from fewshot_llm.models.encoder import Encoder
from fewshot_llm.predictors.linear import EncoderFeatures
from fewshot_llm.types import FloatArray, IntArray, Text

__all__ = ["EncoderHead", "LargeEncoderHead"]

STRENGTH = 10.0
SHARES = (0.0, 0.25, 1.0)
"""See `heads`."""


@dataclass(frozen=True)
class EncoderHead(Rung):
    """Vectors of an encoder, and a linear head on them.

    Attributes:
        encoder: an embedded encoder, a folder, a hub id; None for the one that the user named, or the small one.
    """

    name: ClassVar[str] = "encoder"
    title: ClassVar[Text] = Text("encoder", "文本向量")
    encoder: str | None = None

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Encode once; fit heads without each fold in turn."""
        started, problem = time.perf_counter(), climb.problem
        encoder = climb.resources.encoder(self.encoder)
        before = time.perf_counter()
        vectors = encoder.vectors([row.text for row in climb.support])
        seconds = time.perf_counter() - before
        named = encoder.vectors(list(problem.words.values()))
        variants = [
            Variant(
                {"encoder": encoder.name, "label_words": share},
                partial(_fit, encoder, vectors, problem.targets, named, share),
            )
            for share in SHARES
        ]
        return propose_head(self, climb, variants, started, 1000 * seconds / len(vectors))


@dataclass(frozen=True)
class LargeEncoderHead(EncoderHead):
    """The same with a larger encoder, where it is to be had; for `tune`, which takes its time."""

    name: ClassVar[str] = "encoder-large"
    title: ClassVar[Text] = Text("large encoder", "大型文本向量")
    encoder: str | None = "embeddinggemma-300m"


def _fit(
    encoder: Encoder, vectors: FloatArray, targets: IntArray, named: FloatArray, share: float, learn: Sequence[int]
) -> Fitted:
    rows = list(learn)
    features = EncoderFeatures(encoder, vectors[rows].mean(axis=0))
    known = features.centred(vectors[rows])
    head = fit_with_words(known, targets[rows], features.centred(named), share, STRENGTH)

    def ask(others: Sequence[int]) -> FloatArray:
        return head.scores(features.centred(vectors[list(others)]))

    return Fitted(features, head, ask)
