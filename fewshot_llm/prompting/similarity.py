"""Demonstrations chosen for the query: the most similar ones, or similar ones that differ from each other.

All of them put the most useful demonstration last, next to the query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fewshot_llm.errors import SupportError
from fewshot_llm.prompting.bm25 import Bm25
from fewshot_llm.prompting.recent import Recent
from fewshot_llm.prompting.selection import own_rows
from fewshot_llm.scoring.base import FloatArray
from fewshot_llm.support.example import Example
from fewshot_llm.support.supportset import SupportSet

__all__ = ["Diverse", "Nearest", "NearestHidden"]

_INDEX: Recent[Bm25] = Recent(size=16)
_VECTORS: Recent[FloatArray] = Recent(size=16)
_LIKENESS: Recent[FloatArray] = Recent(size=4096)

_CANDIDATES = 64


def _best_last(scores: FloatArray, own: Sequence[int], shots: int) -> tuple[int, ...]:
    """The `shots` rows with the highest scores, ascending; of equals the earlier row counts as better."""
    order = np.argsort(-scores, kind="stable")
    return tuple(int(row) for row in order if row not in own)[:shots][::-1]


def _need(query: Example | None, selection: object) -> Example:
    if query is None:
        raise SupportError(f"{type(selection).__name__} chooses demonstrations for a query, and none was given.")
    return query


def _index(support: SupportSet) -> Bm25:
    return _INDEX.get("bm25", lambda: Bm25([example.text for example in support.examples]), owner=support)


@dataclass(frozen=True)
class Nearest:
    """The `shots` examples (in all) that share the most telling words with the query, by BM25.

    Chinese is compared by pairs of characters, so no word list is needed.

    Example:
        >>> support = SupportSet.from_lists(["物流太慢", "质量很好", "快递慢"], ["差评", "好评", "差评"])
        >>> Nearest().select(support, Example.of("物流快"), shots=1, seed=0)
        (0,)
    """

    depends_on_query: ClassVar[bool] = True

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        """See `Selection.select`; `shots` is in all, `seed` is not used."""
        query = _need(query, self)
        return _best_last(_index(support).scores(query.text), own_rows(support, query), shots)


@dataclass(frozen=True)
class NearestHidden:
    """The `shots` examples (in all) whose vectors have the highest cosine with the query's.

    Attributes:
        embed: texts → vectors, shape [texts, width]; for example a model's mean hidden state. The support set is
            embedded once, each query by itself.
    """

    embed: Callable[[Sequence[str]], FloatArray] = field(repr=False)

    depends_on_query: ClassVar[bool] = True

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        """See `Selection.select`; `shots` is in all, `seed` is not used."""
        query = _need(query, self)
        known = _VECTORS.get(
            self.embed, lambda: _unit(self.embed([example.text for example in support.examples])), owner=support
        )
        scores = known @ _unit(self.embed([query.text]))[0]
        return _best_last(scores, own_rows(support, query), shots)


def _unit(vectors: FloatArray) -> FloatArray:
    vectors = np.array(vectors, dtype=np.float64)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise SupportError(
            f"The embedding gave an array of shape {vectors.shape}; expected finite numbers of shape [texts, width]."
        )
    lengths: FloatArray = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = vectors / np.maximum(lengths, 1e-12)
    return unit


@dataclass(frozen=True)
class Diverse:
    """`shots` examples (in all) that are near the query and unlike each other: maximal marginal relevance.

    Carbonell and Goldstein, "The Use of MMR" (1998): one after the other, the example with the highest
    relevance · nearness to the query − (1 − relevance) · likeness to the nearest one chosen before. Both are BM25:
    nearness as a share of the nearest example's, likeness as a share of an example's likeness to itself.

    Attributes:
        relevance: from 0 (only unlike each other) to 1 (as `Nearest`).
    """

    relevance: float = 0.7

    depends_on_query: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.relevance <= 1:
            raise SupportError(f"The relevance of Diverse is {self.relevance}; expected a number from 0 to 1.")

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        """See `Selection.select`; `shots` is in all, `seed` is not used."""
        query = _need(query, self)
        scores = _index(support).scores(query.text)
        pool = list(_best_last(scores, own_rows(support, query), max(_CANDIDATES, 2 * shots)))[::-1]
        nearness = scores / max(float(scores[pool].max(initial=0.0)), 1e-12)
        likeness = np.zeros(len(support))
        chosen: list[int] = []
        while pool and len(chosen) < shots:
            best = max(pool, key=lambda row: self.relevance * nearness[row] - (1 - self.relevance) * likeness[row])
            pool.remove(best)
            chosen.append(best)
            likeness = np.maximum(likeness, _likeness(support, best))
        return tuple(reversed(chosen))


def _likeness(support: SupportSet, row: int) -> FloatArray:
    """How much of `row` each example of the support set shares, from 0 to 1."""

    def make() -> FloatArray:
        scores = _index(support).scores(support[row].text)
        return scores / max(float(scores[row]), 1e-12)

    return np.minimum(_LIKENESS.get(row, make, owner=support), 1.0)
