"""How alike texts are: the cosine of their telling words.

The terms are those of `prompting.bm25` (words, or pairs of Chinese characters). BM25 itself is not used: its score is
not the same in both directions and has no upper end, so that neither "nearly the same" nor "typical" can be read off
it. Numbers count as equal, for two texts that differ in an order number teach the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from fewshot_llm.language import normalise_text
from fewshot_llm.prompting.bm25 import terms
from fewshot_llm.scoring.base import FloatArray

__all__ = ["Likeness"]


class Likeness:
    """The likeness of a pool's rows to each other and to labelled texts, all from 0 to 1.

    Args:
        pool: the unlabelled texts.
        labelled: the labelled ones.

    Attributes:
        typicality: mean likeness to the rows of the pool, shape [pool].
        known: likeness to the nearest labelled text, shape [pool]; 0 without any.

    Example:
        >>> likeness = Likeness(["box arrived broken", "broken box arrived", "great"], ["great quality"])
        >>> likeness.row(0).round(2).tolist()
        [1.0, 1.0, 0.0]
        >>> likeness.known.round(2).tolist()
        [0.0, 0.0, 0.62]
    """

    def __init__(self, pool: Sequence[str], labelled: Sequence[str]) -> None:
        self.typicality: FloatArray = np.zeros(len(pool))
        self.known: FloatArray = np.zeros(len(pool))
        if not pool:
            return
        vectors = TfidfVectorizer(analyzer=_terms, sublinear_tf=True).fit_transform([*pool, *labelled])
        self._pool: Any = vectors[: len(pool)]
        centre = np.asarray(self._pool.mean(axis=0)).ravel()
        self.typicality = np.asarray(self._pool @ centre)
        for at in range(len(pool), vectors.shape[0]):
            self.known = np.maximum(self.known, (self._pool @ vectors[at].T).toarray().ravel())

    def row(self, row: int) -> FloatArray:
        """The likeness of one row of the pool to every one, shape [pool]."""
        found: FloatArray = (self._pool @ self._pool[row].T).toarray().ravel()
        return found


def _terms(text: str) -> list[str]:
    plain = re.sub(r"\d+", "0", normalise_text(text))
    return terms(plain) or [plain]  # a text of nothing but signs is like its own kind
