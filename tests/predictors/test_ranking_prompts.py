"""Ways of asking: what stands in the prompts, and that biases are taken away."""

from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm.data import load_task
from fewshot_llm.errors import SupportError
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import NOTHING, Choice, LetterPrompt, PmiPrompt, RankingContext, TitlePrompt, YesNoPrompt
from fewshot_llm.scoring import choose_scorer
from tests.reading_scorer import ReadingScorer, Rule

PAIRS = {"cup": "saucer", "nail": "hammer", "pen": "paper", "hat": "scarf", "key": "lock"}
CHOICES = [
    Choice((first, "box"), tuple(np.roll(list(PAIRS.values()), turn).tolist()), second)
    for turn, (first, second) in enumerate(PAIRS.items())
]


def setting(rule: Rule, language: str = "en") -> RankingContext:
    return RankingContext(load_task("next-product"), language, ReadingScorer(rule))


def answer_of(query: str) -> str:
    return next((second for first, second in PAIRS.items() if f"{first};" in query), "")


def likes_pairs(query: str, answers: tuple[str, ...]) -> list[float]:
    """Knows the pairs a little, but likes one title much more, whatever was bought."""
    return [2.0 * (title == answer_of(query)) + 5.0 * (title == "paper") - 20.0 for title in answers]


def test_pmi_takes_away_what_is_likely_anyhow() -> None:
    alone = TitlePrompt().prepare(setting(likes_pairs), CHOICES[:1], [])(CHOICES, None)
    added = PmiPrompt().prepare(setting(likes_pairs), CHOICES[:1], [])(CHOICES, None)
    assert [c.candidates[table[:, 0].argmax()] for c, table in zip(CHOICES, alone, strict=True)] == ["paper"] * 5
    for choice, table, raw in zip(CHOICES, added, alone, strict=True):
        assert table[:, 0].argmax() == choice.answer
        assert table.sum(axis=1) == pytest.approx(raw[:, 0])


def test_no_history_is_one_prompt_for_all_titles() -> None:
    asked = setting(likes_pairs)
    PmiPrompt().prepare(asked, [], [])(CHOICES, None)
    assert isinstance(asked.scorer, ReadingScorer)
    without = [prompt for prompt in asked.scorer.prompts if NOTHING["en"] in prompt.text]
    assert len(without) == 1
    assert len(without[0].answers) == len(PAIRS)


def test_yes_or_no_asks_about_one_candidate_at_a_time() -> None:
    def rule(query: str, answers: tuple[str, ...]) -> list[float]:
        return [3.0 if f"Offered: {answer_of(query)}\n" in query else 0.0, 1.0]

    asked = setting(rule)
    tables = YesNoPrompt().prepare(asked, CHOICES[:2], [])(CHOICES, None)
    assert [table[:, 0].argmax() for table in tables] == [choice.answer for choice in CHOICES]
    assert isinstance(asked.scorer, ReadingScorer)
    assert all(
        prompt.text.count("Buys: yes") == 2 >= prompt.text.count("Buys: no") for prompt in asked.scorer.prompts[10:]
    )


@pytest.mark.parametrize("permutations", [2, 5, 9])
def test_letters_forget_a_bias_for_a_position(permutations: int) -> None:
    def rule(query: str, answers: tuple[str, ...]) -> list[float]:
        options = query.split("Choices: ")[1].splitlines()[0]
        return [1.0 * (f"{letter}. {answer_of(query)}" in options) + 4.0 * (letter == "C") for letter in answers]

    spare = [
        Choice(c.history, tuple(np.roll(c.candidates, turn).tolist()), c.chosen) for c in CHOICES for turn in range(5)
    ]
    tables = LetterPrompt(permutations).prepare(setting(rule), CHOICES[:1], spare)(CHOICES, None)
    assert [table[:, 0].argmax() for table in tables] == [choice.answer for choice in CHOICES]


def test_too_many_candidates_for_letters() -> None:
    many = Choice(("cup",), tuple(f"title {i}" for i in range(27)))
    with pytest.raises(SupportError, match="more than there are letters"):
        LetterPrompt().prepare(setting(likes_pairs), [], [])([many], None)


@pytest.mark.parametrize(
    "way", [TitlePrompt(), PmiPrompt(), YesNoPrompt(), LetterPrompt(2)], ids=lambda way: type(way).__name__
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_way_works_with_a_real_model(llama: LanguageModel, way: TitlePrompt, language: str) -> None:
    real = RankingContext(load_task("next-product"), language, choose_scorer(llama))
    tables = way.prepare(real, CHOICES[:2], CHOICES[2:4])(CHOICES[3:], None)
    assert [len(table) for table in tables] == [5, 5]
    assert all(np.isfinite(table).all() for table in tables)
