"""Rungs of an encoder: its vectors with logistic regression, and its vectors beside those of the labels' own words.

The second learns nothing from the rows but how sure to be, and answers where there are none. With a few rows the first
learns from the labels' words as well, as far as that pays, and the two err in different places.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.rungs.heads import FittedHead, HeadVariant, fit_with_words, propose_head
from fewshot_llm.models.encoder import Encoder
from fewshot_llm.predictors.linear import EncoderFeatures, LinearHead
from fewshot_llm.types import FloatArray, IntArray, Text

__all__ = ["EncoderHead", "EncoderNames", "LargeEncoderHead", "LargeEncoderNames", "names_head"]

STRENGTH = 10.0
SURENESS = 20.0
"""Nats that lie between a text that points as a label's words do, and one that points across, where no row tells and
labels are many. Two labels point away from each other, so that half of it lies between them."""

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
        started = time.perf_counter()
        known = climb.resources.vectors(self.encoder)
        fit = partial(_fit, known.encoder, known.rows, climb.problem.targets, known.words)
        told = {"encoder": known.encoder.name}
        variants = [HeadVariant({**told, "label_words": share}, partial(fit, share)) for share in SHARES]
        return propose_head(self, climb, variants, started, known.seconds_per_1000)


@dataclass(frozen=True)
class LargeEncoderHead(EncoderHead):
    """The same with a larger encoder, where it is to be had; for `tune`, which takes its time."""

    name: ClassVar[str] = "encoder-large"
    title: ClassVar[Text] = Text("large encoder", "大型文本向量")
    encoder: str | None = "embeddinggemma-300m"


@dataclass(frozen=True)
class EncoderNames(Rung):
    """How like a text is to each label's words, by an encoder; the rows only tell how sure to be.

    Attributes:
        encoder: as of `EncoderHead`.
    """

    name: ClassVar[str] = "encoder-names"
    title: ClassVar[Text] = Text("label names by encoder", "标签名的文本向量")
    encoder: str | None = None

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Compare every row with every label."""
        started = time.perf_counter()
        known = climb.resources.vectors(self.encoder)
        features, head = names_head(known.encoder, known.words)

        def ask(rows: Sequence[int]) -> FloatArray:
            return head.scores(features.centred(known.rows[list(rows)]))

        variant = HeadVariant({"encoder": known.encoder.name}, lambda learn: FittedHead(features, head, ask))
        return propose_head(self, climb, [variant], started, known.seconds_per_1000)


@dataclass(frozen=True)
class LargeEncoderNames(EncoderNames):
    """The same with the larger encoder."""

    name: ClassVar[str] = "encoder-large-names"
    title: ClassVar[Text] = Text("label names by large encoder", "标签名的大型文本向量")
    encoder: str | None = "embeddinggemma-300m"


def names_head(encoder: Encoder, words: FloatArray) -> tuple[EncoderFeatures, LinearHead]:
    """Similarity of a text with each label's words, as a linear head; no row is needed.

    Args:
        encoder: gives the vectors.
        words: of each label's words, of length 1, shape [labels, width].
    """
    features, labels = EncoderFeatures(encoder, words.mean(axis=0)), len(words)
    sureness = SURENESS * (labels - 1) / labels
    return features, LinearHead(sureness * features.centred(words), np.zeros(labels))


def _fit(
    encoder: Encoder, vectors: FloatArray, targets: IntArray, named: FloatArray, share: float, learn: Sequence[int]
) -> FittedHead:
    rows = list(learn)
    features = EncoderFeatures(encoder, vectors[rows].mean(axis=0))
    known = features.centred(vectors[rows])
    head = fit_with_words(known, targets[rows], features.centred(named), share, STRENGTH)

    def ask(others: Sequence[int]) -> FloatArray:
        return head.scores(features.centred(vectors[list(others)]))

    return FittedHead(features, head, ask)
