"""What the ladder refuses before any model is loaded."""

from __future__ import annotations

import pytest

from fewshot_llm.errors import SupportError
from fewshot_llm.escalation import Escalation
from fewshot_llm.ladder import check_support, take_recipe
from fewshot_llm.support import Example, SupportSet
from fewshot_llm.tuning.recipe import Recipe


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["a", "b", "c"], ["x", "x", "y"], r"at least 2 rows of each class.*y \(1\)"),
        (["a", "b"], ["x", "y"], r"x \(1\), y \(1\)"),
    ],
)
def test_too_few_rows_are_refused(texts, labels, message):
    with pytest.raises(SupportError, match=message):
        check_support(SupportSet.from_lists(texts, labels))


def test_one_class_is_refused():
    support = SupportSet((Example({"text": "a"}, "x"), Example({"text": "b"}, "x")), ("x",))
    with pytest.raises(SupportError, match="at least two"):
        check_support(support)


def test_the_recipe_follows_the_numbers_of_labels_and_rows():
    own = Recipe(rank=2)
    assert take_recipe(Escalation(), 2, 32).name == "small"
    assert take_recipe(Escalation(), 2, 1000).name == "small"
    assert take_recipe(Escalation(), 27, 108).name == "many-classes"
    assert take_recipe(Escalation(), 77, 385).name == "many-rows"
    assert take_recipe(Escalation(recipe="default"), 2, 32).name == "default"
    assert take_recipe(Escalation(recipe=own), 2, 32) is own
