"""`TableVerbalizer`: rows of fields as texts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fewshot_llm.data import TableVerbalizer
from fewshot_llm.errors import SupportError
from fewshot_llm.files import as_number

ROWS = [{"pages": i, "month": "May" if i % 2 else "Nov", "region": i % 3} for i in range(10)]


def test_names_units_levels_and_unknowns_are_spoken() -> None:
    facts = TableVerbalizer.fit(ROWS, ["pages", "month"], names={"pages": "pages seen"}, units={"pages": "pages"})
    assert facts.say({"pages": 9, "month": None}) == "pages seen: 9 pages (very high); month: unknown"
    assert facts.say({"pages": float("nan"), "month": "Nov"}) == "pages seen: unknown; month: Nov"


def test_chinese() -> None:
    facts = TableVerbalizer.fit(
        ROWS, ["pages", "month"], language="zh", names={"pages": "页数"}, units={"pages": "页"}, bins=3
    )
    assert facts.say({"pages": 0, "month": "Dec"}) == "页数：0页（低）；month：Dec（未见过）"


def test_unseen_category_is_said_to_be_unseen() -> None:
    facts = TableVerbalizer.fit(ROWS, ["month", "region"], codes=["region"])
    assert facts.say({"month": "Dec", "region": 2}) == "month: Dec (not seen before); region: 2"
    assert facts.say({"month": "May", "region": 7}) == "month: May; region: 7 (not seen before)"


def test_word_in_a_column_of_numbers_is_unseen() -> None:
    assert TableVerbalizer.fit(ROWS, ["pages"]).say({"pages": "many"}) == "pages: many (not seen before)"


def test_numbers_that_are_all_alike_have_no_level() -> None:
    assert TableVerbalizer.fit([{"a": 1}, {"a": 1}]).say({"a": 5}) == "a: 5"


def test_mostly_zeros_have_fewer_levels() -> None:
    facts = TableVerbalizer.fit([{"a": 0}] * 8 + [{"a": 3}, {"a": 9}])
    assert facts.say({"a": 0}) == "a: 0 (low)"
    assert facts.say({"a": 9}) == "a: 9 (high)"


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30), st.integers(2, 5), st.floats(-1e9, 1e9))
def test_levels_ascend_with_the_number(values: list[float], bins: int, other: float) -> None:
    facts = TableVerbalizer.fit([{"a": value} for value in values], bins=bins)
    order = ("very low", "low", "medium", "high", "very high")
    said = [facts.say({"a": value}) for value in sorted([*values, other])]
    levels = [order.index(text.rpartition("(")[2].rstrip(")")) for text in said if "(" in text]
    assert levels == sorted(levels)


@pytest.mark.parametrize("empty", [{}, {"pages": None, "month": ""}, {"other": 3}, {"pages": math.nan, "month": "  "}])
def test_row_without_any_field(empty: dict[str, object]) -> None:
    with pytest.raises(SupportError, match="none of the fields pages, month"):
        TableVerbalizer.fit(ROWS, ["pages", "month"]).say(empty)


def test_unusable_arguments() -> None:
    with pytest.raises(SupportError, match="Did you mean pages"):
        TableVerbalizer.fit(ROWS, ["page"])
    with pytest.raises(SupportError, match="no column 'regions'"):
        TableVerbalizer.fit(ROWS, codes=["regions"])
    with pytest.raises(SupportError, match="bins is 9"):
        TableVerbalizer.fit(ROWS, bins=9)
    with pytest.raises(SupportError, match="no rows"):
        TableVerbalizer.fit([])


def test_matrix_for_estimators_of_tables() -> None:
    found = TableVerbalizer.fit(ROWS, ["pages", "month"]).matrix(
        [{"pages": "1,200.0", "month": "May"}, {"month": "Dec"}]
    )
    np.testing.assert_array_equal(found, [[1200, 1, 0], [np.nan, 0, 0]])


@pytest.mark.parametrize(
    ("value", "number"), [("1,250.5", 1250.5), (3, 3.0), ("x", None), (True, None), (None, None), ("inf", None)]
)
def test_as_number(value: object, number: float | None) -> None:
    assert as_number(value) == number
