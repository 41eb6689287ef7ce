"""No labelled row: the labels' names, descriptions and examples answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax

from fewshot_llm import FewShotClassifier
from fewshot_llm.data import Example, Problem, SupportSet, load_task
from fewshot_llm.errors import ModelError
from fewshot_llm.ladder import zero_rows
from fewshot_llm.models import load_encoder
from fewshot_llm.predictors import (
    LinearPredictor,
    MixturePredictor,
    PromptedPredictor,
    Resources,
    Unavailable,
    pooled,
)
from fewshot_llm.types import Text

NOTHING = SupportSet((), ())
QUERIES = [Example.of(text) for text in ("where is my parcel", "give me my money back", "物流很快")]
LABELS = ("refund", "track_order", "complaint")
MEANT = {"refund": "the customer wants money back", "complaint": "the customer is angry"}


def nothing_lent():
    raise Unavailable(Text("no model is here", "没有模型"))


def intents(folder, **settings):
    task = load_task("customer-intent").with_labels(LABELS, descriptions=MEANT)
    return Resources(Problem(task, "en", NOTHING), nothing_lent, str(folder), "cpu", **settings)


def test_an_encoder_compares_with_words_and_descriptions(tiny_encoder_folder):
    predictor = zero_rows(intents(tiny_encoder_folder))
    assert isinstance(predictor, LinearPredictor)
    encoder = load_encoder(str(tiny_encoder_folder), device="cpu")
    meant = ["refund: the customer wants money back", "track order", "complaint: the customer is angry"]
    names, texts = encoder.vectors(meant), encoder.vectors([query.text for query in QUERIES])
    middle = names.mean(axis=0)
    around = [(one - middle) / np.linalg.norm(one - middle, axis=1, keepdims=True) for one in (texts, names)]
    expected = log_softmax(20 * 2 / 3 * around[0] @ around[1].T, axis=1)
    assert predictor.answer(QUERIES).log_probabilities == pytest.approx(expected, abs=1e-4)


def test_both_answer_together(llama, tiny_encoder_folder):
    classifier = FewShotClassifier(
        "customer-intent", llama, labels=LABELS, label_descriptions=MEANT, encoder=str(tiny_encoder_folder)
    ).fit_support(NOTHING)
    predictor = classifier.predictor_
    assert isinstance(predictor, MixturePredictor)
    assert predictor.rungs == ("encoder-names", "zero-shot")
    tables = [part.answer(QUERIES).log_probabilities for part in predictor.parts]
    assert predictor.answer(QUERIES).log_probabilities == pytest.approx(pooled(tables, (1.0, 0.5)))
    asked = predictor.parts[1].inference
    assert "money back" not in asked.prompts(QUERIES[:1])[0].text
    assert classifier.problem_.language == "en"
    assert classifier.predict(["物流很快"])[0] in LABELS


def test_a_familys_own_examples_are_shown(llama):
    classifier = FewShotClassifier("review-sentiment", llama).fit_support(NOTHING)
    predictor = classifier.predictor_
    assert isinstance(predictor, PromptedPredictor)
    prompt = predictor.inference.prompts(QUERIES[:1])[0]
    examples = load_task("review-sentiment").examples
    assert all(text in prompt.text for texts in examples.values() for text in texts)
    assert prompt.answers == ("positive", "negative")
    assert predictor.calibrations[0].method == "contextual"


def test_without_an_example_of_every_label_none_is_shown(llama, tiny_encoder_folder):
    task = load_task("review-sentiment").with_optional("neutral")
    classifier = FewShotClassifier(task, llama, encoder=str(tiny_encoder_folder)).fit_support(NOTHING)
    assert isinstance(classifier.predictor_, MixturePredictor)


def test_what_is_said_of_the_prompt_is_asked_as_it_is(llama):
    classifier = FewShotClassifier("review-sentiment", llama, shots=0).fit_support(NOTHING)
    assert isinstance(classifier.predictor_, PromptedPredictor)
    assert not classifier.predictor_.inference.support.examples


def test_labels_in_chinese_are_asked_in_chinese(llama, tiny_encoder_folder):
    classifier = FewShotClassifier("customer-intent", llama, labels=["退款", "投诉"], encoder=str(tiny_encoder_folder))
    assert classifier.fit_support(NOTHING).problem_.language == "zh"


def test_descriptions_in_another_language_count_for_an_encoder():
    task = load_task("review-sentiment")
    told = task.model_dump() | {"label_descriptions": {"zh": {"positive": "顾客满意"}}}
    problem = Problem(type(task)(**told), "en", NOTHING)
    assert problem.described == {"positive": "positive: 顾客满意", "negative": "negative"}
    assert problem.task.descriptions("en") == {}


def test_neither_is_to_be_had(tmp_path):
    nobody = replace(intents(tmp_path), encoder_name="auto")
    nobody.encoder = lambda name=None: nothing_lent()
    with pytest.raises(ModelError, match=r"Without labelled rows an encoder or a language model.*no model is here"):
        zero_rows(nobody)
