"""`FewShotRegressor`: what it predicts follows from what the scorer says and what the rows ask for."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from fewshot_llm.errors import CalibrationError, ModelError, SupportError, TaskError
from fewshot_llm.estimators import FewShotRegressor
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import Grid, Monotone
from tests.reading_scorer import ReadingScorer

TEXTS = [f"sentence {i} " + "good " * (i % 5) for i in range(40)]
STARS = [i % 5 + 1 for i in range(40)]


def by_praise(query: str, answers: tuple[str, ...]) -> list[float]:
    """The more "good", the higher the number it likes; it dares only half of the way."""
    stars = 3 + (1 + query.count("good") - 3) / 2
    return [-((stars - j) ** 2) for j in range(1, len(answers) + 1)]


@pytest.fixture
def scorer() -> ReadingScorer:
    return ReadingScorer(by_praise)


def test_correction_makes_up_for_a_timid_model(scorer: ReadingScorer) -> None:
    regressor = FewShotRegressor("review-rating", scorer, language="en").fit(TEXTS, STARS)
    found = regressor.predict(["none", "good good good good"])
    assert found == pytest.approx([1, 5], abs=0.35)
    assert regressor.cross_validated_error() < 0.35
    assert regressor.score(TEXTS, STARS) > 0.9


def test_intervals_hold_the_truth(scorer: ReadingScorer) -> None:
    generator = np.random.default_rng(0)
    noisy = [star + generator.normal() * 0.3 for star in STARS]
    regressor = FewShotRegressor(
        "review-rating", scorer, language="en", grid=Grid((0, 1.5, 3, 4.5, 6)), shots=1, interval_folds=8
    ).fit(TEXTS, noisy)
    new = [f"other {i} " + "good " * (i % 5) for i in range(200)]
    truth = np.array([i % 5 + 1 for i in range(200)]) + generator.normal(size=200) * 0.3
    low, high = regressor.predict_interval(new, level=0.8)
    assert 0.6 <= ((low <= truth) & (truth <= high)).mean() <= 0.97
    assert (low <= regressor.predict(new)).mean() > 0.9


def test_prices_are_told_apart_by_ratio(scorer: ReadingScorer) -> None:
    prices = [10.0 ** (star / 2) for star in STARS]
    regressor = FewShotRegressor("price-from-title", scorer, shots=1).fit(TEXTS, prices)
    assert regressor.model_.grid.scale == "log"
    low, high = regressor.predict_interval(TEXTS[:5])
    assert (low > 0).all()
    assert (low <= high).all()
    assert np.all(np.diff(regressor.predict(TEXTS[:5])) > 0)


def test_demonstrations_show_grid_words_and_never_the_query(scorer: ReadingScorer) -> None:
    FewShotRegressor("review-rating", scorer, language="en", shots=1, interval_folds=0).fit(TEXTS, STARS)
    for prompt in scorer.prompts:
        query = prompt.text.rsplit("\n\n", 1)[-1].splitlines()[0]
        assert prompt.text.count(query + "\n") == 1
        assert "Stars: 3\n" in prompt.text


def test_one_seed_gives_one_answer_with_a_real_model(llama: LanguageModel) -> None:
    def answers(permutations: int) -> list[float]:
        regressor = FewShotRegressor("review-rating", llama, shots=1, interval_folds=2, permutations=permutations)
        return regressor.fit(TEXTS[:12], STARS[:12]).predict(TEXTS[:4]).tolist()

    assert answers(1) == answers(1)
    assert np.isfinite(answers(2)).all()


def test_zero_shot_and_monotone(scorer: ReadingScorer) -> None:
    regressor = FewShotRegressor("review-rating", scorer, shots=0, correction=Monotone()).fit(TEXTS, STARS)
    assert regressor.predict(TEXTS) == pytest.approx(STARS, abs=0.35)


@pytest.mark.parametrize("value", ["five", float("inf")])
def test_target_that_is_no_number_is_named(scorer: ReadingScorer, value: object) -> None:
    with pytest.raises(SupportError, match="target of row 1"):
        FewShotRegressor("review-rating", scorer).fit(TEXTS[:3], [1, value, 3])


@pytest.mark.parametrize("task", ["review-rating", "price-from-title"])
def test_constant_targets(scorer: ReadingScorer, task: str) -> None:
    with pytest.raises(SupportError, match="All 3 targets are 4"):
        FewShotRegressor(task, scorer).fit(TEXTS[:3], [4, 4, 4.0])


def test_targets_outside_the_grid(scorer: ReadingScorer) -> None:
    with pytest.raises(SupportError, match="outside the grid 1 … 5"):
        FewShotRegressor("review-rating", scorer).fit(TEXTS[:3], [1, 5, 80])


def test_no_rows(scorer: ReadingScorer) -> None:
    with pytest.raises(SupportError, match="no rows"):
        FewShotRegressor("review-rating", scorer).fit([], [])


def test_rows_that_are_left_out_are_said(scorer: ReadingScorer) -> None:
    with pytest.warns(UserWarning, match="left out"):
        regressor = FewShotRegressor("review-rating", scorer, shots=1).fit(["one", "one", *TEXTS], [1, 5, *STARS])
    assert len(regressor.support_) == len(regressor.targets_) == 40


def test_too_few_rows_for_an_interval(scorer: ReadingScorer) -> None:
    regressor = FewShotRegressor("review-rating", scorer, shots=0).fit(TEXTS[:5], STARS[:5])
    with pytest.raises(CalibrationError, match="at least 9 labelled rows"):
        regressor.predict_interval(TEXTS[:1])


def test_no_intervals_without_folds(scorer: ReadingScorer) -> None:
    regressor = FewShotRegressor("review-rating", scorer, interval_folds=0).fit(TEXTS, STARS)
    with pytest.raises(ModelError, match="interval_folds=0"):
        regressor.predict_interval(TEXTS[:1])
    with pytest.raises(ModelError, match="interval_folds"):
        clone(regressor).set_params(interval_folds=1).fit(TEXTS, STARS)


def test_task_of_another_kind(scorer: ReadingScorer) -> None:
    with pytest.raises(TaskError, match="kind classification"):
        FewShotRegressor("review-sentiment", scorer).fit(TEXTS, STARS)


def test_clone_shares_the_model(scorer: ReadingScorer) -> None:
    assert clone(FewShotRegressor("review-rating", scorer)).model is scorer
