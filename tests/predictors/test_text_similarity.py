"""How alike titles are."""

from __future__ import annotations

from hypothesis import given, strategies as st

from fewshot_llm.predictors import Choice, TextSimilarity

TITLES = ["RED MUG", "BLUE MUG", "RED PLATE", "RED LAMP", "GARDEN CHAIR", "红色杯子", "蓝色杯子"]


def test_rare_words_say_more_than_common_ones() -> None:
    likeness = TextSimilarity.of(TITLES)
    assert likeness.between("BLUE MUG", "MUG RED") > likeness.between("RED LAMP", "RED PLATE") > 0
    assert likeness.between("红色杯子", "蓝色杯子") > likeness.between("红色杯子", "GARDEN CHAIR") == 0


def test_the_most_similar_title_of_the_history_counts() -> None:
    choice = Choice(("GARDEN CHAIR", "BLUE MUG"), ("RED MUG", "RED LAMP"), "RED MUG")
    features = TextSimilarity.of(TITLES).features(choice)
    assert features.shape == (2, 1)
    assert features[0, 0] > features[1, 0] == 0


@given(st.text(), st.text())
def test_likeness_is_a_share_and_the_same_both_ways(one: str, other: str) -> None:
    likeness = TextSimilarity.of(TITLES)
    assert 0 <= likeness.between(one, other) <= 1 + 1e-9
    assert likeness.between(one, other) == likeness.between(other, one)
