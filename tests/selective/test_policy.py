"""A policy on a classifier: contract, costs and scope, on rows that the classifier has not seen; saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fewshot_llm.data import SupportSet, load_task
from fewshot_llm.errors import CalibrationError, TaskError
from fewshot_llm.estimators import FewShotClassifier
from fewshot_llm.selective import SelectivePolicy, SelectivePrediction, answers_out_of_fold
from tests.conftest import BAD, GOOD
from tests.word_scorer import WordScorer

COSTS = {"positive": {"negative": 1}, "negative": {"positive": 5}}


def reviews(copies: int) -> tuple[list[str], list[str]]:
    """Rows of both classes, all different."""
    texts = [f"{text}，第{number}次" for number in range(copies) for text in (*GOOD, *BAD)]
    return texts, (["positive"] * len(GOOD) + ["negative"] * len(BAD)) * copies


def fitted(policy: SelectivePolicy | None, copies: int = 4, **parameters: Any) -> FewShotClassifier:
    return FewShotClassifier("review-sentiment", WordScorer(), shots=2, policy=policy, **parameters).fit(
        *reviews(copies)
    )


def test_contract_gives_labels_and_keeps_unsure_rows_back() -> None:
    classifier = fitted(SelectivePolicy(max_error=0.05))
    contract = classifier.policy_.contract
    assert contract is not None
    assert (contract.rows, contract.errors) == (64, 0)
    sure, unsure = classifier.predictions(["很好，喜欢，推荐", "颜色是蓝的"])
    assert isinstance(sure, SelectivePrediction)
    assert isinstance(unsure, SelectivePrediction)
    assert (sure.label, sure.abstained, sure.reason) == ("positive", False, None)
    assert (unsure.abstained, unsure.reason) == (True, "unsure")


def test_too_few_rows_say_how_many() -> None:
    with pytest.raises(CalibrationError, match="from 16 labelled rows: at least 45 are needed"):
        fitted(SelectivePolicy(max_error=0.05), copies=1)


def test_rows_of_their_own_need_no_more_support() -> None:
    texts, labels = reviews(5)
    own = SupportSet.from_lists(texts[16:], labels[16:], load_task("review-sentiment"))
    policy = SelectivePolicy(max_error=0.05, calibration=own)
    contract = fitted(policy, copies=1).policy_.contract
    assert contract is not None
    assert contract.rows == 64


def test_calibration_rows_must_be_new_and_known() -> None:
    task = load_task("review-sentiment")
    with pytest.raises(CalibrationError, match="of the calibration rows are in the support set"):
        fitted(SelectivePolicy(max_error=0.05, calibration=SupportSet.from_lists(*reviews(4), task)))
    other = SupportSet.from_lists(["a", "b"], ["positive", "odd"])
    with pytest.raises(CalibrationError, match="label 'odd'"):
        fitted(SelectivePolicy(max_error=0.05, calibration=other))


def test_costs_move_the_decision_and_predict_follows() -> None:
    doubtful = ["颜色是蓝的"]
    assert fitted(SelectivePolicy(costs=COSTS)).predict(doubtful) == ["negative"]
    assert fitted(SelectivePolicy(costs={"positive": {"negative": 5}, "negative": {"positive": 1}})).predict(
        doubtful
    ) == ["positive"]
    with pytest.raises(TaskError, match="nothing of saying"):
        fitted(SelectivePolicy(costs={"positive": {"negative": 1}}))


def test_scope_keeps_strange_rows_back() -> None:
    classifier = fitted(SelectivePolicy(out_of_scope=0.05))
    known, strange = classifier.predictions(["质量不错，很好，第7次", "Where is the railway station?"])
    assert isinstance(known, SelectivePrediction)
    assert isinstance(strange, SelectivePrediction)
    assert (known.reason, strange.reason) == (None, "out_of_scope")


def test_held_out_answers_do_not_see_their_own_row() -> None:
    """A label that only one row has wrong is not learned from that row: changing it leaves its own answer as it was."""
    texts, labels = reviews(1)
    changed = [*labels[:-1], "positive"]
    ways = [FewShotClassifier("review-sentiment", WordScorer(), shots=2).fit(texts, y) for y in (labels, changed)]
    before, after = (answers_out_of_fold(way.predictor_) for way in ways)
    served = [way.predict_log_proba(texts[-1:]) for way in ways]
    assert not np.allclose(served[0], served[1])
    assert before.targets[-1] != after.targets[-1]
    assert np.isfinite(after.log_probabilities).all()


def test_saved_and_loaded_with_its_guard(tmp_path: Path) -> None:
    classifier = fitted(SelectivePolicy(max_error=0.05, costs=COSTS, out_of_scope=0.05))
    classifier.save(tmp_path / "saved")
    loaded = FewShotClassifier.load(tmp_path / "saved", model=WordScorer())
    assert loaded.policy_ == classifier.policy_
    texts = ["很好", "颜色是蓝的", "Where is the station?"]
    assert loaded.predictions(texts) == classifier.predictions(texts)


def test_fitting_again_without_a_guard_removes_it() -> None:
    classifier = fitted(SelectivePolicy(out_of_scope=0.05))
    classifier.set_params(policy=None).fit(*reviews(4))
    assert not hasattr(classifier, "policy_")
    classifier.set_policy(SelectivePolicy(out_of_scope=0.1))
    assert classifier.policy_.scope is not None
