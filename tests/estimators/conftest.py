"""Labelled texts, and scorers that read them, so that what a classifier does can be told from its answers."""

from __future__ import annotations

import pytest

from tests.estimators.word_scorer import WordScorer

GOOD = [
    "很好，喜欢",
    "质量不错，很好",
    "喜欢，会再买",
    "好看，很好",
    "不错，推荐",
    "很好用，推荐",
    "喜欢这个颜色",
    "物流快，不错",
]
BAD = [
    "太差了，退货",
    "垃圾，退货",
    "很差，失望",
    "破了，失望",
    "太慢，差评",
    "假货，退货",
    "差，不会再买",
    "失望，垃圾",
]


@pytest.fixture
def words() -> WordScorer:
    return WordScorer()


@pytest.fixture
def leaning() -> WordScorer:
    """Calls everything positive."""
    return WordScorer(lean=(6.0, 0.0))


@pytest.fixture
def reviews() -> tuple[list[str], list[str]]:
    """Eight of each class, taking turns."""
    texts = [text for pair in zip(GOOD, BAD, strict=True) for text in pair]
    return texts, ["positive", "negative"] * len(GOOD)
