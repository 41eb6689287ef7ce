from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.errors import SupportError
from fewshot_llm.prompting import (
    Balanced,
    Bm25,
    Diverse,
    IdentityLRU,
    Nearest,
    NearestHidden,
    RandomOrder,
    Selection,
    own_rows,
    terms,
)
from fewshot_llm.types import FloatArray

TEXTS = {
    "物流": ["物流很慢", "快递太慢了", "送货的物流慢得离谱", "等了一周才送到"],
    "质量": ["质量很好", "做工不错质量好", "用了就坏"],
    "客服": ["客服态度差", "客服不回消息"],
}


def support_set() -> SupportSet:
    rows = [(text, label) for label, texts in TEXTS.items() for text in texts]
    return SupportSet.from_lists([text for text, _ in rows], [label for _, label in rows])


def letters(texts: Sequence[str]) -> FloatArray:
    """A vector per text: how often each of 64 hash buckets of characters occurs."""
    found = np.zeros((len(texts), 64))
    for row, text in enumerate(texts):
        for character in text:
            found[row, ord(character) % 64] += 1
    return found


EVERY: list[Selection] = [Balanced(), RandomOrder(), Nearest(), NearestHidden(letters), Diverse(), Diverse(0.0)]


@pytest.mark.parametrize("selection", EVERY, ids=lambda selection: type(selection).__name__)
class TestEverySelection:
    @given(data=st.data(), shots=st.integers(0, 12), seed=st.integers(0, 5))
    def test_distinct_rows_and_never_the_query_s_own(
        self, selection: Selection, data: st.DataObject, shots: int, seed: int
    ) -> None:
        support = support_set()
        own = data.draw(st.integers(0, len(support) - 1))
        query = Example.of(f"  {support[own].text} \n")  # the same text once normalised
        chosen = selection.select(support, query, shots, seed)
        assert len(set(chosen)) == len(chosen)
        assert own not in chosen
        assert set(chosen) <= set(range(len(support)))
        assert chosen == selection.select(support, query, shots, seed)

    def test_no_shots_no_demonstrations(self, selection: Selection) -> None:
        assert selection.select(support_set(), Example.of("慢"), 0, 0) == ()


@pytest.mark.parametrize("selection", [Balanced(), RandomOrder()])
@pytest.mark.parametrize("shots", [1, 2, 3, 4, 9])
def test_as_many_of_each_class_as_there_are(selection: Selection, shots: int) -> None:
    support = support_set()
    counts = Counter(support[row].label for row in selection.select(support, None, shots, seed=0))
    assert counts == {label: min(shots, len(texts)) for label, texts in TEXTS.items()}


def test_classes_take_turns() -> None:
    support = support_set()
    labels = [support[row].label for row in Balanced().select(support, None, shots=2, seed=3)]
    assert len(set(labels[:3])) == 3
    assert labels[:3] == labels[3:]


def test_seeds_give_other_examples_and_other_turns() -> None:
    support = support_set()
    drawn = {Balanced().select(support, None, shots=2, seed=seed) for seed in range(30)}
    assert len(drawn) > 20
    assert len({support[rows[-1]].label for rows in drawn}) == 3


def test_fewer_shots_are_among_more_shots() -> None:
    support = support_set()
    few, more = (set(Balanced().select(support, None, shots, seed=1)) for shots in (1, 3))
    assert few < more


def test_a_left_out_row_is_replaced_by_its_class_and_moves_no_other() -> None:
    support = support_set()
    chosen = Balanced().select(support, None, shots=2, seed=0)
    own = next(row for row in chosen if support[row].label == "物流")
    other = Balanced().select(support, support[own], shots=2, seed=0)
    assert Counter(support[row].label for row in other) == Counter(support[row].label for row in chosen)
    assert len(set(chosen) - set(other)) == 1


def test_random_order_does_not_take_turns() -> None:
    support = support_set()
    orders = {tuple(support[row].label for row in RandomOrder().select(support, None, 2, seed)) for seed in range(60)}
    assert any(order[0] == order[1] for order in orders)


def test_the_nearest_stands_last() -> None:
    support = support_set()
    query = Example.of("物流慢得离谱，慢")
    chosen = Nearest().select(support, query, shots=3, seed=0)
    assert [support[row].text for row in chosen][-2:] == ["物流很慢", "送货的物流慢得离谱"]
    scores = Bm25([example.text for example in support]).scores(query.text)
    assert sorted(scores)[-3:] == [scores[row] for row in chosen]


def test_nearest_by_a_model_s_vectors() -> None:
    support = support_set()
    chosen = NearestHidden(letters).select(support, Example.of("客服态度很差"), shots=2, seed=0)
    assert support[chosen[-1]].text == "客服态度差"


def test_texts_are_embedded_once() -> None:
    calls: list[int] = []

    def embed(texts: Sequence[str]) -> FloatArray:
        calls.append(len(texts))
        return letters(texts)

    support, selection = support_set(), NearestHidden(embed)
    for text in ("慢", "快", "好"):
        selection.select(support, Example.of(text), shots=2, seed=0)
    assert calls == [len(support), 1, 1, 1]


@pytest.mark.parametrize("vectors", [np.zeros(9), np.full((9, 2), np.nan)])
def test_unusable_vectors(vectors: FloatArray) -> None:
    with pytest.raises(SupportError, match="finite numbers of shape"):
        NearestHidden(lambda _: vectors).select(support_set(), Example.of("慢"), 1, 0)


def test_diversity_avoids_repeating_itself() -> None:
    texts = ["battery died fast", "battery died very fast", "screen scratched", "lovely colour"]
    support = SupportSet.from_lists(texts, ["a", "a", "b", "b"])
    query = Example.of("the battery died fast and the screen is dark")
    assert set(Diverse(relevance=1.0).select(support, query, 2, 0)) == {0, 1}
    assert set(Diverse(relevance=0.5).select(support, query, 2, 0)) == {0, 2}


def test_a_relevance_that_is_none() -> None:
    with pytest.raises(SupportError, match="from 0 to 1"):
        Diverse(relevance=1.2)


@pytest.mark.parametrize("selection", [Nearest(), NearestHidden(letters), Diverse()])
def test_a_query_is_needed(selection: Selection) -> None:
    with pytest.raises(SupportError, match="for a query"):
        selection.select(support_set(), None, 2, 0)


def test_own_rows_of_every_field() -> None:
    rows = [{"title": "A", "text": "b", "label": "x"}, {"title": "C", "text": "b", "label": "y"}]
    support = SupportSet(tuple(Example({"title": r["title"], "text": r["text"]}, r["label"]) for r in rows), ("x", "y"))
    assert own_rows(support, Example({"title": "ａ", "text": "B "})) == (0,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("质量很好", ["质量", "量很", "很好"]),
        ("好", ["好"]),
        ("iPhone手机 OK!", ["iphone", "手机", "ok"]),
        ("don't it's", ["don't", "it's"]),
        ("ありがとう", ["あり", "りが", "がと", "とう"]),
        ("!!! 😀 ___", []),
        ("", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_bm25_by_the_formula() -> None:
    texts = ["a b", "a", "c c d"]
    idf = np.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 2))
    assert Bm25(texts).scores("c") == pytest.approx([0, 0, expected])
    assert Bm25(texts).scores("nothing") == pytest.approx([0, 0, 0])
    assert Bm25([]).scores("a").shape == (0,)


def test_what_was_not_asked_for_longest_is_forgotten_first() -> None:
    memory, made = IdentityLRU[str](size=2), Counter[str]()

    def ask(key: str, owner: object = None) -> str:
        def make() -> str:
            made[key] += 1
            return key

        return memory.get(key, make, owner=owner)

    for key in ("a", "b", "a", "c", "a", "b"):
        assert ask(key) == key
    assert made == {"a": 1, "b": 2, "c": 1}
    one, other = [1], [1]
    ask("d", one)
    ask("d", other)  # equal, and another object
    assert made["d"] == 2
