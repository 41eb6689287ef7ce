"""Rung `words`: words and character n-grams with logistic regression; what three lines of scikit-learn reach.

It takes milliseconds and no model, and every other rung has to be better than it to be worth its cost.
"""

from __future__ import annotations

import time
from functools import partial
from typing import ClassVar, NoReturn

import numpy as np

from fewshot_llm.data import Problem
from fewshot_llm.errors import ModelError
from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.rungs.heads import FOLDS, HeadVariant, propose_head
from fewshot_llm.predictors.linear import (
    Analyzer,
    Features,
    LinearHead,
    LinearPredictor,
    WordFeatures,
    fit_head,
)
from fewshot_llm.predictors.resources import Resources
from fewshot_llm.types import FloatArray, Text

__all__ = ["TERMS", "Words", "words_predictor"]

TERMS: tuple[tuple[Analyzer, tuple[int, int]], ...] = (("word", (1, 2)), ("char_wb", (1, 4)))
"""Character n-grams also stand in for words where these are not separated by spaces."""

STRENGTHS = (1.0, 10.0, 100.0)


class Words(Rung):
    """Counts of words and character n-grams, and a linear head on them."""

    name: ClassVar[str] = "words"
    title: ClassVar[Text] = Text("word counts", "词与字的计数")

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Count and fit without each fold in turn."""
        started = time.perf_counter()
        rows, problem = tuple(climb.support), climb.problem
        labels, targets = len(problem.labels), problem.targets
        tables: dict[float, FloatArray] = {one: np.empty((len(rows), labels)) for one in STRENGTHS}
        asked = 0.0
        for learn, held in climb.folds(FOLDS):
            features = WordFeatures.fit(TERMS, [rows[row] for row in learn])
            known = features.matrix([rows[row] for row in learn])
            heads = {one: fit_head(known, targets[list(learn)], labels, one) for one in STRENGTHS}
            before = time.perf_counter()
            unseen = features.matrix([rows[row] for row in held])
            for strength, head in heads.items():
                tables[strength][list(held)] = head.scores(unseen)
            asked += time.perf_counter() - before
        variants = [
            HeadVariant({"terms": _described(), "strength": strength}, table, partial(_fit, climb, strength))
            for strength, table in tables.items()
        ]
        return propose_head(self, climb, variants, started, 1000 * asked / len(rows))


def words_predictor(problem: Problem, seed: int = 0) -> LinearPredictor:
    """What word counts alone give: the baseline that stands beside every result.

    Args:
        problem: with two labelled rows or more of each class.
        seed: deals rows into folds.

    Example:
        >>> from fewshot_llm import SupportSet, load_task
        >>> task = load_task("review-sentiment")
        >>> support = SupportSet.from_lists(["很好", "太差", "真好", "真差"], ["positive", "negative"] * 2, task)
        >>> words_predictor(Problem(task, "zh", support)).best([support[0]]).tolist()
        [0]
    """
    found = Words().propose(Climb(Resources(problem, _no_model), seed))
    assert isinstance(found, Candidate)  # it is never skipped
    built: LinearPredictor = found.build()
    return built


def _no_model() -> NoReturn:
    raise ModelError("Word counts need no language model, and none was given.")


def _fit(climb: Climb, strength: float) -> tuple[Features, LinearHead]:
    rows, problem = tuple(climb.support), climb.problem
    features = WordFeatures.fit(TERMS, rows)
    return features, fit_head(features.matrix(rows), problem.targets, len(problem.labels), strength)


def _described() -> list[str]:
    return [f"{analyzer} {shortest}-{longest}" for analyzer, (shortest, longest) in TERMS]
