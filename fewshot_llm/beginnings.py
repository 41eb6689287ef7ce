"""How far two sequences are the same."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["shared_length"]


def shared_length(one: Sequence[object], other: Sequence[object]) -> int:
    """How many items, from the first on, are the same: texts, bytes, token ids.

    >>> shared_length("good", "gone")
    2
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
