"""Rung `encoder`: an encoder's vectors with logistic regression; the labels' own words may be rows to learn from."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from fewshot_llm.data import Example
from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.rungs.heads import HeadVariant, held_out_scores, propose_head, with_extra
from fewshot_llm.predictors.linear import EncoderFeatures, Features, LinearHead, fit_head
from fewshot_llm.types import FloatArray, Text

__all__ = ["EncoderHead", "LargeEncoderHead"]

STRENGTHS = (1.0, 10.0, 100.0)


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
        started = time.perf_counter()
        features = EncoderFeatures(climb.resources.encoder(self.encoder))
        before = time.perf_counter()
        matrix = np.asarray(features.matrix(tuple(climb.support)))
        per_row = (time.perf_counter() - before) / len(climb.support)
        named = np.asarray(features.matrix([Example.of(words) for words in climb.problem.words.values()]))
        variants = []
        for extra in (None, named):
            for strength in STRENGTHS:
                settings = {
                    "encoder": features.encoder.name,
                    "strength": strength,
                    "label_words": extra is not None,
                }
                scores = held_out_scores(climb, matrix, strength, extra)
                variants.append(HeadVariant(settings, scores, partial(_fit, climb, features, matrix, strength, extra)))
        return propose_head(self, climb, variants, started, 1000 * per_row)


@dataclass(frozen=True)
class LargeEncoderHead(EncoderHead):
    """The same with a larger encoder, where it is to be had; for `tune`, which takes its time."""

    name: ClassVar[str] = "encoder-large"
    title: ClassVar[Text] = Text("large encoder", "大型文本向量")
    encoder: str | None = "embeddinggemma-300m"


def _fit(
    climb: Climb, features: Features, matrix: FloatArray, strength: float, extra: FloatArray | None
) -> tuple[Features, LinearHead]:
    known, targets = with_extra(matrix, climb.problem.targets, extra)
    return features, fit_head(known, targets, len(climb.problem.labels), strength)
