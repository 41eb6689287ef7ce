"""BM25 over a few thousand short texts: which labelled rows share the query's rare words.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the
non-negative inverse document frequency log(1 + (N - n + 0.5) / (n + 0.5)).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from fewshot_llm.language import UNSPACED
from fewshot_llm.scoring.base import FloatArray

__all__ = ["Bm25", "terms"]

_K1 = 1.2
_B = 0.75
_RUN = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+(?:'\w+)?")
_STARTS_UNSPACED = re.compile(f"[{UNSPACED}]")


def terms(text: str) -> list[str]:
    """Words of spaced scripts in lower case; overlapping character pairs of Chinese, Japanese and Korean.

    Pairs need no word list and find most Chinese words, which are two characters long.

    Example:
        >>> terms("Great 物流快 don't")
        ['great', '物流', '流快', "don't"]
    """
    found: list[str] = []
    for run in _RUN.findall(text.lower()):
        if _STARTS_UNSPACED.match(run):
            found.extend(run[i : i + 2] for i in range(max(1, len(run) - 1)))
        else:
            found.append(run)
    return found


class Bm25:
    """An index of texts.

    Example:
        >>> index = Bm25(["fast delivery", "broken box"])
        >>> scores = index.scores("the box came broken")
        >>> bool(scores[1] > scores[0])
        True
    """

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(terms(text)) for text in texts]
        lengths = [sum(count.values()) for count in counts]
        mean = sum(lengths) / max(1, len(lengths)) or 1.0
        frequency = Counter(term for count in counts for term in count)
        rows: dict[str, list[int]] = {term: [] for term in frequency}
        weights: dict[str, list[float]] = {term: [] for term in frequency}
        for row, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            for term, times in count.items():
                idf = math.log(1 + (len(texts) - frequency[term] + 0.5) / (frequency[term] + 0.5))
                norm = times + _K1 * (1 - _B + _B * length / mean)
                rows[term].append(row)
                weights[term].append(idf * times * (_K1 + 1) / norm)
        self._size = len(texts)
        self._postings = {term: (np.array(rows[term]), np.array(weights[term])) for term in frequency}

    def scores(self, query: str) -> FloatArray:
        """How well each text answers `query`, shape [texts]; 0 where no term is shared."""
        total = np.zeros(self._size)
        for term, times in Counter(terms(query)).items():
            if term in self._postings:
                rows, weights = self._postings[term]
                total[rows] += times * weights
        return total
