"""The choice over probabilities and similarity alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fewshot_llm.errors import FewshotError
from fewshot_llm.labelling import PoolSimilarity, Wish, choose, uncertainty

SURE_TO_UNSURE = np.array([[0.95, 0.05], [0.8, 0.2], [0.65, 0.35], [0.51, 0.49]])
NOTHING_ALIKE = np.eye(4)


def chosen(probabilities=SURE_TO_UNSURE, alike=NOTHING_ALIKE, n=2, **changes) -> list[int]:
    size, labels = probabilities.shape
    given = {"typicality": np.ones(size), "known": np.zeros(size), "labelled": [0] * labels, **changes}
    return choose(probabilities, lambda row: alike[row], n, **given)


def test_the_least_sure_come_first() -> None:
    assert chosen(n=3) == [3, 2, 1]


def test_of_equally_unsure_rows_the_typical_one() -> None:
    assert chosen(np.full((4, 2), 0.5), typicality=np.array([0.1, 0.4, 0.2, 0.3]), n=1) == [1]


def test_similarity_to_a_chosen_row_counts_against() -> None:
    alike = np.eye(4)
    alike[3, 2] = alike[2, 3] = 0.8
    assert chosen(alike=alike) == [3, 1]
    assert chosen(alike=alike, wish=Wish(diversity=0.0)) == [3, 2]


def test_near_duplicates_are_never_chosen() -> None:
    alike = np.ones((4, 4))
    assert chosen(alike=alike, n=4) == [3]
    assert chosen(known=np.array([0.0, 0.0, 0.0, 0.99])) == [2, 1]


def test_classes_take_turns_and_the_poorest_begins() -> None:
    probabilities = np.array([[0.5, 0.4, 0.1]] * 5 + [[0.1, 0.8, 0.1]] * 5 + [[0.0, 0.1, 0.9]] * 5)
    rows = chosen(probabilities, np.eye(15), n=6, labelled=[4, 4, 2])
    guesses = probabilities.argmax(axis=1)[rows].tolist()
    assert guesses[:2] == [2, 2]
    assert Counter(guesses) == {2: 3, 0: 2, 1: 1}


@given(st.integers(0, 12), st.integers(1, 15), st.integers(2, 4), st.integers(0, 5))
def test_as_many_as_wanted_each_once(rows: int, n: int, labels: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    probabilities = chance.dirichlet(np.ones(labels), size=rows)
    alike = np.where(np.eye(rows, dtype=bool), 1.0, 0.1)
    found = chosen(probabilities, alike, n, typicality=chance.random(rows))
    assert len(found) == len(set(found)) == min(n, rows)


def test_margins() -> None:
    assert uncertainty(np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])).tolist() == pytest.approx([0.5, 0.0])
    assert uncertainty(np.array([[1.0]])).tolist() == [0.0]


@pytest.mark.parametrize("name", ["typicality", "diversity", "near"])
def test_shares_only(name: str) -> None:
    with pytest.raises(FewshotError, match=name):
        Wish(**{name: 1.5})


@given(st.lists(st.text(max_size=8), max_size=6), st.lists(st.text(max_size=8), max_size=3))
def test_similarity_is_symmetric_and_between_nothing_and_the_same(pool: list[str], labelled: list[str]) -> None:
    similarity = PoolSimilarity(pool, labelled)
    table = np.array([similarity.row(row) for row in range(len(pool))]).reshape(len(pool), len(pool))
    assert np.allclose(table, table.T)
    assert np.allclose(np.diag(table), 1.0)
    assert ((table > -1e-9) & (table < 1 + 1e-9)).all()
    assert similarity.known.shape == similarity.typicality.shape == (len(pool),)
    for row, text in enumerate(pool):
        assert text not in labelled or similarity.known[row] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("first", "second"), [("cancel order 123", "Cancel order 9876!"), ("物流很快，好评", "物流很快， 好评！！")]
)
def test_numbers_and_signs_do_not_make_a_new_text(first: str, second: str) -> None:
    assert PoolSimilarity([first], [second]).known[0] > Wish().near
