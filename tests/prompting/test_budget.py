from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, strategies as st

from fewshot_llm.prompting import Budget, cut_middle, leaving_order
from tests.conftest import tiny_tokenizer


@given(st.text(max_size=40), st.text(max_size=40), st.integers(1, 120), st.booleans())
def test_the_excess_is_exact_near_the_limit_and_its_sign_is_right(start: str, rest: str, limit: int, bos: bool) -> None:
    budget = Budget(tiny_tokenizer(bos=bos), limit)
    exact = len(tiny_tokenizer(bos=bos).encode(start + rest, add_special_tokens=True)) - limit
    excess = budget.excess(start, budget.count_start(start), rest)
    assert (excess > 0) == (exact > 0)
    assert abs(excess - exact) <= 4


def test_a_bos_in_the_text_is_not_counted_twice() -> None:
    budget = Budget(tiny_tokenizer(bos=True), 10)
    assert budget.count_start("<s>a") == budget.count_start("a") == 1 + budget.count("a")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 50)), min_size=1, max_size=12))
def test_classes_stay_balanced_while_demonstrations_leave(rows: list[tuple[str, int]]) -> None:
    labels = {row: label for row, (label, _) in enumerate(rows)}
    costs = {row: cost for row, (_, cost) in enumerate(rows)}
    order = leaving_order(range(len(rows)), labels, costs, most_useful_last=False)
    assert sorted(order) == list(range(len(rows)))
    left = Counter(labels.values())
    for row in order:
        assert left[labels[row]] == max(left.values())
        left[labels[row]] -= 1


def test_the_least_near_leaves_first() -> None:
    assert leaving_order([5, 3, 8], {5: "a", 3: "a", 8: "b"}, {5: 1, 3: 1, 8: 99}, most_useful_last=True) == [5, 3, 8]


@pytest.mark.parametrize(("room", "expected"), [(1, "…"), (2, "a…"), (3, "a…j"), (4, "ab…j"), (9, "abcd…ghij")])
def test_the_middle_is_cut(room: int, expected: str) -> None:
    assert cut_middle("abcdefghij", lambda text: len(text) <= room) == expected
