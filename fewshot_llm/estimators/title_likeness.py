"""How alike two titles are: what a shop without a single count knows already."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from fewshot_llm.estimators.choice import Choice
from fewshot_llm.prompting.bm25 import terms
from fewshot_llm.scoring.base import FloatArray

__all__ = ["TitleLikeness"]


@dataclass(frozen=True, eq=False)
class TitleLikeness:
    """Shared words of titles, the rare ones first (cosine of sets of words with TF-IDF weights).

    Attributes:
        titles: from which it is learned which words are rare.

    Example:
        >>> likeness = TitleLikeness(("RED MUG", "RED PLATE", "BLUE MUG", "RED LAMP"))
        >>> likeness.between("BLUE MUG", "MUG RED") > likeness.between("RED LAMP", "RED PLATE")
        True
    """

    titles: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, titles: Iterable[str]) -> TitleLikeness:
        """From titles, each counted once."""
        return cls(tuple(sorted(set(titles))))

    @cached_property
    def _frequency(self) -> Counter[str]:
        return Counter(term for title in self.titles for term in set(terms(title)))

    def between(self, one: str, other: str) -> float:
        """From 0, no word shared, to 1, the same words."""
        left, right = set(terms(one)), set(terms(other))
        size = self._weight(left) * self._weight(right)
        return self._weight(left & right) / math.sqrt(size) if size else 0.0

    def features(self, choice: Choice) -> FloatArray:
        """Likeness of each candidate to the most similar title of the history, shape [candidates, 1]."""
        return np.array([[max(self.between(new, old) for old in choice.history)] for new in choice.candidates])

    def _weight(self, words: set[str]) -> float:
        return sum(math.log((len(self.titles) + 1) / (self._frequency[word] + 0.5)) ** 2 for word in words)
