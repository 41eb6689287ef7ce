"""Types that every package shares: arrays, progress, a text in two languages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["FloatArray", "Folds", "IntArray", "Language", "Progress", "Text"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

Folds: TypeAlias = Sequence[tuple[Sequence[int], Sequence[int]]]
"""Positions to fit on and positions to apply to, a pair for each fold."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (rows finished, rows in all)."""

Language: TypeAlias = Literal["en", "zh"]


@dataclass(frozen=True)
class Text:
    """The same text in English and in Chinese.

    >>> Text("zero-shot", "零样本").say("zh")
    '零样本'
    """

    en: str
    zh: str

    def say(self, language: str) -> str:
        """The text in a language; English where the language is not Chinese."""
        return self.zh if language.startswith("zh") else self.en
