"""Types that every package shares: arrays, progress, a text in two languages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["FloatArray", "Folds", "IntArray", "Language", "Progress", "Text", "counted", "listed"]

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

Folds: TypeAlias = Sequence[tuple[Sequence[int], Sequence[int]]]
"""Positions to fit on and positions to apply to, a pair for each fold."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (rows finished, rows in all)."""

Language: TypeAlias = Literal["en", "zh"]


@dataclass(frozen=True)
class Text:
    """The same text in English and in Chinese, with the same places in braces where it is a template.

    What is decided says its sentence with a template and values; nobody glues sentences together.

    >>> Text("zero-shot", "零样本").say("zh")
    '零样本'
    >>> Text("{n} rows by {rung}", "{rung}：{n} 行").fill(n=3, rung=Text("zero-shot", "零样本")).zh
    '零样本：3 行'
    >>> str(Text(", ", "、").join(["a", Text("b", "乙")]))
    'a, b'
    """

    en: str
    zh: str

    def say(self, language: str) -> str:
        """The text in a language; English where the language is not Chinese."""
        return self.zh if language.startswith("zh") else self.en

    def fill(self, **values: object) -> Text:
        """The template with its places filled; a `Text` among the values is said in each language."""
        return Text(*(getattr(self, name).format(**_said(values, name)) for name in ("en", "zh")))

    def join(self, parts: Iterable[str | Text]) -> Text:
        """The parts with this text between them."""
        listed = list(parts)
        return Text(*(getattr(self, name).join(_in(part, name) for part in listed) for name in ("en", "zh")))

    def __str__(self) -> str:
        return self.en


def counted(number: int, one: Text, many: Text, **values: object) -> Text:
    """`one` for 1, else `many`, its place `{n}` filled with the number and its other places with the values.

    >>> counted(1, Text("{n} row", "{n} 行"), Text("{n} rows", "{n} 行")).en
    '1 row'
    """
    return (one if number == 1 else many).fill(n=number, **values)


def listed(parts: Iterable[str | Text]) -> Text:
    """A list as people write it.

    >>> listed(["a", "b"]).en, listed(["a", "b"]).zh
    ('a, b', 'a、b')
    """
    return _COMMA.join(parts)


_COMMA = Text(", ", "、")


def _in(value: object, language: str) -> Any:
    return getattr(value, language) if isinstance(value, Text) else value


def _said(values: Mapping[str, object], language: str) -> dict[str, Any]:
    return {name: _in(value, language) for name, value in values.items()}
