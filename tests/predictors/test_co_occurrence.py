"""Counts from baskets, without the asker's own."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fewshot_llm.errors import SupportError
from fewshot_llm.files import write_rows
from fewshot_llm.predictors import Basket, BasketCounts, Choice, read_baskets

BASKETS = [
    Basket(frozenset({"cup", "saucer"}), "a"),
    Basket(frozenset({"cup", "saucer"}), "b"),
    Basket(frozenset({"cup", "spoon"}), "c"),
    Basket(frozenset({"nail"}), "d"),
]


def test_popularity_and_cosine_by_hand() -> None:
    found = BasketCounts.of(BASKETS).features(Choice(("cup",), ("saucer", "nail", "unknown")))
    assert found[:, 0] == pytest.approx([math.log(2.5), math.log(1.5), math.log(0.5)])
    assert found[:, 1] == pytest.approx([math.log(2 / math.sqrt(6) + 0.02), math.log(0.02), math.log(0.02)])


def test_own_baskets_do_not_count() -> None:
    counts = BasketCounts.of(BASKETS)
    own = counts.features(Choice(("cup",), ("saucer", "nail"), user="a"))
    others = BasketCounts.of(BASKETS[1:]).features(Choice(("cup",), ("saucer", "nail")))
    assert own.tolist() == others.tolist()


def test_baskets_from_a_file(tmp_path: Path) -> None:
    write_rows(tmp_path / "baskets.csv", [{"user": 1, "titles": "cup|saucer"}])
    assert read_baskets(tmp_path / "baskets.csv") == [Basket(frozenset({"cup", "saucer"}), "1")]
    write_rows(tmp_path / "empty.csv", [{"user": 1, "titles": "|"}])
    with pytest.raises(SupportError, match=r"Row 0 .* has no titles"):
        read_baskets(tmp_path / "empty.csv")
