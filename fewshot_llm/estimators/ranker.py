"""`FewShotRanker`: what a customer bought and some candidates in, the candidates' order out.

Weights for what speaks for a candidate: a conditional logit over the candidates of each choice.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.utils.validation import check_is_fitted

from fewshot_llm.data.task import Task, load_task
from fewshot_llm.errors import SupportError, TaskError
from fewshot_llm.estimators.base import TextEstimator, labelled_rows, warn_of_rows
from fewshot_llm.estimators.choice import Basket, BasketCounts, Choice, TitleLikeness, as_choices
from fewshot_llm.estimators.choice_ways import Asker, ByPmi, RankingContext, Way
from fewshot_llm.predictors.build import (
    LayoutName,
    ModelLike,
    TaskLike,
    TemplateLike,
    choose_language,
    scorer_of,
    text_language,
)
from fewshot_llm.prompting.chat import Layout
from fewshot_llm.stats.metrics import ranks
from fewshot_llm.types import FloatArray, Progress

__all__ = ["ChoiceMix", "FewShotRanker", "first_only", "fit_choice_mix"]


@dataclass(frozen=True)
class ChoiceMix:
    """A weight for each feature.

    Attributes:
        weights: shape [features]; a candidate's score is their product with its features.
    """

    weights: tuple[float, ...]

    def log_probabilities(self, features: FloatArray) -> FloatArray:
        """Log P(candidate) of one choice, shape [candidates], from features [candidates, features]."""
        result: FloatArray = log_softmax(features @ np.asarray(self.weights))
        return result


def first_only(features: int) -> ChoiceMix:
    """The first feature alone, for where there is nothing to fit on."""
    return ChoiceMix((1.0, *[0.0] * (features - 1)))


def fit_choice_mix(features: Sequence[FloatArray], chosen: Sequence[int], penalty: float = 1.0) -> ChoiceMix:
    """McFadden's conditional logit with a ridge penalty.

    Args:
        features: of each answered choice, shape [candidates, features]; scored without showing its answer.
        chosen: positions of the answers.
        penalty: on the squared weights of features that are scaled to a standard deviation of 1 within choices; 1 is
            the prior that a weight is about 1 nat.

    >>> mix = fit_choice_mix([np.array([[1.0, 0.0], [0.0, 0.0]])] * 5, [0] * 5)
    >>> mix.weights[0] > 0, mix.weights[1]
    (True, 0.0)
    """
    centred = [table - table.mean(axis=0) for table in features]
    scale = np.sqrt(np.mean([(table**2).mean(axis=0) for table in centred], axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = [table / scale for table in centred]

    def objective(weights: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = penalty / 2 * float(weights @ weights), penalty * weights
        for table, answer in zip(scaled, chosen, strict=True):
            log_p = log_softmax(table @ weights)
            value -= float(log_p[answer])
            gradient = gradient - table[answer] + np.exp(log_p) @ table
        return value, gradient

    found = minimize(objective, np.zeros(len(scale)), jac=True, method="L-BFGS-B").x
    return ChoiceMix(tuple((found / scale).tolist()))


FEWEST_TO_MIX = 8
"""Answered choices beside the demonstrations; with fewer, the language model's score stands alone."""


class FewShotRanker(TextEstimator):
    """Ranks what a customer may buy next, given what the customer bought, from a few customers' choices.

    A few choices are shown to the model; on the others, which it does not see, the weights of its scores and of counts
    from baskets are fitted, and the most likely order of candidates is given.

    Args:
        task: a built-in ranking task's name, a task folder's path, or a `Task`.
        model: as for `FewShotClassifier`.
        way: how the model is asked: `ByPmi()` by default, `ByTitle()`, `ByYesNo()` or `ByLetter()`.
        shots: choices that are shown, in all.
        language: of the prompt; `auto` looks at the titles that are fitted.
        template: a version number of the task's templates or a `Template`; by default the newest.
        layout: `plain`, `chat` or a `Layout`; `auto` is plain.
        seed: the only source of chance.
        adapter: folder of a LoRA adapter to put on the model.
        device: `cpu`, `cuda`, …; by default the fastest present.
        dtype: the weights' number format.
        batch_tokens: tokens per forward pass; by default what fits the memory.

    Attributes:
        asker_: scores candidates with the model.
        counts_: of the baskets; None where none were given.
        mix_: the weights; of the model's features first, then of popularity and co-occurrence. None where fewer than 8
            choices are left beside the demonstrations: the model's score then stands alone.

    Example:
        >>> from fewshot_llm import FewShotRanker
        >>> ranker = FewShotRanker(model="gemma3-270m").fit(
        ...     [{"history": ["tea cup"], "candidates": ["saucer", "hammer"]}], ["saucer"]
        ... )  # doctest: +SKIP
    """

    def __init__(
        self,
        task: TaskLike = "next-product",
        model: ModelLike = "auto",
        *,
        way: Way | None = None,
        shots: int = 4,
        language: str = "auto",
        template: TemplateLike = None,
        layout: LayoutName | Layout = "auto",
        seed: int = 0,
        adapter: str | os.PathLike[str] | None = None,
        device: str | None = None,
        dtype: str | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        self.task = task
        self.model = model
        self.way = way
        self.shots = shots
        self.language = language
        self.template = template
        self.layout = layout
        self.seed = seed
        self.adapter = adapter
        self.device = device
        self.dtype = dtype
        self.batch_tokens = batch_tokens

    def fit(self, X: Iterable[Mapping[str, Any] | Choice], y: Sequence[Any], baskets: Iterable[Basket] = ()) -> Self:
        """Choose demonstrations and fit the mixture on the choices that are not shown.

        Args:
            X: mappings with `history` and `candidates` (lists of titles) and maybe `user`, or `Choice`s.
            y: the title that came next, one per row; a row where it is missing (`None`, NaN, empty) is left out with a
                warning.
            baskets: of any customers; popularity, co-occurrence and which words of titles are rare are counted in
                them and mixed in. A basket does not count for choices of its own user.

        Raises:
            SupportError: a choice is unusable (see `Choice`), or fewer choices than `shots` are there.
        """
        self._forget_fitted()
        answers, there = labelled_rows(y)
        gaps = sorted(set(range(len(answers))) - set(there))
        choices = as_choices(X, answers)
        warn_of_rows(gaps, "{n} choices without an answer were left out.", 2)
        if self.shots < 0 or self.shots > len(choices):
            raise SupportError(
                f"shots is {self.shots} and there are {len(choices)} answered choices. Show 0 to {len(choices)}."
            )
        order = random.Random(self.seed).sample(range(len(choices)), len(choices))
        shown, spare = ([choices[i] for i in part] for part in (order[: self.shots], order[self.shots :]))
        self.asker_: Asker = (self.way or ByPmi()).prepare(self._setting(choices), shown, spare)
        counted = BasketCounts.of(baskets)
        self.counts_ = counted if counted.users else None
        self.likeness_ = TitleLikeness.of(counted.holding)
        features = self.features(spare)
        answers = [choice.answer for choice in spare]
        self.mix_: ChoiceMix | None = fit_choice_mix(features, answers) if len(spare) >= FEWEST_TO_MIX else None
        return self

    def features(self, choices: Sequence[Choice], progress: Progress | None = None) -> list[FloatArray]:
        """What speaks for each candidate: the model's features; with baskets likeness of titles and both counts too."""
        if not choices:
            return []
        tables = self.asker_(choices, progress)
        if self.counts_ is None:
            return tables
        return [
            np.hstack([table, self.likeness_.features(choice), self.counts_.features(choice)])
            for table, choice in zip(tables, choices, strict=True)
        ]

    def predict_log_proba(
        self, X: Iterable[Mapping[str, Any] | Choice], progress: Progress | None = None
    ) -> list[FloatArray]:
        """Log P(candidate comes next) of each row's candidates, in their order."""
        check_is_fitted(self)
        tables = self.features(as_choices(X), progress)
        return [(self.mix_ or first_only(table.shape[1])).log_probabilities(table) for table in tables]

    def rank(self, X: Iterable[Mapping[str, Any] | Choice], progress: Progress | None = None) -> list[list[str]]:
        """Each row's candidates, the likeliest first."""
        choices = as_choices(X)
        return [
            [choice.candidates[position] for position in np.argsort(-row, kind="stable")]
            for choice, row in zip(choices, self.predict_log_proba(choices, progress), strict=True)
        ]

    def predict(self, X: Iterable[Mapping[str, Any] | Choice]) -> npt.NDArray[Any]:
        """The likeliest candidate of each row, shape [rows]."""
        return np.array([order[0] for order in self.rank(X)])

    def answers(self, X: Iterable[Mapping[str, Any] | Choice]) -> list[dict[str, Any]]:
        """Per row `ranking`, the likeliest first, and every candidate's probability, as columns for a file."""
        choices = as_choices(X)
        found = []
        for choice, row in zip(choices, self.predict_log_proba(choices), strict=True):
            order = np.argsort(-row, kind="stable")
            p = {choice.candidates[position]: float(np.exp(row[position])) for position in order}
            found.append({"ranking": list(p), "probabilities": p})
        return found

    def score(self, X: Iterable[Mapping[str, Any] | Choice], y: Sequence[Any]) -> float:
        """hit@1."""
        choices = as_choices(X, y)
        return float((ranks(self.predict_log_proba(choices), [choice.answer for choice in choices]) == 1).mean())

    def _setting(self, choices: Sequence[Choice]) -> RankingContext:
        task = _ranking_task(self.task)
        language = choose_language(self.language, task, (" ".join(choice.history) for choice in choices))
        scorer = scorer_of(self, text_language(language, (" ".join(choice.history) for choice in choices)))
        return RankingContext(task, language, scorer, self.template, self.layout, self.seed)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mix_")


def _ranking_task(task: TaskLike) -> Task:
    if not isinstance(task, Task):
        task = load_task(task)
    if task.kind != "ranking":
        raise TaskError(f"The task {task.name} is of the kind {task.kind}; a ranker needs one of the kind ranking.")
    return task
