"""The ladder for numbers, with a tiny model that really is trained."""

from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm.errors import ModelError, TuningError
from fewshot_llm.estimators.grid import Grid
from fewshot_llm.estimators.number_ladder import NumberEscalation
from fewshot_llm.estimators.regressor import FewShotRegressor
from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.tuning.recipe import Recipe
from tests.estimators.reading_scorer import ReadingScorer

TEXTS = [f"sentence {i}: {'good ' * 4 if i % 2 else 'bad ' * 4}" for i in range(16)]
STARS = [5.0 if i % 2 else 1.0 for i in range(16)]
RECIPE = Recipe(loss="ordinal", rank=8, learning_rate=3e-3, epochs=8, batch_rows=4, folds=4)


def regressor(model: object, target: float) -> FewShotRegressor:
    return FewShotRegressor(
        "review-rating",
        model,  # type: ignore[arg-type]
        grid=Grid((1, 2, 3, 4, 5)),
        shots=1,
        language="en",
        escalation=NumberEscalation(target, RECIPE),
    )


def test_small_error_needs_no_training(llama: LanguageModel) -> None:
    fitted = regressor(llama, 1000.0).fit(TEXTS, STARS)
    assert fitted.decision_ is not None
    assert (fitted.decision_.rung, fitted.decision_.change, fitted.decision_.seconds) == ("in-context", None, 0.0)


def test_training_is_kept_where_it_is_better_and_said_why(llama: LanguageModel) -> None:
    plain = FewShotRegressor("review-rating", llama, grid=Grid((1, 2, 3, 4, 5)), shots=1, language="en")
    before = plain.fit(TEXTS, STARS).cross_validated_error()
    fitted = regressor(llama, 0.01).fit(TEXTS, STARS)
    decision = fitted.decision_
    assert decision is not None
    assert decision.errors["in-context"].value == pytest.approx(before)
    assert decision.rung == "lora", decision.english
    assert "LoRA is kept" in decision.english
    assert fitted.cross_validated_error() == pytest.approx(decision.errors["lora"].value)
    assert np.diff(fitted.predict(["sentence 99: bad bad bad bad ", "sentence 99: good good good good "]))[0] > 1
    low, high = fitted.predict_interval(TEXTS[:2], level=0.8)
    assert (low < high).all()
    assert not llama.adapter, "the base model is left as it was"


def test_what_cannot_be_trained_is_said() -> None:
    scorer = ReadingScorer(lambda query, answers: [0.0] * len(answers))
    with pytest.raises(TuningError, match="runs elsewhere"):
        regressor(scorer, 0.01).fit(TEXTS, STARS)
    with pytest.raises(TuningError, match="more than 0"):
        NumberEscalation(0.0)
    with pytest.raises(ModelError, match="interval_folds=5"):
        regressor(scorer, 1.0).set_params(interval_folds=0).fit(TEXTS, STARS)
