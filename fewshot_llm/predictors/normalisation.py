"""Which score of a label is compared: its summed log-probability, the mean per token, or PMI.

Label words of unequal length make the sum favour short ones. The mean per token undoes that and overcorrects
where a label's later tokens are certain once the first is given. Pointwise mutual information (Holtzman et
al. 2021, "Surface Form Competition") takes away what the label words score after a text without content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias

import numpy as np

from fewshot_llm.errors import ScoringError, nearest
from fewshot_llm.scoring.base import LabelScores
from fewshot_llm.types import FloatArray

__all__ = [
    "MeanPerToken",
    "Normalisation",
    "NormalisationName",
    "PointwiseMutualInformation",
    "Sum",
    "as_normalisation",
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
