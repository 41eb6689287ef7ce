"""A pickle refers to its model by name and hash; predictions after it equal those before."""

from __future__ import annotations

import copy
import io
import pickle
import shutil
import socket

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from fewshot_llm import FewShotClassifier, FewShotMultiLabelClassifier, FewShotRanker, FewShotRegressor, load_model
from fewshot_llm.errors import ModelError, ServerError
from fewshot_llm.export import llama_cpp, running, write_gguf_model
from fewshot_llm.ladder import Ladder
from fewshot_llm.ladder.rungs import EncoderHead, Lora
from fewshot_llm.models import API_KEY
from fewshot_llm.predictors import LetterPrompt, PmiPrompt, TitlePrompt, YesNoPrompt
from fewshot_llm.prompting import NearestHidden
from fewshot_llm.scoring import MeanHiddenState
from fewshot_llm.selective import SelectivePolicy
from fewshot_llm.training import Recipe

TEXTS = ["很好，喜欢", "太差了，退货", "质量不错", "垃圾，退货", "会再买", "很差，失望", "好看", "不会再买"]
LABELS = ["positive", "negative"] * 4
CHOICES = [
    {"history": ["tea cup"], "candidates": ["saucer", "hammer"]},
    {"history": ["box of nails"], "candidates": ["saucer", "hammer"]},
] * 2
MEBIBYTE = 2**20
RECIPE = Recipe(name="tiny", rank=2, alpha=4, learning_rate=1e-2, epochs=3, batch_rows=4, folds=2)


@pytest.fixture
def folder(tiny_model_folder, tmp_path):
    return shutil.copytree(tiny_model_folder, tmp_path / "tiny")


@pytest.fixture
def network_is_an_error(monkeypatch):
    def refuse(self, address):
        raise AssertionError(f"somebody connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def classifiers(folder):
    model = load_model(str(folder))
    yield FewShotClassifier(model=str(folder), shots=2)
    yield FewShotClassifier(model=model, shots=2, permutations=2, normalisation="pmi")
    yield FewShotClassifier(model=model, shots=2, layout="chat", selection=NearestHidden(MeanHiddenState(model)))
    yield FewShotClassifier(
        model=model,
        shots=2,
        policy=SelectivePolicy(costs={"positive": {"negative": 2.0}, "negative": {"positive": 1.0}}),
    )


def test_a_fitted_classifier_is_small_and_answers_as_before(folder, network_is_an_error):
    for classifier in classifiers(folder):
        classifier.fit(TEXTS, LABELS)
        file = io.BytesIO()
        joblib.dump(classifier, file)
        for data in (pickle.dumps(classifier), file.getvalue()):
            assert len(data) < MEBIBYTE / 16
        again = joblib.load(io.BytesIO(file.getvalue()))
        assert again.classes_.tolist() == classifier.classes_.tolist()
        assert again.predictions(TEXTS) == classifier.predictions(TEXTS)
        assert pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(classifier)))).predict(TEXTS).tolist() == (
            classifier.predict(TEXTS).tolist()
        )


def test_the_model_is_loaded_only_when_it_is_needed(folder, monkeypatch):
    data = pickle.dumps(FewShotClassifier(model=str(folder), shots=2).fit(TEXTS, LABELS))
    shutil.move(folder, folder.with_name("elsewhere"))
    again = pickle.loads(data)
    assert again.classes_.tolist() == ["negative", "positive"]
    assert "shots=2" in repr(again)
    assert len(pickle.dumps(again)) < MEBIBYTE / 16  # also without the model
    with pytest.raises(ModelError, match="attach_model"):
        again.predict(TEXTS)
    again.attach_model(folder.with_name("elsewhere"))
    assert again.predict(TEXTS).shape == (8,)


def test_other_weights_are_refused(folder):
    classifier = FewShotClassifier(model=str(folder), shots=2).fit(TEXTS, LABELS)
    data = pickle.dumps(classifier)
    model = load_model(str(folder)).model
    with torch.no_grad():
        model.get_input_embeddings().weight.add_(1.0)
    model.save_pretrained(folder)
    with pytest.raises(ModelError, match="SHA-256 was"):
        pickle.loads(data).predict(TEXTS)
    other = load_model(str(folder))
    with pytest.raises(ModelError, match="SHA-256 was"):
        pickle.loads(data).attach_model(other)
    assert pickle.loads(data).attach_model(other, allow_base_mismatch=True).predict(TEXTS).shape == (8,)


def test_a_model_that_is_not_cached_is_not_fetched(folder, tmp_path, monkeypatch, network_is_an_error):
    classifier = FewShotClassifier(model=load_model(str(folder)), shots=2).fit(TEXTS, LABELS)
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty-too"))
    for name in ("gemma3-270m", "somebody/something"):
        named = copy.copy(classifier.model)
        object.__setattr__(named, "name", name)
        data = pickle.dumps(FewShotClassifier(model=named))
        with pytest.raises(ModelError, match="is not fetched"):
            _ = pickle.loads(data).model


def test_a_regressor_a_tagger_and_rankers(folder):
    model = load_model(str(folder))
    regressor = FewShotRegressor(model=model, interval_folds=2).fit(TEXTS, [5, 1] * 4)
    data = pickle.dumps(regressor)
    assert len(data) < MEBIBYTE / 16
    assert pickle.loads(data).predict(TEXTS).tolist() == regressor.predict(TEXTS).tolist()
    assert np.array_equal(pickle.loads(data).predict_interval(TEXTS, 0.5), regressor.predict_interval(TEXTS, 0.5))
    tags = [["delivery"], ["price"], ["delivery"], [], ["price"], ["delivery", "price"], ["price"], ["delivery"]]
    tagger = FewShotMultiLabelClassifier(model=model, shots=1).fit(TEXTS, tags)
    data = pickle.dumps(tagger)
    assert len(data) < MEBIBYTE / 16
    assert np.array_equal(pickle.loads(data).predict_proba(TEXTS), tagger.predict_proba(TEXTS))
    for prompt in (PmiPrompt(), TitlePrompt(), YesNoPrompt(), LetterPrompt()):
        ranker = FewShotRanker(model=model, prompt=prompt, shots=2).fit(CHOICES, ["saucer", "hammer"] * 2)
        data = pickle.dumps(ranker)
        assert len(data) < MEBIBYTE / 16
        assert pickle.loads(data).answers(CHOICES) == ranker.answers(CHOICES)


def test_an_adapter_that_is_in_no_folder_travels_along(folder):
    model = load_model(str(folder))
    ladder = Ladder(target=1.0, recipe=RECIPE, rungs=(Lora(),))
    classifier = FewShotClassifier(model=model, shots=1, ladder=ladder).fit(TEXTS, LABELS)
    data = pickle.dumps(classifier)
    assert len(data) < MEBIBYTE
    again = pickle.loads(data)
    assert again.predict_proba(TEXTS) == pytest.approx(classifier.predict_proba(TEXTS), abs=1e-6)
    assert again.predictor_.inference.scorer.language_model.adapter


def test_a_deep_copy_shares_the_model_and_nothing_that_changes(llama):
    """Also of a model that was made in memory."""
    classifier = FewShotClassifier(model=llama, shots=2).fit(TEXTS, LABELS)
    copied = copy.deepcopy(make_pipeline(classifier))[-1]
    assert copied.predict_proba(TEXTS).tolist() == classifier.predict_proba(TEXTS).tolist()
    assert copied.predictor_.inference.scorer.language_model is llama
    copied.classes_[0] = "?"
    assert classifier.classes_[0] == "negative"
    assert clone(classifier).model is llama
    assert copy.deepcopy(llama) is llama


def test_what_was_made_in_memory_says_how_to_keep_it(llama):
    with pytest.raises(ModelError, match="save_pretrained"):
        pickle.dumps(FewShotClassifier(model=llama, shots=2).fit(TEXTS, LABELS))


def test_a_new_fit_of_an_unpickled_one_forgets_the_old(folder):
    classifier = FewShotClassifier(model=load_model(str(folder)), shots=2).fit(TEXTS, LABELS)
    again = pickle.loads(pickle.dumps(classifier)).fit(TEXTS[:4], LABELS[:4])
    assert len(again.support_) == 4
    assert again.model.sha256 == classifier.model.sha256


def test_cross_validation_in_processes(folder):
    alone = cross_val_score(FewShotClassifier(model=str(folder), shots=1), TEXTS, LABELS, cv=2)
    for model in (str(folder), load_model(str(folder))):
        scores = cross_val_score(FewShotClassifier(model=model, shots=1), TEXTS, LABELS, cv=2, n_jobs=2)
        assert scores.tolist() == alone.tolist()


@pytest.mark.server
def test_a_server_is_named_without_the_key_and_asked_only_when_given_again(folder, tmp_path, monkeypatch):
    monkeypatch.setenv(API_KEY, "very-secret")
    plain = load_model(str(folder))
    write_gguf_model(plain.model, plain.tokenizer, tmp_path / "base.gguf")
    with running(llama_cpp(tmp_path / "base.gguf", exact=True, threads=1)) as root:
        classifier = FewShotClassifier(model=f"{root}/v1", shots=2, adapter=folder).fit(TEXTS, LABELS)
        data = pickle.dumps(classifier)
        before = classifier.predict_proba(TEXTS)
        assert len(data) < MEBIBYTE / 16
        assert b"very-secret" not in data
        assert root.encode() in data
        again = pickle.loads(data)
        with pytest.raises(ServerError, match="Give the address again"):
            again.predict(TEXTS)
        with pytest.raises(ServerError, match="fitted with"):
            pickle.loads(data).attach_model(plain)
        after = again.attach_model(f"{root}/v1").predict_proba(TEXTS)
    assert after == pytest.approx(before, abs=1e-4)


def test_an_encoder_is_named_and_its_weights_stay_where_they_are(e5_folder, tmp_path, network_is_an_error):
    place = shutil.copytree(e5_folder, tmp_path / "encoder")
    ladder = Ladder(target=1.0, rungs=(EncoderHead(),))
    classifier = FewShotClassifier("review-sentiment", "auto", encoder=str(place), ladder=ladder).fit(TEXTS, LABELS)
    data = pickle.dumps(classifier)
    assert len(data) < MEBIBYTE / 16
    assert pickle.loads(data).predict_proba(TEXTS) == pytest.approx(classifier.predict_proba(TEXTS), abs=1e-9)
    assert copy.deepcopy(classifier).predictor_.features.encoder is classifier.predictor_.features.encoder
    (place / "config.json").write_text((place / "config.json").read_text() + " ")
    with pytest.raises(ModelError, match="SHA-256 was"):
        pickle.loads(data)
    shutil.rmtree(place)
    with pytest.raises(ModelError, match="There is no model"):
        pickle.loads(data)
