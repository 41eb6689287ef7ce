"""Rung `words`: words and character n-grams with logistic regression; what three lines of scikit-learn reach.

It takes milliseconds and no model, and every other rung has to be better than it to be worth its cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import ClassVar, NoReturn, TypeAlias

from fewshot_llm.data import Example, Problem
from fewshot_llm.errors import ModelError
from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.rungs.heads import FittedHead, HeadVariant, fit_with_words, propose_head
from fewshot_llm.predictors.linear import Analyzer, LinearPredictor, Matrix, WordFeatures
from fewshot_llm.predictors.resources import Resources
from fewshot_llm.types import FloatArray, Text

__all__ = ["TERMS", "Words", "words_predictor"]

TERMS: tuple[tuple[Analyzer, tuple[int, int]], ...] = (("word", (1, 2)), ("char_wb", (1, 5)))
"""Character n-grams also stand in for words where these are not separated by spaces."""

Count: TypeAlias = Callable[[tuple[int, ...]], tuple[WordFeatures, Matrix, Matrix]]

STRENGTH = 100.0
SHARES = (0.0, 0.25)
"""See `heads`."""


class Words(Rung):
    """Counts of words and character n-grams, and a linear head on them."""

    name: ClassVar[str] = "words"
    title: ClassVar[Text] = Text("word counts", "词与字的计数")

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Count and fit without each fold in turn."""
        started, rows = time.perf_counter(), tuple(climb.support)
        count = lru_cache(maxsize=None)(partial(_counted, climb.problem))
        terms = [f"{analyzer} {shortest}-{longest}" for analyzer, (shortest, longest) in TERMS]
        variants = [
            HeadVariant({"terms": terms, "label_words": share}, partial(_fit, climb.problem, count, share))
            for share in SHARES
        ]
        features = count(tuple(range(len(rows))))[0]
        before = time.perf_counter()
        features.matrix(rows)
        return propose_head(self, climb, variants, started, 1000 * (time.perf_counter() - before) / len(rows))


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


def _counted(problem: Problem, learn: tuple[int, ...]) -> tuple[WordFeatures, Matrix, Matrix]:
    """Terms of some rows and of the labels' words, and both counted by them."""
    rows = [problem.support[row] for row in learn]
    named = [Example.of(words) for words in problem.described.values()]
    features = WordFeatures.fit(TERMS, [*rows, *named])
    return features, features.matrix(rows), features.matrix(named)


def _fit(problem: Problem, count: Count, share: float, learn: Sequence[int]) -> FittedHead:
    features, known, named = count(tuple(learn))
    head = fit_with_words(known, problem.targets[list(learn)], named, share, STRENGTH)

    def ask(rows: Sequence[int]) -> FloatArray:
        return head.scores(features.matrix([problem.support[row] for row in rows]))

    return FittedHead(features, head, ask)
