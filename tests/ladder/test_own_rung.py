"""A rung in a file of its own: it is climbed with, saved, loaded and reported, and nothing in the package knows it."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fewshot_llm import FewShotClassifier
from fewshot_llm.ladder import LABEL_RUNGS, Candidate, Ladder, Rung, label_evidence
from fewshot_llm.predictors import PromptedPredictor, score_held_out
from fewshot_llm.stats import calibrated_out_of_fold, fit_bias_temperature
from fewshot_llm.types import Text


class Tempered(Rung):
    """The served prompt as it is, calibrated: no search."""

    name, title = "tempered", Text("tempered prompt", "调温提示")

    def propose(self, climb):
        started = time.perf_counter()
        found = score_held_out(climb.inference)
        estimate = calibrated_out_of_fold(found.scores, found.targets, climb.folds(5))
        seconds = time.perf_counter() - started
        evidence = label_evidence(
            self.name, found.rows, found.targets, estimate, seconds, title=self.title, seed=climb.seed
        )

        def build():
            return PromptedPredictor(climb.inference, (fit_bias_temperature(found.scores, found.targets),))

        return Candidate(evidence, estimate, build)


@pytest.fixture
def fitted(llama, reviews):
    ladder = Ladder(target=0.01, rungs=(Tempered(), *LABEL_RUNGS))
    return FewShotClassifier("review-sentiment", llama, shots=2, ladder=ladder).fit(*reviews)


def test_it_is_climbed_with_and_named(fitted):
    decision = fitted.decision_
    assert decision.rung == "tempered"
    assert decision.reason.startswith("tempered is kept: out of fold it is right on")
    assert decision.reason_zh.startswith("保留“调温提示”：折外准确率")


def test_it_is_saved_and_loaded(fitted, llama, reviews, tmp_path):
    fitted.save(tmp_path / "saved")
    loaded = FewShotClassifier.load(tmp_path / "saved", model=llama)
    np.testing.assert_allclose(loaded.predict_proba(reviews[0]), fitted.predict_proba(reviews[0]), atol=1e-5)
    assert loaded.decision_ == fitted.decision_


def test_it_is_reported(fitted, reviews):
    from fewshot_llm.data import SupportSet
    from fewshot_llm.evaluation import evaluate_fitted
    from fewshot_llm.report import document_of

    result = evaluate_fitted(fitted, SupportSet.from_lists([f"又：{text}" for text in reviews[0]], reviews[1]))
    document = document_of(result)
    assert "tempered" in str(document)
