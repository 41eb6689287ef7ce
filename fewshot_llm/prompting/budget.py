"""What fits a model's context: counting tokens, choosing what to leave out, cutting a text that may be cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Budget", "cut_middle", "leaving_order"]

_SLACK = 16
"""Tokens merge at the places where parts that were counted one by one meet; nearer the limit, the whole is counted."""


@dataclass(frozen=True)
class Budget:
    """A tokenizer and the number of tokens that a prompt with its longest answer may have.

    Attributes:
        tokenizer: a Hugging Face tokenizer.
        limit: tokens in all.
    """

    tokenizer: Any = field(repr=False)
    limit: int

    def count(self, text: str) -> int:
        """Tokens of a part, without any BOS."""
        return len(self.tokenizer.encode(text, add_special_tokens=False, verbose=False))

    def count_start(self, text: str) -> int:
        """Tokens of a prompt's beginning; a BOS that the tokenizer will put before it counts too."""
        bos = self.tokenizer.bos_token
        return len(self.tokenizer.encode(text, add_special_tokens=not (bos and text.startswith(bos)), verbose=False))

    def excess(self, start: str, start_tokens: int, rest: str) -> int:
        """By how many tokens `start + rest` is over the limit; negative or 0 where it fits.

        Args:
            start: what many prompts share.
            start_tokens: `count_start(start)`, known already.
            rest: the query with its longest answer.
        """
        roughly = start_tokens + self.count(rest) - self.limit
        return roughly if abs(roughly) >= _SLACK else self.count_start(start + rest) - self.limit


def leaving_order(
    chosen: Sequence[int], labels: Mapping[int, str], costs: Mapping[int, int], most_useful_last: bool
) -> list[int]:
    """In which order demonstrations leave a prompt that is too long, the least useful first.

    Args:
        chosen: their positions in the support set, in prompt order.
        labels: position → label.
        costs: position → tokens.
        most_useful_last: chosen for the query, so that the first is the least near. Otherwise the longest of the
            largest class leaves, which keeps the classes balanced and the most demonstrations.

    Example:
        >>> leaving_order([4, 2, 7], {4: "a", 2: "b", 7: "a"}, {4: 9, 2: 30, 7: 12}, most_useful_last=False)
        [7, 2, 4]
    """
    if most_useful_last:
        return list(chosen)
    left, sizes = list(chosen), Counter(labels[row] for row in chosen)
    order = []
    while left:
        gone = max(left, key=lambda row: (sizes[labels[row]], costs[row]))
        left.remove(gone)
        sizes[labels[gone]] -= 1
        order.append(gone)
    return order


def cut_middle(text: str, fits: Callable[[str], bool]) -> str:
    """The longest version of `text` that fits, with `…` where its middle was.

    A review's beginning and end say most about it, so it is the middle that goes.

    Example:
        >>> cut_middle("abcdefghij", lambda text: len(text) <= 5)
        'ab…ij'
    """
    low, high = 0, len(text)
    while low < high - 1:
        kept = (low + high) // 2
        low, high = (kept, high) if fits(_without_middle(text, kept)) else (low, kept)
    return _without_middle(text, low)


def _without_middle(text: str, kept: int) -> str:
    front = (kept + 1) // 2
    return text[:front] + "…" + text[len(text) - (kept - front) :]
