"""The gate before a faster number format."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from fewshot_llm import FewShotClassifier, SupportSet
from fewshot_llm.data import load_task
from fewshot_llm.errors import ScoringError
from fewshot_llm.evaluation import PrecisionEvidence, check_precision, measure_precision

TEXTS = ["很好，喜欢", "不错，好评", "满意，推荐", "太差，退货", "失望，难看", "坏了，差评"]
LABELS = ["positive"] * 3 + ["negative"] * 3


@pytest.fixture
def support() -> SupportSet:
    return SupportSet.from_lists(TEXTS, LABELS, load_task("review-sentiment"))


def test_the_same_weights_pass(llama, support):
    evidence = check_precision(FewShotClassifier(model=llama, shots=1), llama, support)
    assert (evidence.rows, evidence.agreement) == (6, 1.0)
    assert evidence.accuracy == evidence.exact_accuracy
    assert evidence.to_json()["dtype"] == "float32"


def test_half_precision_is_measured_on_every_row(llama, support):
    narrow = replace(llama, model=deepcopy(llama.model).to(torch.bfloat16), dtype=torch.bfloat16)
    evidence = measure_precision(FewShotClassifier(model=llama, shots=1), narrow, support)
    assert (evidence.dtype, evidence.rows) == ("bfloat16", 6)
    assert evidence.speed > 0


def test_a_loss_is_refused_with_its_figures(words_and_noise, support):
    right, wrong = words_and_noise
    with pytest.raises(ScoringError, match="bfloat16 is refused: of 6 labelled rows"):
        check_precision(FewShotClassifier(model=right, shots=1), wrong, support)


@pytest.fixture
def words_and_noise(llama):
    """A scorer that reads the texts, and one that reads them wrong, in the shape of loaded models."""
    from tests.word_scorer import WordScorer

    class Wrong(WordScorer):
        dtype = torch.bfloat16

        def log_probs(self, prompts, progress=None):
            found = super().log_probs(prompts, progress)
            flipped = [-1, 1, 1, -1, 1, -1]  # no bias can mend mixed-up rows
            return [replace(scores, log_probs=scores.log_probs * flipped[n % 6]) for n, scores in enumerate(found)]

    return WordScorer(), Wrong()


@pytest.mark.parametrize(("accuracy", "allowed"), [(0.9, True), (0.891, True), (0.88, False), (0.95, True)])
def test_a_point_may_be_lost(accuracy, allowed):
    assert PrecisionEvidence("bfloat16", 100, accuracy, 0.9, 1.0, 2.0).allowed is allowed


def test_one_row_per_class_leaves_nothing_to_measure_on(llama):
    support = SupportSet.from_lists(TEXTS[2:4], LABELS[2:4], load_task("review-sentiment"))
    with pytest.raises(ScoringError, match="two rows per class"):
        measure_precision(FewShotClassifier(model=llama, shots=1), llama, support)
