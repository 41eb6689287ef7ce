"""What is taken away from a text, piece by piece: words, or pairs of characters where words are not spaced.

Chinese is occluded by a window of two characters that slides by one. A fixed cut into pairs would split half of the
words; a window that slides meets every two-character word (most of them are) as a whole, whatever its place, and needs
no word list. A word list (jieba and the like) would be a dependency and would still not know a shop's own words. Who
has one gives its spans: `spans=lambda text: [(start, end) for _, start, end in jieba.tokenize(text)]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from fewshot_llm.language import UNSPACED

__all__ = ["Spans", "without_span", "word_spans"]

Spans: TypeAlias = Callable[[str], Sequence[tuple[int, int]]]
"""Gives the (start, end) of everything in a text that is to be taken away, one at a time; they may overlap."""

MOST = 96
"""Windows of one text; a longer text gets wider ones, so that its cost does not grow with its length squared."""

_RUN = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+(?:['’-][^\W_{UNSPACED}]+)*")
_STARTS_UNSPACED = re.compile(f"[{UNSPACED}]")


def word_spans(text: str, most: int = MOST) -> list[tuple[int, int]]:
    """Words of spaced scripts; overlapping pairs of characters of Chinese, Japanese and Korean.

    Args:
        text: any text; punctuation and white space belong to no window.
        most: how many windows at most. Where there would be more, neighbours are joined.

    Returns:
        (start, end) of each window, ascending.

    Example:
        >>> text = "Great! 物流快"
        >>> [text[start:end] for start, end in word_spans(text)]
        ['Great', '物流', '流快']
    """
    spans: list[tuple[int, int]] = []
    for run in _RUN.finditer(text):
        start, end = run.span()
        if _STARTS_UNSPACED.match(run[0]) and end - start > 2:
            spans += [(at, at + 2) for at in range(start, end - 1)]
        else:
            spans.append((start, end))
    joined = max(1, math.ceil(len(spans) / most))
    return [(spans[at][0], spans[min(at + joined, len(spans)) - 1][1]) for at in range(0, len(spans), joined)]


def without_span(text: str, start: int, end: int) -> str:
    """The text without one span, and without the space that would be left doubled or hanging.

    Example:
        >>> without_span("not a good one", 6, 10), without_span("so good", 3, 7)
        ('not a one', 'so')
    """
    left, right = text[:start], text[end:]
    if not right.strip():
        return left.rstrip()
    if right[0].isspace() and (not left or left[-1].isspace()):
        right = right[1:]
    return left + right
