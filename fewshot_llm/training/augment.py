"""Texts with some of their words left out, so that an adapter does not learn a few rows by heart."""

from __future__ import annotations

import re

import numpy as np

from fewshot_llm.data import Example
from fewshot_llm.data.language import UNSPACED

__all__ = ["drop_words", "drop_words_of"]

_PIECE = re.compile(rf"[{UNSPACED}]{{1,2}}\s*|[^\s{UNSPACED}]+\s*")


def drop_words(text: str, share: float, generator: np.random.Generator) -> str:
    """Leave each word out with the same probability ("random deletion": Wei and Zou 2019, "EDA").

    A word is what white space ends; of Chinese, Japanese and Korean, a pair of neighbouring characters.

    Args:
        text: any text.
        share: probability that a word is left out.
        generator: draws.

    Returns:
        What is left, in its order; the whole text where no word would be.

    >>> drop_words("My card has not arrived yet", 0.3, np.random.default_rng(1))
    'My card not arrived yet'
    """
    pieces = _PIECE.findall(text)
    stays = generator.random(len(pieces)) >= share
    return "".join(piece for piece, kept in zip(pieces, stays, strict=True) if kept).strip() or text


def drop_words_of(example: Example, share: float, generator: np.random.Generator) -> Example:
    """The example with words left out of each of its texts; its other fields and its label stay.

    >>> drop_words_of(Example({"text": "很好", "stars": 5}), 0.5, np.random.default_rng(0)).fields["stars"]
    5
    """
    fields = {
        name: drop_words(value, share, generator) if isinstance(value, str) else value
        for name, value in example.fields.items()
    }
    return Example(fields, example.label)
