"""The ladder for numbers, with a tiny model that really is trained."""

from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm.errors import ModelError, TuningError
from fewshot_llm.estimators import FewShotRegressor
from fewshot_llm.ladder.rungs import NumberLadder
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import Grid
from fewshot_llm.training import Recipe
from tests.reading_scorer import ReadingScorer

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
        ladder=NumberLadder(target, RECIPE),
    )


def test_small_error_needs_no_training(llama: LanguageModel) -> None:
    fitted = regressor(llama, 1000.0).fit(TEXTS, STARS)
    assert fitted.decision_ is not None
    decision = fitted.decision_
    assert (decision.rung, decision.comparisons, decision.seconds, decision.reached) == ("in-context", (), 0.0, True)


def test_training_is_kept_where_it_is_better_and_said_why(llama: LanguageModel) -> None:
    plain = FewShotRegressor("review-rating", llama, grid=Grid((1, 2, 3, 4, 5)), shots=1, language="en")
    before = plain.fit(TEXTS, STARS).cross_validated_error()
    fitted = regressor(llama, 0.01).fit(TEXTS, STARS)
    decision = fitted.decision_
    assert decision is not None
    shown, trained = decision.evidence
    assert shown.headline.value == pytest.approx(before)
    assert decision.rung == "lora", decision.reason
    assert "lora is kept: its mean absolute error" in decision.reason
    assert f"; in-context comes next with {before:.3f}." in decision.reason
    assert [(one.below, one.above, one.better) for one in decision.comparisons] == [("in-context", "lora", True)]
    assert "折外平均绝对误差" in decision.reason_zh
    assert fitted.cross_validated_error() == pytest.approx(trained.headline.value)
    assert np.diff(fitted.predict(["sentence 99: bad bad bad bad ", "sentence 99: good good good good "]))[0] > 1
    low, high = fitted.predict_interval(TEXTS[:2], level=0.8)
    assert (low < high).all()
    assert not llama.adapter, "the base model is left as it was"


def test_what_cannot_be_trained_is_said() -> None:
    scorer = ReadingScorer(lambda query, answers: [0.0] * len(answers))
    decision = regressor(scorer, 0.01).fit(TEXTS, STARS).decision_
    assert decision is not None
    assert (decision.rung, decision.reached) == ("in-context", False)
    assert "runs elsewhere" in decision.reason
    assert "模型在别处运行" in decision.reason_zh
    with pytest.raises(TuningError, match="more than 0"):
        NumberLadder(0.0)
    with pytest.raises(ModelError, match="interval_folds=5"):
        regressor(scorer, 1.0).set_params(interval_folds=0).fit(TEXTS, STARS)
