"""Numbers as people write them, read by the column."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fewshot_llm import TableVerbalizer
from fewshot_llm.errors import DataFileError, SupportError
from fewshot_llm.estimators import as_numbers
from fewshot_llm.files import as_number, is_number, number_column

NARROW, NO_BREAK = "\u202f", "\u00a0"


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["2,5", "31,0", "4,2", "25,9"], [2.5, 31, 4.2, 25.9]),
        (["19,90", "249,00", "15,50", "1.199,00"], [19.9, 249, 15.5, 1199]),
        (["1 299,50", f"1{NARROW}299,50", f"1{NO_BREAK}299,50"], [1299.5] * 3),
        (["1'299.50", "1’299.50", "12"], [1299.5, 1299.5, 12]),
        (["1,234", "5.5"], [1234, 5.5]),
        (["1,234", "5,5"], [1.234, 5.5]),
        (["1.234", "1.234.567"], [1234, 1234567]),
        (["0.125", "1.250"], [0.125, 1.25]),
        (["１２", "３．５"], [12, 3.5]),
        (["¥1,299.00", "￥１，２９９．００", "1299元", "CNY 5"], [1299, 1299, 1299, 5]),
        (["€ 1.299,00", "5 €"], [1299, 5]),
        (["12%", "12,5 %"], [0.12, 0.125]),
        (["3万", "1.2万元", "1亿", "500"], [30_000, 12_000, 100_000_000, 500]),
        (["-5", "−5", "¥-5", "-¥5", "+5"], [-5, -5, -5, -5, 5]),
        (["12,34,567.50"], [1234567.5]),
        (["1e5", "1.5E-3", "007", ".5"], [100_000, 0.0015, 7, 0.5]),
        ([3, 2.5, Decimal("1.5"), np.float32(0.5), "4"], [3, 2.5, 1.5, 0.5, 4]),
    ],
)
def test_a_column_means_what_was_meant(cells: list[Any], numbers: list[float]) -> None:
    column = number_column("price", cells)
    assert [column.read(cell) for cell in cells] == numbers
    assert as_numbers(cells).tolist() == numbers


@pytest.mark.parametrize(
    "cell",
    [
        *("May", "1.2.3", "2024-01-02", "1,2,3", "138 0013 8000", "5²", "(5)", "3万5", "", " ", ".", ",", "1_000"),
        *("0x1", "nan", "inf", math.nan, math.inf, None, True, Decimal("NaN"), b"1", [1], 10**400),
    ],
)
def test_no_number(cell: Any) -> None:
    assert not is_number(cell)
    assert as_number(cell) is None


@pytest.mark.parametrize("cells", [["1,234", "5,678"], ["1.199", "2.499"], ["12", "1,234"], ["¥1,234"]])
def test_a_column_that_can_be_read_both_ways_is_refused(cells: list[str]) -> None:
    with pytest.raises(DataFileError, match=r"can be read as .* or as .*--decimal"):
        number_column("price", cells)
    thousands: Any = "," if "." in cells[0] else "."
    assert number_column("price", cells, thousands).read(cells[-1]) in (1234, 2499, 5678)
    with pytest.raises(DataFileError, match="can be read"):
        TableVerbalizer.fit([{"price": cell} for cell in cells])
    with pytest.raises(DataFileError, match="can be read"):
        as_numbers(cells)


def test_two_ways_of_writing_are_named() -> None:
    with pytest.raises(DataFileError, match=r"'3.5' in row 2 has a decimal point, '2,5' in row 1 a decimal comma"):
        number_column("minutes", ["2,5", "3.5"])
    with pytest.raises(DataFileError, match=r"mixes currencies: '\$5' in row 1, '5 €' in row 2"):
        number_column("price", ["$5", "5 €"])
    with pytest.raises(DataFileError, match=r"said to have a decimal point, and '2,5' in row 1"):
        number_column("minutes", ["2,5"], ".")


ROWS = [
    {"minutes": "2,5", "basket": "19,90", "label": "no_purchase"},
    {"minutes": "31,0", "basket": "249,00", "label": "purchase"},
    {"minutes": "4,2", "basket": "15,50", "label": "no_purchase"},
    {"minutes": "25,9", "basket": "1.199,00", "label": "purchase"},
]


def test_facts_of_decimal_commas() -> None:
    facts = TableVerbalizer.fit(ROWS, ["minutes", "basket"], bins=2)
    assert facts.matrix(ROWS).tolist() == [[2.5, 19.9], [31, 249], [4.2, 15.5], [25.9, 1199]]
    assert facts.say(ROWS[3]) == "minutes: 25.9 (high); basket: 1199 (high)"


def test_input_is_read_by_the_rule_of_the_support_rows() -> None:
    facts = TableVerbalizer.fit(ROWS, ["minutes", "basket"], bins=2)
    assert facts.say({"minutes": "1,234", "basket": "1.234"}) == "minutes: 1.234 (low); basket: 1234 (high)"
    with pytest.raises(DataFileError, match=r"Row 2: The column 'minutes' .* and '2\.5' has a decimal point"):
        facts.settle([{"minutes": "2,5"}, {"minutes": "2.5"}])


def test_input_tells_where_the_support_rows_do_not() -> None:
    facts = TableVerbalizer.fit([{"price": "5"}, {"price": "9"}])
    assert facts.matrix([{"price": "1,234"}, {"price": "2,5"}]).tolist() == [[1.234], [2.5]]
    with pytest.raises(DataFileError, match="can be read as"):
        facts.settle([{"price": "1,234"}])
    assert TableVerbalizer.fit([{"price": "5"}], decimal=".").matrix([{"price": "1,234"}]).tolist() == [[1234]]


def test_a_word_among_numbers_makes_a_column_of_categories() -> None:
    facts = TableVerbalizer.fit([{"size": "1,234"}, {"size": "large"}])
    assert not facts.fields[0].numeric
    assert facts.say({"size": "1,234"}) == "size: 1,234"
    assert TableVerbalizer.fit([{"region": "1,234"}], codes=["region"]).say({"region": "1,234"}) == "region: 1,234"


def test_a_target_that_is_no_number_is_named() -> None:
    with pytest.raises(SupportError, match="target of row 1 is 'many'"):
        as_numbers(["2,5", "many"])


@given(
    st.lists(st.decimals(-10_000_000, 10_000_000, places=2), min_size=1, max_size=6), st.sampled_from([" ", "'", "."])
)
def test_any_number_comes_back_from_european_writing(numbers: list[Decimal], group: str) -> None:
    cells = [f"{number:,.2f}".replace(",", "_").replace(".", ",").replace("_", group) for number in numbers]
    column = number_column("price", cells)
    assert column.mark == ","
    assert [column.read(cell) for cell in cells] == [float(number) for number in numbers]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_what_programs_write_is_never_misread(numbers: list[float]) -> None:
    cells = [repr(number) for number in numbers]
    try:
        column = number_column("price", cells)
    except DataFileError:
        return  # all of them have three decimals
    assert [column.read(cell) for cell in cells] == numbers
