"""Labelled rows for rungs that ask no model."""

from __future__ import annotations

from typing import NoReturn

from fewshot_llm.data import Problem, SupportSet, load_task
from fewshot_llm.predictors import Resources


def unasked(rows: int) -> Resources:
    """A problem of so many rows, two labels in turn, and a language model that must not be asked."""

    def refuse() -> NoReturn:
        raise AssertionError("the language model was asked")

    task = load_task("review-sentiment")
    texts = [f"row {number}" for number in range(rows)]
    support = SupportSet.from_lists(texts, [task.labels[number % 2] for number in range(rows)], task)
    return Resources(Problem(task, "en", support), refuse)
