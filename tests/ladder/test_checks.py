"""What the ladder refuses before any model is loaded."""

from __future__ import annotations

import pytest

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.errors import SupportError
from fewshot_llm.ladder import check_support


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
