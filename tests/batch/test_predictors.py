"""A batch job with whatever answers: word counts, and a mixture with a prompt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fewshot_llm import FewShotClassifier
from fewshot_llm.batch import (
    ClassifierLabeller,
    Output,
    ServedLabels,
    Settings,
    open_source,
    run_batch,
    support_profile,
)
from fewshot_llm.errors import BatchError
from fewshot_llm.ladder import Ladder
from fewshot_llm.ladder.rungs import Words
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import MixturePredictor
from tests.batch.helpers import read_shards, write_jsonl

Rows = tuple[list[str], list[str]]
TEXTS = ["很好，喜欢", "太差了，退货", "很好，喜欢", "质量不错", ""]


@pytest.fixture
def counting(llama: LanguageModel, reviews: Rows) -> FewShotClassifier:
    return FewShotClassifier("review-sentiment", llama, language="zh", ladder=Ladder(rungs=(Words(),))).fit(*reviews)


@pytest.fixture
def mixed(llama: LanguageModel, reviews: Rows, counting: FewShotClassifier) -> FewShotClassifier:
    prompted = FewShotClassifier("review-sentiment", llama, shots=1, language="zh").fit(*reviews).predictor_
    counting.predictor_ = MixturePredictor((counting.predictor_, prompted), ("words", "calibrated"), (0.5, 0.6))
    return counting


def check_job(classifier: FewShotClassifier, folder: Path) -> None:
    """The labels are the classifier's, equal texts are answered once, and each text's key is its fingerprint."""
    rows = [{"text": text} for text in TEXTS]
    labeller = ClassifierLabeller(classifier)
    source = open_source([str(write_jsonl(folder / "in.jsonl", rows))])
    outcome = run_batch(labeller, source, Output(folder / "out", "parquet", 10, False), Settings({"text": "text"}))
    found = read_shards(folder / "out")
    expected = classifier.predictions(TEXTS[:4])
    assert [row["predicted_label"] for row in found] == [one.label for one in expected]
    assert [row["probability"] for row in found] == pytest.approx([one.probability for one in expected], abs=1e-5)
    keys = [one.key for one in labeller.render(rows[:4])]
    assert keys == list(classifier.predictor_.answer(classifier._queries(TEXTS[:4])).fingerprints)
    assert len(set(keys)) == 3
    assert sum(outcome.errors.values()) == 1


def test_word_counts_label_a_file(counting: FewShotClassifier, tmp_path: Path) -> None:
    check_job(counting, tmp_path)
    named = ClassifierLabeller(counting).fingerprint
    assert (named["predictor"], named["rung"]) == (counting.predictor_.fingerprint, "words")
    assert "batch_tokens" not in named
    assert json.loads(json.dumps(dict(named))) == named


def test_a_mixture_labels_a_file(mixed: FewShotClassifier, tmp_path: Path) -> None:
    check_job(mixed, tmp_path)
    assert ClassifierLabeller(mixed).fingerprint["predictor"] == mixed.predictor_.fingerprint


def test_without_a_prompt_no_text_is_too_long(counting: FewShotClassifier) -> None:
    ruler = ClassifierLabeller(counting).ruler
    assert (len(ruler.spans("很好" * 50_000)), ruler.shared) == (100_000, 0)
    assert ruler.room > 10**9


def test_margins_out_of_fold_are_the_ladders(counting: FewShotClassifier) -> None:
    ranked = np.sort(np.exp(counting.out_of_fold_), axis=1)
    assert support_profile(counting).mean_margin == pytest.approx((ranked[:, 1] - ranked[:, 0]).mean())
    del counting.out_of_fold_
    assert support_profile(counting).mean_margin is None


def test_a_server_cannot_be_asked_for_a_mixture(mixed: FewShotClassifier) -> None:
    with pytest.raises(BatchError, match="ladder=None"):
        ServedLabels.of(mixed, "tiny")
