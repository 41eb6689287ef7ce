"""`FewShotRanker`: what a customer bought and some candidates in, the candidates' order out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from fewshot_llm.data.task import Kind
from fewshot_llm.estimators.base import TextEstimator, labelled_rows, warn_of_rows
from fewshot_llm.predictors.build import (
    LayoutName,
    ModelLike,
    TaskLike,
    TemplateLike,
    choose_language,
    scorer_of,
    text_language,
)
from fewshot_llm.predictors.choices import Basket, BasketCounts, Choice, as_choices
from fewshot_llm.predictors.ranking import (
    ChoiceMix,
    PmiPrompt,
    RankingContext,
    RankingPredictor,
    RankingPrompt,
    fit_ranking,
)
from fewshot_llm.prompting.chat import Layout
from fewshot_llm.stats.metrics import ranks
from fewshot_llm.types import FloatArray, Progress

__all__ = ["FewShotRanker"]


class FewShotRanker(TextEstimator):
    """Ranks what a customer may buy next, given what the customer bought, from a few customers' choices.

    A few choices are shown to the model; on the others, which it does not see, the weights of its scores and of counts
    from baskets are fitted, and the most likely order of candidates is given.

    Args:
        task: a built-in ranking task's name, a task folder's path, or a `Task`.
        model: as for `FewShotClassifier`.
        prompt: how the model is asked: `PmiPrompt()` by default, `TitlePrompt()`, `YesNoPrompt()` or `LetterPrompt()`.
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
        predictor_: scores candidates with the model, and weighs what speaks for them.
        counts_: of the baskets; None where none were given.
        mix_: the weights; of the model's features first, then of similarity, popularity and co-occurrence. None where
            fewer than 8 choices are left beside the demonstrations: the model's score then stands alone.

    Example:
        >>> from fewshot_llm import FewShotRanker
        >>> ranker = FewShotRanker(model="gemma3-270m").fit(
        ...     [{"history": ["tea cup"], "candidates": ["saucer", "hammer"]}], ["saucer"]
        ... )  # doctest: +SKIP
    """

    _kind: ClassVar[Kind] = "ranking"
    predictor_: RankingPredictor

    def __init__(
        self,
        task: TaskLike = "next-product",
        model: ModelLike = "auto",
        *,
        prompt: RankingPrompt | None = None,
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
        super().__init__(
            task,
            model,
            shots=shots,
            language=language,
            template=template,
            layout=layout,
            seed=seed,
            adapter=adapter,
            device=device,
            dtype=dtype,
            batch_tokens=batch_tokens,
        )
        self.prompt = prompt

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
        task = self._take_task()
        histories = [" ".join(choice.history) for choice in choices]
        language = choose_language(self.language, task, histories)
        scorer = scorer_of(self, text_language(language, histories))
        context = RankingContext(task, language, scorer, self.template, self.layout, self.seed)
        self.predictor_ = fit_ranking(self.prompt or PmiPrompt(), context, choices, self.shots or 0, baskets)
        return self

    @property
    def mix_(self) -> ChoiceMix | None:
        """The weights; None where the model's score stands alone."""
        return self.predictor_.mix

    @property
    def counts_(self) -> BasketCounts | None:
        """Of the baskets; None where none were given."""
        return self.predictor_.counts

    def features(self, choices: Sequence[Choice], progress: Progress | None = None) -> list[FloatArray]:
        """What speaks for each candidate: the model's features; with baskets similarity of titles and both counts."""
        check_is_fitted(self)
        return self.predictor_.features(choices, progress)

    def predict_log_proba(
        self, X: Iterable[Mapping[str, Any] | Choice], progress: Progress | None = None
    ) -> list[FloatArray]:
        """Log P(candidate comes next) of each row's candidates, in their order."""
        check_is_fitted(self)
        return self.predictor_.log_probabilities(as_choices(X), progress)

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

    @classmethod
    def _parameters_of(cls, predictor: RankingPredictor) -> dict[str, Any]:
        prepared = predictor.prepared
        shots = len(prepared.support) // prepared.prompt.examples_per_choice
        return {"task": prepared.context.task, "prompt": prepared.prompt, "shots": shots}
