"""Ways to ask a language model which candidate comes next: by its title, by yes or no, by its letter in a list."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import ClassVar, Protocol, Self, TypeAlias

import numpy as np
from scipy.special import log_softmax

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.language import normalise_text
from fewshot_llm.data.task import Task
from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.choice import Choice
from fewshot_llm.predictors.build import LayoutName, TemplateLike, make_builder
from fewshot_llm.prompting.builder import Prompt, PromptBuilder
from fewshot_llm.prompting.chat import Layout
from fewshot_llm.prompting.fields import neutralise
from fewshot_llm.scoring.base import Scorer
from fewshot_llm.types import FloatArray, Progress

__all__ = ["Asker", "ByLetter", "ByPmi", "ByTitle", "ByYesNo", "RankingContext", "Way"]

Asker: TypeAlias = Callable[[Sequence[Choice], Progress | None], list[FloatArray]]
"""Features of each choice's candidates, shape [candidates, features]; by the first alone, higher is likelier."""

YES_NO: Mapping[str, tuple[str, str]] = {"en": ("yes", "no"), "zh": ("是", "否")}
NOTHING: Mapping[str, str] = {"en": "nothing yet", "zh": "暂无"}


@dataclass(frozen=True)
class RankingContext:
    """What all ways need: the task and how prompts are made.

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


class Way(Protocol):
    """One way of asking; frozen, knows no model."""

    def prepare(self, setting: RankingContext, shown: Sequence[Choice], spare: Sequence[Choice]) -> Asker:
        """What asks choices.

        Args:
            setting: how prompts are made.
            shown: choices that become demonstrations.
            spare: other answered choices, for what has to be measured beforehand.
        """
        ...


@dataclass(frozen=True)
class ByTitle:
    """log P(title | history), summed over the title's tokens."""

    def prepare(self, setting: RankingContext, shown: Sequence[Choice], spare: Sequence[Choice]) -> Asker:
        """See `Way.prepare`."""
        return _TitleFeatures(_TitleAsker.of(setting, shown))


@dataclass(frozen=True)
class ByPmi:
    """log P(title | history) − log P(title | no history): what the history adds (pointwise mutual information).

    Long and rare titles are unlikely with or without a history; the difference does not mind. The second feature is
    log P(title | no history), so that a mixture can take away less of it.
    """

    def prepare(self, setting: RankingContext, shown: Sequence[Choice], spare: Sequence[Choice]) -> Asker:
        """See `Way.prepare`."""
        return _PmiFeatures(_TitleAsker.of(setting, shown))


@dataclass(frozen=True)
class ByYesNo:
    """log P(yes) − log P(no) for each candidate by itself. Each demonstration is shown with one that was not chosen."""

    def prepare(self, setting: RankingContext, shown: Sequence[Choice], spare: Sequence[Choice]) -> Asker:
        """See `Way.prepare`."""
        words, chance, examples = YES_NO[setting.language], random.Random(setting.seed), []
        for choice in shown:
            other = chance.choice([title for title in choice.candidates if title != choice.chosen])
            pairs = [(str(choice.chosen), words[0]), (other, words[1])]
            chance.shuffle(pairs)
            history = setting.join(choice.history)
            examples += [Example({"candidate": title, "history": history}, word) for title, word in pairs]
        support = SupportSet(tuple(examples), words)
        return _YesNoFeatures(setting, support, setting.builder(words, len(examples)))


@dataclass(frozen=True)
class ByLetter:
    """log P(letter) of each candidate in a lettered list, averaged over orders of the list.

    Small models like some letters better than others; how much is measured on answered choices that are not shown, and
    is taken away (Zheng et al. 2024, "Large Language Models Are Not Robust Multiple Choice Selectors").

    Attributes:
        permutations: orders of the list that are averaged; cyclic shifts, so that each candidate moves.
    """

    permutations: int = 4

    def prepare(self, setting: RankingContext, shown: Sequence[Choice], spare: Sequence[Choice]) -> Asker:
        """See `Way.prepare`.

        Raises:
            SupportError: there are more candidates than letters.
        """
        most = max(len(choice.candidates) for choice in (*shown, *spare)) if shown or spare else len(ascii_uppercase)
        letters = tuple(ascii_uppercase[: max(most, 2)])
        chance, examples = random.Random(setting.seed), []
        for choice in shown:
            order = chance.sample(choice.candidates, len(choice.candidates))
            examples.append(_lettered(setting, choice, order, letters[order.index(str(choice.chosen))]))
        support, builder = SupportSet(tuple(examples), letters), setting.builder(letters, len(examples))
        unfair = _LetterFeatures(setting, support, builder, letters, self.permutations, np.zeros(len(letters)))
        sums, counts = np.zeros(len(letters)), np.zeros(len(letters))
        for choice, table in zip(spare, unfair.by_position(spare, None), strict=True):
            centred = table.mean(axis=0) - table.mean()
            sums[: len(choice.candidates)] += centred
            counts[: len(choice.candidates)] += 1
        return replace(unfair, bias=sums / np.maximum(counts, 1))


@dataclass(frozen=True)
class _TitleAsker:
    """Asks for the titles' log-probabilities after histories."""

    setting: RankingContext
    support: SupportSet
    builder: PromptBuilder

    @classmethod
    def of(cls, setting: RankingContext, shown: Sequence[Choice]) -> Self:
        words = tuple(dict.fromkeys(str(choice.chosen) for choice in shown)) or ("…",)
        examples = [Example({"history": setting.join(choice.history)}, choice.chosen) for choice in shown]
        return cls(setting, SupportSet(tuple(examples), words), setting.builder(words, len(examples)))

    def __call__(
        self, asked: Sequence[tuple[Sequence[str], tuple[str, ...]]], progress: Progress | None
    ) -> list[FloatArray]:
        rows = self.setting.scorer.log_probs([self._prompt(*pair) for pair in asked], progress)
        return [row.log_probs for row in rows]

    def _prompt(self, history: Sequence[str], titles: tuple[str, ...]) -> Prompt:
        built = self.builder.build(Example({"history": self.setting.join(history)}), self.support)
        return replace(built, answers=tuple(neutralise(title, self.builder.special_tokens) for title in titles))


@dataclass(frozen=True)
class _TitleFeatures:
    ask: _TitleAsker

    def __call__(self, choices: Sequence[Choice], progress: Progress | None) -> list[FloatArray]:
        return [s[:, None] for s in self.ask([(c.history, c.candidates) for c in choices], progress)]


@dataclass(frozen=True)
class _PmiFeatures:
    ask: _TitleAsker

    def __call__(self, choices: Sequence[Choice], progress: Progress | None) -> list[FloatArray]:
        titles = tuple(dict.fromkeys(title for choice in choices for title in choice.candidates))
        if not titles:
            return []
        # All titles after the one empty history: a single prompt, whose prefix is computed once.
        (alone,) = self.ask([((NOTHING[self.ask.setting.language],), titles)], None)
        prior = dict(zip(titles, alone.tolist(), strict=True))
        found = self.ask([(choice.history, choice.candidates) for choice in choices], progress)
        before = [np.array([prior[title] for title in choice.candidates]) for choice in choices]
        return [np.column_stack([scores - base, base]) for scores, base in zip(found, before, strict=True)]


@dataclass(frozen=True)
class _YesNoFeatures:
    setting: RankingContext
    support: SupportSet
    builder: PromptBuilder

    def __call__(self, choices: Sequence[Choice], progress: Progress | None) -> list[FloatArray]:
        prompts = [
            self.builder.build(
                Example({"candidate": title, "history": self.setting.join(choice.history)}), self.support
            )
            for choice in choices
            for title in choice.candidates
        ]
        rows = iter(self.setting.scorer.log_probs(prompts, progress))
        return [
            np.array([[row.log_probs[0] - row.log_probs[1]] for row in (next(rows) for _ in choice.candidates)])
            for choice in choices
        ]


@dataclass(frozen=True, eq=False)
class _LetterFeatures:
    """With the bias of each letter, which is taken away."""

    setting: RankingContext
    support: SupportSet
    builder: PromptBuilder
    letters: tuple[str, ...]
    permutations: int
    bias: FloatArray

    def __call__(self, choices: Sequence[Choice], progress: Progress | None) -> list[FloatArray]:
        found = []
        for choice, table in zip(choices, self.by_position(choices, progress), strict=True):
            fair = table - self.bias[: len(choice.candidates)]
            back = [np.roll(row, by) for row, by in zip(fair, self._shifts(choice), strict=True)]
            found.append(np.mean(back, axis=0)[:, None])
        return found

    def by_position(self, choices: Sequence[Choice], progress: Progress | None) -> list[FloatArray]:
        """Log P(letter) of each order, shape [permutations, candidates]."""
        prompts = [
            replace(
                self.builder.build(
                    _lettered(self.setting, choice, _shifted(choice.candidates, by), None), self.support
                ),
                answers=self.letters[: len(choice.candidates)],
            )
            for choice in choices
            for by in self._shifts(choice)
        ]
        rows = iter(self.setting.scorer.log_probs(prompts, progress))
        return [log_softmax(np.stack([next(rows).log_probs for _ in self._shifts(c)]), axis=1) for c in choices]

    def _shifts(self, choice: Choice) -> list[int]:
        """By how many places the list is turned: evenly spread, each only once."""
        many = len(choice.candidates)
        return sorted({round(turn * many / self.permutations) % many for turn in range(self.permutations)})


def _shifted(titles: Sequence[str], by: int) -> list[str]:
    return [*titles[by:], *titles[:by]]


def _lettered(setting: RankingContext, choice: Choice, order: Sequence[str], answer: str | None) -> Example:
    if len(order) > len(ascii_uppercase):
        raise SupportError(f"{len(order)} candidates are more than there are letters (26). Rank them by title.")
    options = " ".join(f"{letter}. {title}" for letter, title in zip(ascii_uppercase, order, strict=False))
    return Example({"options": options, "history": setting.join(choice.history)}, answer)
