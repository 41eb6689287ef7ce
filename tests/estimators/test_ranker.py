"""`FewShotRanker`: the model's scores and the counts, mixed by the choices that are not shown."""

from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm.errors import SupportError, TaskError
from fewshot_llm.estimators import FewShotRanker
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import Basket, Choice, TitlePrompt
from tests.reading_scorer import ReadingScorer


def choices(many: int, seed: int = 0) -> list[Choice]:
    """What goes with `thing i` is `partner i`."""
    generator = np.random.default_rng(seed)
    found = []
    for i in range(many):
        others = [f"partner {j}" for j in generator.permutation(20) if j != i % 20][:3]
        titles = generator.permutation([f"partner {i % 20}", *others]).tolist()
        found.append(Choice((f"thing {i % 20}",), tuple(titles), f"partner {i % 20}", f"user {i}"))
    return found


def knows(query: str, answers: tuple[str, ...]) -> list[float]:
    thing = query.splitlines()[0].removeprefix("Bought: thing ")
    return [-5.0 + 3.0 * (title == f"partner {thing}") for title in answers]


def knows_nothing(query: str, answers: tuple[str, ...]) -> list[float]:
    return [-float(len(title)) for title in answers]


def chosen(rows: list[Choice]) -> list[str]:
    return [str(row.chosen) for row in rows]


BASKETS = [Basket(frozenset({f"thing {i}", f"partner {i}"}), f"other {i}") for i in range(20)]


def test_model_that_knows_is_heard() -> None:
    rows = choices(30)
    ranker = FewShotRanker(model=ReadingScorer(knows), language="en").fit(rows, chosen(rows))
    assert ranker.score(rows, chosen(rows)) == 1.0
    assert ranker.predict(rows[:2]).tolist() == chosen(rows)[:2]
    assert sorted(ranker.rank(rows[:1])[0]) == sorted(rows[0].candidates)


def test_counts_are_heard_where_the_model_knows_nothing() -> None:
    rows = choices(40)
    alone = FewShotRanker(model=ReadingScorer(knows_nothing), language="en").fit(rows, chosen(rows))
    mixed = FewShotRanker(model=ReadingScorer(knows_nothing), language="en").fit(rows, chosen(rows), BASKETS)
    assert alone.score(rows, chosen(rows)) < 0.6
    assert mixed.score(rows, chosen(rows)) == 1.0
    assert mixed.mix_ is not None
    assert mixed.mix_.weights[-1] > 0.5


def test_too_few_choices_leave_the_model_alone() -> None:
    rows = choices(6)
    ranker = FewShotRanker(model=ReadingScorer(knows), language="en", prompt=TitlePrompt(), shots=2)
    ranker.fit(rows, chosen(rows), BASKETS)
    assert ranker.mix_ is None
    assert ranker.score(rows, chosen(rows)) == 1.0


def test_columns_for_a_file() -> None:
    rows = choices(20)
    (answer,) = FewShotRanker(model=ReadingScorer(knows), language="en").fit(rows, chosen(rows)).answers(rows[:1])
    assert answer["ranking"][0] == rows[0].chosen
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_mappings_and_a_real_model(llama: LanguageModel) -> None:
    rows = [{"history": ["tea cup"], "candidates": [f"saucer {i}", "hammer"]} for i in range(3)]
    ranker = FewShotRanker(model=llama, shots=1).fit(rows, [f"saucer {i}" for i in range(3)])
    assert [len(row) for row in ranker.predict_log_proba(rows)] == [2, 2, 2]


def test_more_shots_than_choices() -> None:
    rows = choices(3)
    with pytest.raises(SupportError, match="shots is 4 and there are 3"):
        FewShotRanker(model=ReadingScorer(knows)).fit(rows, chosen(rows))


def test_task_of_another_kind() -> None:
    rows = choices(5)
    with pytest.raises(TaskError, match="kind classification"):
        FewShotRanker("review-sentiment", ReadingScorer(knows)).fit(rows, chosen(rows))
