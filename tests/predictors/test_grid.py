"""`Grid`: numbers, their words and their scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from fewshot_llm.data import Task, load_task
from fewshot_llm.errors import SupportError, TaskError
from fewshot_llm.predictors import Grid

NUMBERS = st.lists(st.floats(-1e6, 1e6).map(lambda number: round(number, 3)), min_size=2, max_size=20, unique=True)


def test_family_is_a_grid() -> None:
    grid = Grid.of_task(load_task("review-rating"), "zh")
    assert grid == Grid((1, 2, 3, 4, 5), ("1", "2", "3", "4", "5"))
    assert grid.labels == ("1", "2", "3", "4", "5")


def test_task_gets_the_grids_words() -> None:
    grid = Grid((-2.0, 0.0, 2.0), ("bad", "fair", "good"))
    task = grid.task(Task(name="t", kind="regression"))
    assert task.words("en") == {"-2": "bad", "0": "fair", "2": "good"}


@given(NUMBERS)
def test_grid_of_targets_spans_them(numbers: list[float]) -> None:
    grid = Grid.of_targets(np.array(numbers))
    assert 2 <= len(grid.values) <= 7
    grid.require_inside(numbers)


@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=20, unique=True))
@example([519139.0, 519140.0])
@settings(max_examples=500)
def test_log_grid_of_prices_spans_them(prices: list[float]) -> None:
    if max(prices) / min(prices) < 1.5:
        prices = [*prices, min(prices) * 2]
    grid = Grid.of_targets(np.array(prices), "log")
    assert grid.scale == "log"
    grid.require_inside(prices)
    assert grid.from_scale(grid.on_scale(prices)) == pytest.approx(prices)


def test_prices_over_orders_of_magnitude_get_a_log_grid() -> None:
    assert Grid.of_targets(np.array([0.5, 3.0, 250.0])).scale == "log"
    assert Grid.of_targets(np.array([1.0, 3.0, 5.0])).scale == "linear"
    assert Grid.of_targets(np.array([-1.0, 3.0, 500.0])).scale == "linear"


def test_nearest_is_measured_on_the_scale() -> None:
    assert Grid((1, 100)).nearest([20]).tolist() == [0]
    assert Grid((1, 100), scale="log").nearest([20]).tolist() == [1]


@pytest.mark.parametrize(
    ("values", "words", "scale"),
    [((1,), (), "linear"), ((2, 1), (), "linear"), ((0, 1), (), "log"), ((1, 2), ("one",), "linear"),
     ((1, float("nan")), (), "linear")],
)  # fmt: skip
def test_unusable_grid(values: tuple[float, ...], words: tuple[str, ...], scale: str) -> None:
    with pytest.raises(TaskError):
        Grid(values, words, scale)  # type: ignore[arg-type]


def test_parse_says_what_is_wrong() -> None:
    assert Grid.parse("1,2, 4.5").values == (1, 2, 4.5)
    with pytest.raises(TaskError, match="no list of numbers"):
        Grid.parse("1,two")


@pytest.mark.parametrize("beyond", [0.4, 5.6])
def test_target_outside_is_named(beyond: float) -> None:
    grid = Grid((1, 2, 3, 4, 5))
    grid.require_inside([0.5, 5.5])
    with pytest.raises(SupportError, match=f"outside the grid 1 … 5.*{beyond}"):
        grid.require_inside([3, beyond])


def test_price_of_zero_is_outside_a_log_grid() -> None:
    with pytest.raises(SupportError, match="outside"):
        Grid((1, 10), scale="log").require_inside([5, 0])


def test_labels_that_are_no_numbers() -> None:
    with pytest.raises(TaskError, match="must be numbers"):
        Grid.of_task(Task(name="t", kind="regression", labels=("low", "high")), "en")
