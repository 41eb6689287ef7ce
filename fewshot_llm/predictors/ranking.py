"""Ranking: the prompts that ask a language model which candidate comes next, and what is made of its answers.

A prompt asks by the candidate's title, by yes or no, or by its letter in a list. The model's scores and the counts from
baskets are weighed by a conditional logit over the candidates of each choice.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from string import ascii_uppercase
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.language import normalise_text
from fewshot_llm.data.task import Task
from fewshot_llm.errors import ModelError, SupportError
from fewshot_llm.predictors.build import LayoutName, TemplateLike, make_builder
from fewshot_llm.predictors.choices import Basket, BasketCounts, Choice, TextSimilarity
from fewshot_llm.predictors.prompted import Inference
from fewshot_llm.prompting.builder import Prompt, PromptBuilder
from fewshot_llm.prompting.chat import Layout
from fewshot_llm.prompting.fields import neutralise
from fewshot_llm.scoring.base import Scorer
from fewshot_llm.types import FloatArray, Progress

__all__ = [
    "RANKING_PROMPTS",
    "ChoiceMix",
    "ChoiceScorer",
    "Everything",
    "LetterPrompt",
    "PmiPrompt",
    "PreparedPrompt",
    "PromptStrategy",
    "RankingContext",
    "RankingPredictor",
    "RankingPrompt",
    "TitlePrompt",
    "YesNoPrompt",
    "first_only",
    "fit_choice_mix",
    "fit_ranking",
]

ChoiceScorer: TypeAlias = Callable[[Sequence[Choice], Progress | None], list[FloatArray]]
"""Features of each choice's candidates, shape [candidates, features]; by the first alone, higher is likelier."""

YES_NO: Mapping[str, tuple[str, str]] = {"en": ("yes", "no"), "zh": ("是", "否")}
NOTHING: Mapping[str, str] = {"en": "nothing yet", "zh": "暂无"}
FEWEST_TO_MIX = 8
"""Answered choices beside the demonstrations; with fewer, the language model's score stands alone."""


@dataclass(frozen=True)
class RankingContext:
    """What all ranking prompts need: the task and how prompts are made.

    Attributes:
        task: with the fields history, options and candidate, of which the last two are optional.
        language: of the prompts.
        scorer: scores them.
        template: version or template.
        layout: plain or chat.
        seed: the only source of chance.
    """

    task: Task
    language: str
    scorer: Scorer
    template: TemplateLike = None
    layout: LayoutName | Layout = "auto"
    seed: int = 0

    def join(self, titles: Sequence[str]) -> str:
        """Titles as one text."""
        return ("；" if self.language == "zh" else "; ").join(titles)

    def builder(self, words: Sequence[str], shown: int) -> PromptBuilder:
        """A builder whose labels are these words, showing all of a support set of `shown` examples."""
        task = self.task.with_labels(words, {word: word for word in words})
        return make_builder(
            task,
            self.language,
            self.scorer,
            template=self.template,
            selection=Everything(),
            shots=shown,
            seed=self.seed,
            layout=self.layout,
        )


@dataclass(frozen=True)
class Everything:
    """A `Selection` of all examples in their order."""

    depends_on_query: ClassVar[bool] = False

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        """All positions but those with the query's text."""
        own = None if query is None else normalise_text(query.text)
        return tuple(i for i, example in enumerate(support.examples) if normalise_text(example.text) != own)


class RankingPrompt(Protocol):
    """One way of asking; frozen, knows no model."""

    def prepare(self, context: RankingContext, shown: Sequence[Choice], spare: Sequence[Choice]) -> ChoiceScorer:
        """What scores choices.

        Args:
            context: how prompts are made.
            shown: choices that become demonstrations.
            spare: other answered choices, for what has to be measured beforehand.
        """
        ...


class PromptStrategy(ABC):
    """What the built-in ranking prompts have in common: demonstrations first, then features from label scores.

    Attributes:
        name: how saved folders call it.
        width: how many features a candidate gets.
        examples_per_choice: demonstrations that one choice is shown as.
    """

    name: ClassVar[str]
    width: ClassVar[int] = 1
    examples_per_choice: ClassVar[int] = 1

    @abstractmethod
    def demonstrations(self, context: RankingContext, shown: Sequence[Choice], most: int) -> SupportSet:
        """The choices that are shown, as labelled examples.

        Args:
            context: how prompts are made.
            shown: the choices.
            most: candidates of the largest choice that is known.
        """

    @abstractmethod
    def features(
        self, prepared: PreparedPrompt, choices: Sequence[Choice], progress: Progress | None
    ) -> list[FloatArray]:
        """Features of each choice's candidates, shape [candidates, width]."""

    def prepare(self, context: RankingContext, shown: Sequence[Choice], spare: Sequence[Choice]) -> PreparedPrompt:
        """See `RankingPrompt.prepare`."""
        most = max((len(choice.candidates) for choice in (*shown, *spare)), default=len(ascii_uppercase))
        return PreparedPrompt(self, context, self.demonstrations(context, shown, most))


@dataclass(frozen=True, eq=False)
class PreparedPrompt:
    """A ranking prompt with its demonstrations.

    Attributes:
        prompt: how candidates are asked about.
        context: how prompts are made.
        support: the demonstrations; its labels are the words that are scored.
        bias: of each letter, nats, which is taken away; empty where no letters are scored.
    """

    prompt: PromptStrategy
    context: RankingContext
    support: SupportSet
    bias: tuple[float, ...] = ()

    @cached_property
    def builder(self) -> PromptBuilder:
        """Makes the prompts."""
        return self.context.builder(self.support.labels, len(self.support))

    @property
    def inference(self) -> Inference:
        """What is asked of the model, and how."""
        return Inference(self.builder, self.context.scorer, self.support)

    def __call__(self, choices: Sequence[Choice], progress: Progress | None = None) -> list[FloatArray]:
        """Features of each choice's candidates, shape [candidates, features]."""
        return self.prompt.features(self, choices, progress)


@dataclass(frozen=True)
class TitlePrompt(PromptStrategy):
    """log P(title | history), summed over the title's tokens."""

    name: ClassVar[str] = "title"

    def demonstrations(self, context: RankingContext, shown: Sequence[Choice], most: int) -> SupportSet:
        """Histories with the titles that came next."""
        words = tuple(dict.fromkeys(str(choice.chosen) for choice in shown)) or ("…",)
        examples = [Example({"history": context.join(choice.history)}, choice.chosen) for choice in shown]
        return SupportSet(tuple(examples), words)

    def features(
        self, prepared: PreparedPrompt, choices: Sequence[Choice], progress: Progress | None
    ) -> list[FloatArray]:
        """The log-probabilities."""
        found = _title_scores(prepared, [(choice.history, choice.candidates) for choice in choices], progress)
        return [scores[:, None] for scores in found]


@dataclass(frozen=True)
class PmiPrompt(TitlePrompt):
    """log P(title | history) − log P(title | no history): what the history adds (pointwise mutual information).

    Long and rare titles are unlikely with or without a history; the difference does not mind. The second feature is
    log P(title | no history), so that a mixture can take away less of it.
    """

    name: ClassVar[str] = "pmi"
    width: ClassVar[int] = 2

    def features(
        self, prepared: PreparedPrompt, choices: Sequence[Choice], progress: Progress | None
    ) -> list[FloatArray]:
        """The difference, and what was taken away."""
        titles = tuple(dict.fromkeys(title for choice in choices for title in choice.candidates))
        if not titles:
            return []
        # All titles after the one empty history: a single prompt, whose prefix is computed once.
        (alone,) = _title_scores(prepared, [((NOTHING[prepared.context.language],), titles)], None)
        prior = dict(zip(titles, alone.tolist(), strict=True))
        found = _title_scores(prepared, [(choice.history, choice.candidates) for choice in choices], progress)
        before = [np.array([prior[title] for title in choice.candidates]) for choice in choices]
        return [np.column_stack([scores - base, base]) for scores, base in zip(found, before, strict=True)]


@dataclass(frozen=True)
class YesNoPrompt(PromptStrategy):
    """log P(yes) − log P(no) for each candidate by itself. Each demonstration is shown with one that was not chosen."""

    name: ClassVar[str] = "yes-no"
    examples_per_choice: ClassVar[int] = 2

    def demonstrations(self, context: RankingContext, shown: Sequence[Choice], most: int) -> SupportSet:
        """Each choice twice: with the candidate that was chosen, and with another."""
        words, chance, examples = YES_NO[context.language], random.Random(context.seed), []
        for choice in shown:
            other = chance.choice([title for title in choice.candidates if title != choice.chosen])
            pairs = [(str(choice.chosen), words[0]), (other, words[1])]
            chance.shuffle(pairs)
            history = context.join(choice.history)
            examples += [Example({"candidate": title, "history": history}, word) for title, word in pairs]
        return SupportSet(tuple(examples), words)

    def features(
        self, prepared: PreparedPrompt, choices: Sequence[Choice], progress: Progress | None
    ) -> list[FloatArray]:
        """The differences."""
        context, builder = prepared.context, prepared.builder
        prompts = [
            builder.build(Example({"candidate": title, "history": context.join(choice.history)}), prepared.support)
            for choice in choices
            for title in choice.candidates
        ]
        rows = iter(context.scorer.log_probs(prompts, progress))
        return [
            np.array([[row.log_probs[0] - row.log_probs[1]] for row in (next(rows) for _ in choice.candidates)])
            for choice in choices
        ]


@dataclass(frozen=True)
class LetterPrompt(PromptStrategy):
    """log P(letter) of each candidate in a lettered list, averaged over orders of the list.

    Small models like some letters better than others; how much is measured on answered choices that are not shown, and
    is taken away (Zheng et al. 2024, "Large Language Models Are Not Robust Multiple Choice Selectors").

    Attributes:
        permutations: orders of the list that are averaged; cyclic shifts, so that each candidate moves.
    """

    name: ClassVar[str] = "letter"

    permutations: int = 4

    def demonstrations(self, context: RankingContext, shown: Sequence[Choice], most: int) -> SupportSet:
        """Lettered lists in an order drawn by the seed.

        Raises:
            SupportError: there are more candidates than letters.
        """
        letters = tuple(ascii_uppercase[: max(most, 2)])
        chance, examples = random.Random(context.seed), []
        for choice in shown:
            order = chance.sample(choice.candidates, len(choice.candidates))
            examples.append(_lettered(context, choice, order, letters[order.index(str(choice.chosen))]))
        return SupportSet(tuple(examples), letters)

    def prepare(self, context: RankingContext, shown: Sequence[Choice], spare: Sequence[Choice]) -> PreparedPrompt:
        """See `RankingPrompt.prepare`.

        Raises:
            SupportError: there are more candidates than letters.
        """
        raw = super().prepare(context, shown, spare)
        letters = len(raw.support.labels)
        sums, counts = np.zeros(letters), np.zeros(letters)
        for choice, table in zip(spare, self._by_position(raw, spare, None), strict=True):
            centred = table.mean(axis=0) - table.mean()
            sums[: len(choice.candidates)] += centred
            counts[: len(choice.candidates)] += 1
        return replace(raw, bias=tuple((sums / np.maximum(counts, 1)).tolist()))

    def features(
        self, prepared: PreparedPrompt, choices: Sequence[Choice], progress: Progress | None
    ) -> list[FloatArray]:
        """The log-probabilities without the letters' bias, averaged over the orders."""
        found, bias = [], np.asarray(prepared.bias)
        for choice, table in zip(choices, self._by_position(prepared, choices, progress), strict=True):
            fair = table - bias[: len(choice.candidates)]
            back = [np.roll(row, by) for row, by in zip(fair, self._shifts(choice), strict=True)]
            found.append(np.mean(back, axis=0)[:, None])
        return found

    def _by_position(
        self, prepared: PreparedPrompt, choices: Sequence[Choice], progress: Progress | None
    ) -> list[FloatArray]:
        """Log P(letter) of each order, shape [permutations, candidates]."""
        context, letters = prepared.context, prepared.support.labels
        prompts = [
            replace(
                prepared.builder.build(
                    _lettered(context, choice, _shifted(choice.candidates, by), None), prepared.support
                ),
                answers=letters[: len(choice.candidates)],
            )
            for choice in choices
            for by in self._shifts(choice)
        ]
        rows = iter(context.scorer.log_probs(prompts, progress))
        return [log_softmax(np.stack([next(rows).log_probs for _ in self._shifts(c)]), axis=1) for c in choices]

    def _shifts(self, choice: Choice) -> list[int]:
        """By how many places the list is turned: evenly spread, each only once."""
        many = len(choice.candidates)
        return sorted({round(turn * many / self.permutations) % many for turn in range(self.permutations)})


RANKING_PROMPTS: Mapping[str, type[TitlePrompt | YesNoPrompt | LetterPrompt]] = {
    kind.name: kind for kind in (PmiPrompt, TitlePrompt, YesNoPrompt, LetterPrompt)
}
"""The built-in ranking prompts by name."""


def _title_scores(
    prepared: PreparedPrompt, asked: Sequence[tuple[Sequence[str], tuple[str, ...]]], progress: Progress | None
) -> list[FloatArray]:
    """Log-probabilities of titles after histories."""
    context, builder = prepared.context, prepared.builder

    def prompt(history: Sequence[str], titles: tuple[str, ...]) -> Prompt:
        built = builder.build(Example({"history": context.join(history)}), prepared.support)
        return replace(built, answers=tuple(neutralise(title, builder.special_tokens) for title in titles))

    return [row.log_probs for row in context.scorer.log_probs([prompt(*pair) for pair in asked], progress)]


def _shifted(titles: Sequence[str], by: int) -> list[str]:
    return [*titles[by:], *titles[:by]]


def _lettered(context: RankingContext, choice: Choice, order: Sequence[str], answer: str | None) -> Example:
    if len(order) > len(ascii_uppercase):
        raise SupportError(f"{len(order)} candidates are more than there are letters (26). Rank them by title.")
    options = " ".join(f"{letter}. {title}" for letter, title in zip(ascii_uppercase, order, strict=False))
    return Example({"options": options, "history": context.join(choice.history)}, answer)


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


@dataclass(frozen=True, eq=False)
class RankingPredictor:
    """Scores the candidates of choices.

    Attributes:
        scorer: the language model's features.
        counts: of the baskets; None where none were given.
        similarity: of titles; learned from the baskets' titles.
        mix: the weights; None where the model's score stands alone.
    """

    scorer: ChoiceScorer
    counts: BasketCounts | None
    similarity: TextSimilarity
    mix: ChoiceMix | None

    @property
    def prepared(self) -> PreparedPrompt:
        """The scorer, which is one of the built-in ranking prompts.

        Raises:
            ModelError: it is code of the user's own.
        """
        scorer = self.scorer
        if isinstance(scorer, PreparedPrompt) and RANKING_PROMPTS.get(scorer.prompt.name) is type(scorer.prompt):
            return scorer
        raise ModelError(
            f"The ranking prompt {scorer!r} is code of your own, and what is saved holds none. Use PmiPrompt(), "
            "TitlePrompt(), YesNoPrompt() or LetterPrompt()."
        )

    @property
    def inference(self) -> Inference:
        """What is asked of the model, and how.

        Raises:
            ModelError: it is asked by code of the user's own.
        """
        return self.prepared.inference

    def features(self, choices: Sequence[Choice], progress: Progress | None = None) -> list[FloatArray]:
        """What speaks for each candidate: the model's features; with baskets similarity of titles and both counts."""
        if not choices:
            return []
        tables = self.scorer(choices, progress)
        if self.counts is None:
            return tables
        return [
            np.hstack([table, self.similarity.features(choice), self.counts.features(choice)])
            for table, choice in zip(tables, choices, strict=True)
        ]

    def log_probabilities(self, choices: Sequence[Choice], progress: Progress | None = None) -> list[FloatArray]:
        """Log P(candidate comes next) of each choice's candidates, in their order."""
        tables = self.features(choices, progress)
        return [(self.mix or first_only(table.shape[1])).log_probabilities(table) for table in tables]


def fit_ranking(
    prompt: RankingPrompt, context: RankingContext, choices: Sequence[Choice], shots: int, baskets: Iterable[Basket]
) -> RankingPredictor:
    """Draw demonstrations, and fit the mixture on the choices that are not shown.

    Args:
        prompt: how the model is asked.
        context: how prompts are made; its seed draws the demonstrations.
        choices: answered ones.
        shots: how many are shown.
        baskets: of any customers; without any, nothing is counted.

    Raises:
        SupportError: there are fewer choices than `shots`.
    """
    if shots < 0 or shots > len(choices):
        raise SupportError(f"shots is {shots} and there are {len(choices)} answered choices. Show 0 to {len(choices)}.")
    order = random.Random(context.seed).sample(range(len(choices)), len(choices))
    shown, spare = ([choices[i] for i in part] for part in (order[:shots], order[shots:]))
    scorer = prompt.prepare(context, shown, spare)
    counted = BasketCounts.of(baskets)
    similarity = TextSimilarity.of(counted.holding)
    unmixed = RankingPredictor(scorer, counted if counted.users else None, similarity, None)
    features = unmixed.features(spare)
    if len(spare) < FEWEST_TO_MIX:
        return unmixed
    return replace(unmixed, mix=fit_choice_mix(features, [choice.answer for choice in spare]))
