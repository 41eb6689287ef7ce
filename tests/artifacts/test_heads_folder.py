"""Heads and mixtures in the saved folder: they answer as before, and what a stranger changed is refused."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fewshot_llm import FewShotClassifier, load_estimator, load_model
from fewshot_llm.artifacts import FILES, Artifact, LinearRecord, MixtureRecord, read_record, save_artifact
from fewshot_llm.data import Example, load_task
from fewshot_llm.errors import ArtifactError, CalibrationError, FewshotError, ModelError
from fewshot_llm.files import sha256_file
from fewshot_llm.ladder import Ladder
from fewshot_llm.ladder.rungs import Calibrated, EncoderHead, HiddenHead, InContext, Lora, Words, ZeroShot
from fewshot_llm.models import EMBEDDED, TERMS_FILE, licence_of, load_encoder, notice
from fewshot_llm.predictors import (
    LinearPredictor,
    MixturePredictor,
    PromptedPredictor,
    WordFeatures,
)
from fewshot_llm.selective import SelectivePolicy
from fewshot_llm.training import Recipe

TEXTS = [
    "很好，喜欢",
    "太差了，退货",
    "质量不错",
    "垃圾，退货",
    "会再买",
    "很差，失望",
    "nice quality, ab",
    "never again b",
    "recommended a",
    "a fake b",
]
LABELS = ["positive", "negative"] * 5
NEW = ["物流很快，质量也好", "it broke, ab", "?!", "quality a b"]
RECIPE = Recipe(name="tiny", rank=2, alpha=4, learning_rate=1e-2, epochs=2, batch_rows=4, folds=2)


@cache
def fitted(kind: str, model: str, encoder: str) -> FewShotClassifier:
    """A classifier of one rung, or a mixture of several: `words+hidden-head`."""
    rungs = {"words": Words(), "encoder": EncoderHead(), "hidden-head": HiddenHead(), "lora": Lora()}
    rungs |= {"in-context": InContext(search=False), "zero-shot": ZeroShot(), "calibrated": Calibrated()}
    names = kind.split("+")
    parts = []
    for name in names:
        ladder = Ladder(target=1.0, recipe=RECIPE, rungs=(rungs[name],))
        classifier = FewShotClassifier(
            "review-sentiment", model, encoder=encoder, ladder=ladder, language="zh", device="cpu"
        )
        parts.append(classifier.fit(TEXTS, LABELS))
    if len(parts) > 1:
        weights = tuple(0.4 + place / 10 for place in range(len(parts)))
        parts[0].predictor_ = MixturePredictor(tuple(one.predictor_ for one in parts), tuple(names), weights)
    return parts[0]


@pytest.fixture
def make(tiny_model_folder, e5_folder):
    return lambda kind: fitted(kind, str(tiny_model_folder), str(e5_folder))


@pytest.fixture
def no_network(monkeypatch):
    def refuse(self, address):
        raise AssertionError(f"somebody connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


KINDS = (
    "words",
    "encoder",
    "hidden-head",
    "words+encoder",
    "words+in-context",
    "words+encoder+hidden-head",
    "in-context+zero-shot+words",
    "in-context+lora+hidden-head",
    "lora+encoder",
)


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_before(kind, make, tmp_path, no_network):
    before = make(kind)
    before.save(tmp_path / "saved")
    assert {path.name for path in (tmp_path / "saved").iterdir()} <= set(FILES)
    again = FewShotClassifier.load(tmp_path / "saved", device="cpu")
    assert type(again.predictor_) is (MixturePredictor if "+" in kind else LinearPredictor)
    exact = {"abs": 1e-5} if "lora" in kind else {"abs": 1e-9}
    assert again.predict_proba(NEW) == pytest.approx(before.predict_proba(NEW), **exact)
    assert again.predict(NEW).tolist() == before.predict(NEW).tolist()
    assert again.classes_.tolist() == before.classes_.tolist()
    assert again.support_.fingerprint == before.support_.fingerprint
    assert (again.task_, again.labels_) == (before.task_.model_copy(update={"folder": None}), before.labels_)
    assert again.problem_.language == before.problem_.language
    assert np.array_equal(again.out_of_fold_, before.out_of_fold_)
    assert again.decision_.model_dump(mode="json") == before.decision_.model_dump(mode="json")
    again.save(tmp_path / "again")
    once_more = load_estimator(tmp_path / "again", device="cpu")
    assert once_more.predict_proba(NEW) == pytest.approx(again.predict_proba(NEW), abs=1e-9)
    for name in ("terms.json", "support.jsonl", "arrays.safetensors"):
        assert (tmp_path / "saved" / name).is_file() or name == "terms.json"
        if (tmp_path / "saved" / name).is_file():
            assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "saved" / name).read_bytes()


@pytest.mark.parametrize("kind", ["words", "words+encoder", "in-context", "lora+encoder"])
def test_a_policy_is_put_on_what_was_loaded(kind, make, tmp_path):
    before = make(kind)
    before.save(tmp_path / "saved")
    again = FewShotClassifier.load(tmp_path / "saved", device="cpu")
    policy = SelectivePolicy(max_error=0.6, confidence=0.5, out_of_scope=0.3)
    for one in (before, again):
        one.set_policy(policy)
    assert again.policy_ == before.policy_
    again.save(tmp_path / "again")
    assert FewShotClassifier.load(tmp_path / "again", device="cpu").policy_ == before.policy_
    del before.policy_


def test_rows_that_a_lone_adapter_does_not_show_stay_at_home(make, tmp_path):
    make("lora").save(tmp_path / "saved")
    assert {path.name for path in (tmp_path / "saved").iterdir()}.isdisjoint({"support.jsonl", "arrays.safetensors"})
    again = FewShotClassifier.load(tmp_path / "saved", device="cpu")
    assert len(again.support_) == 0
    assert not hasattr(again, "out_of_fold_")
    with pytest.raises(CalibrationError, match="labelled rows of their own"):
        again.set_policy(SelectivePolicy(max_error=0.6, confidence=0.5))


def test_a_prompt_without_a_ladder_has_no_answers_out_of_fold(tiny_model_folder, tmp_path):
    before = FewShotClassifier(model=str(tiny_model_folder), shots=1, device="cpu").fit(TEXTS, LABELS)
    before.save(tmp_path / "saved")
    assert not (tmp_path / "saved" / "arrays.safetensors").exists()
    assert not hasattr(FewShotClassifier.load(tmp_path / "saved", device="cpu"), "out_of_fold_")


def test_what_was_loaded_is_fitted_again(make, tmp_path, e5_folder):
    make("words+encoder").save(tmp_path / "saved")
    again = FewShotClassifier.load(tmp_path / "saved", encoder=str(e5_folder), device="cpu")
    assert (again.encoder, again.task.name, again.language) == (str(e5_folder), "review-sentiment", "zh")
    again.set_params(ladder=Ladder(target=1.0, rungs=(Words(),))).fit(TEXTS, LABELS)
    assert again.predict_proba(NEW) == pytest.approx(make("words").predict_proba(NEW), abs=1e-9)


class TestOnlyWhatIsNeeded:
    """The folders of the other models are gone."""

    @pytest.fixture
    def models(self, tiny_model_folder, e5_folder, tmp_path):
        return (
            str(shutil.copytree(tiny_model_folder, tmp_path / "language")),
            str(shutil.copytree(e5_folder, tmp_path / "encoder")),
        )

    @pytest.mark.parametrize(
        ("kind", "needed"), [("words", ()), ("encoder", ("encoder",)), ("hidden-head", ("language",))]
    )
    def test_models(self, kind, needed, models, tmp_path, no_network):
        before = fitted(kind, *models)
        answers = before.predict_proba(NEW)
        before.save(tmp_path / "saved")
        for name in {"language", "encoder"} - set(needed):
            shutil.rmtree(tmp_path / name)
        again = FewShotClassifier.load(tmp_path / "saved", device="cpu")
        assert again.predict_proba(NEW) == pytest.approx(answers, abs=1e-9)
        for name in needed:
            shutil.move(tmp_path / name, tmp_path / "moved")
            with pytest.raises(ModelError, match=f"There is no model .*{name}"):
                FewShotClassifier.load(tmp_path / "saved", device="cpu")
            given = {"model" if name == "language" else "encoder": str(tmp_path / "moved")}
            again = FewShotClassifier.load(tmp_path / "saved", device="cpu", **given)
            assert again.predict_proba(NEW) == pytest.approx(answers, abs=1e-9)

    def test_counts_of_words_load_nothing(self, make, tmp_path, monkeypatch):
        make("words").save(tmp_path / "saved")
        for name in ("make_scorer", "load_encoder"):
            monkeypatch.delattr(f"fewshot_llm.artifacts.folder.{name}")
        again = FewShotClassifier.load(tmp_path / "saved", model="http://127.0.0.1:9/v1", encoder="nowhere")
        assert again.predict(NEW).tolist() == make("words").predict(NEW).tolist()


def test_an_encoder_that_was_loaded_is_taken(make, tmp_path, e5_folder):
    before = make("encoder")
    before.save(tmp_path / "saved")
    encoder = load_encoder(str(e5_folder), device="cpu")
    again = FewShotClassifier.load(tmp_path / "saved", encoder=encoder)
    assert again.predictor_.features.encoder is encoder


def test_another_encoder_is_refused_unless_allowed(make, tmp_path, e5_folder):
    make("words+encoder").save(tmp_path / "saved")
    other = load_encoder(str(e5_folder), device="cpu", prefix="other: ")
    with pytest.raises(ArtifactError, match="fitted with the encoder"):
        FewShotClassifier.load(tmp_path / "saved", encoder=other)
    allowed = FewShotClassifier.load(tmp_path / "saved", encoder=other, allow_base_mismatch=True)
    assert allowed.predict(NEW).shape == (4,)


def test_two_encoders_and_one_is_given(make, tmp_path, e5_folder):
    """It stands in for the one that it is; one that is neither is refused."""
    plain = make("encoder").predictor_
    second = load_encoder(str(e5_folder), device="cpu", prefix="query: ")
    mixture = MixturePredictor(
        (plain, replace(plain, features=replace(plain.features, encoder=second))),
        ("encoder", "encoder-large"),
        (0.5, 0.5),
    )
    artifact = Artifact(mixture, ("negative", "positive"), problem=make("encoder").problem_)
    save_artifact(artifact, tmp_path / "saved")
    again = FewShotClassifier.load(tmp_path / "saved", encoder=second, device="cpu")
    assert again.predictor_.parts[1].features.encoder is second
    assert again.predictor_.parts[0].features.encoder.prefix == ""
    assert again.predict_proba(NEW)[:, 1] == pytest.approx(
        np.exp(mixture.log_probabilities([Example.of(text) for text in NEW]))[:, 0], abs=1e-9
    )
    third = load_encoder(str(e5_folder), device="cpu", prefix="x")
    with pytest.raises(ArtifactError, match="none of them"):
        FewShotClassifier.load(tmp_path / "saved", encoder=third, device="cpu", allow_base_mismatch=True)


def test_members_with_and_without_the_adapter_share_a_model(make, tmp_path, tiny_model_folder):
    make("in-context+lora+hidden-head").save(tmp_path / "saved")
    model = load_model(str(tiny_model_folder), device="cpu")
    again = FewShotClassifier.load(tmp_path / "saved", model=model)
    asked, tuned, hidden = again.predictor_.parts
    assert hidden.features.state.language_model is asked.inference.scorer.language_model is model
    assert tuned.inference.scorer.language_model.adapter == sha256_file(tmp_path / "saved/adapter_model.safetensors")
    assert again.predict_proba(NEW) == pytest.approx(make("in-context+lora+hidden-head").predict_proba(NEW), abs=1e-5)
    with_adapter = load_model(str(tiny_model_folder), adapter=tmp_path / "saved", device="cpu")
    with pytest.raises(ArtifactError, match="without an adapter"):
        FewShotClassifier.load(tmp_path / "saved", model=with_adapter)


# What is not saved


class OwnPredictor(LinearPredictor):
    """May do anything."""


class OwnPrompt(PromptedPredictor):
    """May do anything."""


class OwnFeatures(WordFeatures):
    """May do anything."""


def test_code_is_not_saved(make, tmp_path):
    words, problem = make("words").predictor_, make("words").problem_
    prompt = make("in-context").predictor_
    own = OwnPredictor(words.names, words.features, words.head, words.calibration)
    mixture = MixturePredictor((words, own), ("words", "own"), (0.5, 0.5))
    features = replace(words, features=OwnFeatures(words.features.parts))
    nested = MixturePredictor((words, MixturePredictor((words, words), ("a", "b"), (1.0, 1.0))), ("a", "b"), (1.0, 1.0))
    for predictor in (own, OwnPrompt(prompt.inference, prompt.calibrations), mixture, features, nested):
        with pytest.raises(ModelError, match=r"cannot be saved: .* code"):
            save_artifact(Artifact(predictor, ("negative", "positive"), problem=problem), tmp_path / "saved")
        assert list(tmp_path.iterdir()) == []


def test_what_a_folder_has_no_place_for(make, tmp_path):
    words, problem = make("words").predictor_, make("words").problem_
    four = MixturePredictor((words,) * 4, tuple("abcd"), (0.25,) * 4)
    classes = ("negative", "positive")
    prompt = make("in-context").predictor_
    fewer = replace(problem, support=problem.support.subset(range(4)))
    huge = replace(words, head=replace(words.head, intercepts=np.array([np.nan, 0.0])))
    for artifact, told in (
        (Artifact(four, classes, problem=problem), "at most 3 members"),
        (Artifact(words, classes), "with its problem"),
        (Artifact(prompt, classes, problem=fewer), "other rows"),
        (Artifact(huge, classes, problem=problem), "not finite"),
    ):
        with pytest.raises(ArtifactError, match=told):
            save_artifact(artifact, tmp_path / "saved")
        assert list(tmp_path.iterdir()) == []


# What it derives from


def test_the_record_and_the_card_say_what_it_derives_from(make, tmp_path, tiny_model_folder, e5_folder):
    make("words+encoder+hidden-head").save(tmp_path / "saved")
    record = read_record(tmp_path / "saved", MixtureRecord)
    named = [(one.name, one.kind, one.licence) for one in record.derived_from]
    assert named == [(str(tiny_model_folder), "language-model", ""), (str(e5_folder), "encoder", "")]
    card = (tmp_path / "saved" / "README.md").read_text(encoding="utf-8")
    assert f"the vectors of {e5_folder} (0.50)" in card
    assert "licence unknown" in card
    assert not (tmp_path / "saved" / "NOTICE").exists()
    make("words").save(tmp_path / "words")
    assert read_record(tmp_path / "words", LinearRecord).derived_from == ()
    assert "词与字符 n-gram" in (tmp_path / "words" / "README.md").read_text(encoding="utf-8")


def test_terms_that_ask_for_a_notice_get_one(make, tmp_path, monkeypatch):
    """With the text of the terms where it was accepted on this machine."""
    encoder = make("encoder").predictor_
    named = replace(encoder.features.encoder, name="embeddinggemma-300m")
    predictor = replace(encoder, features=replace(encoder.features, encoder=named))
    artifact = Artifact(predictor, ("negative", "positive"), problem=make("encoder").problem_)
    monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "home"))
    save_artifact(artifact, tmp_path / "saved")
    record = read_record(tmp_path / "saved")
    assert record.derived_from[0].licence == "Gemma Terms of Use"
    told = (tmp_path / "saved" / "NOTICE").read_text(encoding="utf-8")
    assert "provided under and subject to the Gemma Terms of Use" in told
    assert "https://ai.google.dev/gemma/terms" in told
    assert "NOTICE" in record.files
    card = (tmp_path / "saved" / "README.md").read_text(encoding="utf-8")
    assert "pass on the file `NOTICE`" in card
    assert "Gemma Terms of Use, https://ai.google.dev/gemma/terms" in card
    terms = tmp_path / "home" / "models" / "gemma3-270m" / TERMS_FILE
    terms.parent.mkdir(parents=True)
    terms.write_text("<p>other terms</p>", encoding="utf-8")
    assert notice(["gemma3-270m"]) == told
    changed = replace(EMBEDDED["gemma3-270m"].licence, terms_sha256=sha256_file(terms))
    monkeypatch.setitem(EMBEDDED, "gemma3-270m", replace(EMBEDDED["gemma3-270m"], licence=changed))
    assert "other terms" in notice(["gemma3-270m"])


def test_licences_of_what_is_known():
    assert licence_of("smollm2-135m").name == "Apache-2.0"
    assert [licence_of(name) for name in ("owner/model", "", "\\\\host\\share", "\0", "a" * 5000)] == [None] * 5
    assert notice(["smollm2-135m", "e5-small", "owner/model"]) == ""


# Strangers' folders


@pytest.fixture
def saved(make, tmp_path) -> Path:
    make("words+encoder+hidden-head").save(tmp_path / "saved")
    return tmp_path / "saved"


def edit(folder: Path, keys: tuple[Any, ...], value: Any) -> None:
    path = folder / "fewshot.json"
    record = part = json.loads(path.read_text(encoding="utf-8"))
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(record), encoding="utf-8")


def signed(folder: Path, name: str) -> None:
    """As a stranger would: the hash fits what was changed."""
    edit(folder, ("files", name), sha256_file(folder / name))


RECORDS = [
    (("kind",), "linear"),
    (("kind",), "classification"),
    (("extra",), 1),
    (("parts",), []),
    (("parts", 0, "kind"), "tree"),
    (("parts", 0, "extra"), 1),
    (("parts", 0, "features", "kind"), "python"),
    (("parts", 0, "features", "kind"), "encoder"),
    (("parts", 0, "features", "parts"), []),
    (("parts", 0, "features", "parts", 0, "analyzer"), "eval"),
    (("parts", 0, "features", "parts", 0, "ngrams"), [1, 10**9]),
    (("parts", 0, "features", "parts", 0, "ngrams"), [0, 1]),
    (("parts", 0, "features", "parts", 0, "ngrams"), [3, 1]),
    (("parts", 0, "features", "parts", 0, "terms"), 1),
    (("parts", 0, "features", "parts", 0, "terms"), -1),
    (("parts", 0, "features", "parts", 0, "terms"), 10**12),
    (("parts", 0, "calibration", "bias"), [0.0] * 3),
    (("parts", 0, "calibration", "temperature"), 0.0),
    (("parts", 1, "features", "width"), 5),
    (("parts", 1, "features", "width"), 10**15),
    (("parts", 1, "features", "sha256"), "no hash"),
    (("parts", 1, "features", "fingerprint"), "0" * 64),
    (("parts", 1, "features", "prefix"), "other: "),
    (("parts", 1, "features", "name"), ""),
    (("parts", 1, "features", "name"), "http://127.0.0.1:9/encoder"),
    (("parts", 1, "features", "name"), "\\\\host\\share"),
    (("parts", 1, "features", "name"), "ftp://127.0.0.1/encoder"),
    (("parts", 1, "features", "name"), "somebody/who-is-not-here"),
    (("parts", 1, "features", "name"), "../elsewhere"),
    (("parts", 2, "features", "layer"), 0),
    (("parts", 2, "features", "layer"), 3),
    (("parts", 2, "features", "width"), 31),
    (("parts", 2, "features", "adapter"), "0" * 64),
    (("base",), None),
    (("base", "name"), "http://127.0.0.1:9/v1#x"),
    (("rungs",), ["words", "encoder"]),
    (("rungs",), ["words", "words", "encoder"]),
    (("rungs", 0), ""),
    (("rungs", 0), 1),
    (("rungs", 0), "x" * 1000),
    (("weights",), [1.0]),
    (("weights",), [0.0, 0.0, 0.0]),
    (("weights", 0), -0.5),
    (("weights", 0), float("nan")),
    (("weights", 0), 1e300),
    (("weights", 0), "1"),
    (("problem",), None),
    (("problem", "language"), "xx"),
    (("problem", "task", "labels"), ["positive"]),
    (("problem", "task", "labels"), ["a", "b"]),
    (("problem", "task", "folder"), "/etc"),
    (("problem", "task", "kind"), "regression"),
    (("classes",), ["positive"]),
    (("out_of_fold",), 3),
    (("out_of_fold",), -1),
    (("out_of_fold",), 0),
    (("out_of_fold",), 10**15),
    (("policy",), {"shift": [0.0]}),
    (("derived_from",), [{"name": "x", "kind": "program"}]),
    (("derived_from",), [{"name": "x", "kind": "encoder"}] * 100),
    (("files",), {}),
    (("files", "terms.json"), "0" * 64),
    (("files", "../terms.json"), "0" * 64),
]


@pytest.mark.parametrize(("keys", "value"), RECORDS)
def test_a_record_that_was_changed_is_refused(saved, keys, value, no_network):
    edit(saved, keys, value)
    with pytest.raises(FewshotError) as caught:
        FewShotClassifier.load(saved, device="cpu")
    assert str(saved) in str(caught.value) or "There is no model '../elsewhere'" in str(caught.value)


def test_an_encoder_at_an_address_says_what_to_type(saved):
    edit(saved, ("parts", 1, "features", "name"), "https://127.0.0.1:9/encoder")
    with pytest.raises(ModelError, match="--encoder https://127"):
        FewShotClassifier.load(saved, device="cpu")


def test_a_recorded_encoder_is_not_fetched_unasked(saved, no_network):
    edit(saved, ("parts", 1, "features", "name"), "somebody/something")
    with pytest.raises(ModelError, match=r"not fetched unasked.*--allow-download.*--encoder somebody/something"):
        FewShotClassifier.load(saved, device="cpu")


def wrong(arrays: dict[str, np.ndarray], what: str) -> dict[str, np.ndarray]:
    weights = arrays["0.weights"]
    changed: dict[str, dict[str, np.ndarray]] = {
        "a row less": {"0.weights": weights[:1]},
        "a column more": {"0.weights": np.concatenate([weights, weights[:, :1]], axis=1)},
        "flat": {"1.weights": arrays["1.weights"].ravel()},
        "too wide": {"2.mean": np.zeros(10_000)},
        "single precision": {"0.weights": weights.astype(np.float32)},
        "whole numbers": {"0.intercepts": np.zeros(2, dtype=np.int64)},
        "NaN": {"1.intercepts": np.array([np.nan, 0.0])},
        "infinite": {"0.intercepts": np.array([np.inf, 0.0])},
        "huge": {"0.weights": weights * 0 + 1e300},
        "no spread": {"2.spread": arrays["2.spread"] * 0},
        "spread below 0": {"2.spread": -arrays["2.spread"]},
        "idf below 0": {"0.idf.0": -arrays["0.idf.0"]},
        "NaN out of fold": {"out_of_fold": arrays["out_of_fold"] * np.nan},
        "no probabilities": {"out_of_fold": arrays["out_of_fold"] * 0},
        "rows of others": {"out_of_fold": np.concatenate([arrays["out_of_fold"]] * 2)},
        "one more": {"3.weights": weights},
        "code": {"__class__": weights},
    }
    return {**arrays, **changed[what]}


@pytest.mark.parametrize(
    "what",
    [
        "a row less",
        "a column more",
        "flat",
        "too wide",
        "single precision",
        "whole numbers",
        "NaN",
        "infinite",
        "huge",
        "no spread",
        "spread below 0",
        "idf below 0",
        "NaN out of fold",
        "no probabilities",
        "rows of others",
        "one more",
        "code",
    ],
)
def test_arrays_that_no_head_has_are_refused(saved, what):
    path = saved / "arrays.safetensors"
    arrays = load_file(path)
    save_file(wrong(arrays, what), path)
    with pytest.raises(ArtifactError, match="half copied"):
        FewShotClassifier.load(saved, device="cpu")
    signed(saved, path.name)
    with pytest.raises(ArtifactError, match=r"arrays\.safetensors does not hold"):
        FewShotClassifier.load(saved, device="cpu")


@pytest.mark.parametrize("name", ["0.weights", "1.intercepts", "2.mean", "0.idf.1", "out_of_fold"])
def test_an_array_that_is_missing_is_named(saved, name):
    arrays = load_file(saved / "arrays.safetensors")
    del arrays[name]
    save_file(arrays, saved / "arrays.safetensors")
    signed(saved, "arrays.safetensors")
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        FewShotClassifier.load(saved, device="cpu")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 64, b"\x00" * 8, (10**12).to_bytes(8, "little") + b"{}"])
def test_what_is_no_safetensors_is_refused(saved, content):
    (saved / "arrays.safetensors").write_bytes(content)
    signed(saved, "arrays.safetensors")
    with pytest.raises(ArtifactError, match=r"arrays\.safetensors does not hold"):
        FewShotClassifier.load(saved, device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        lambda terms: [terms[0][::-1], terms[1]],
        lambda terms: [[terms[0][0], *terms[0][:-1]], terms[1]],
        lambda terms: [terms[1], terms[0]],
        lambda terms: [terms[0][:-1], terms[1]],
        lambda terms: terms[:1],
        lambda terms: [*terms, []],
        lambda terms: [[*terms[0][:-1], 7], terms[1]],
        lambda terms: [[*terms[0][:-1], None], terms[1]],
        lambda terms: [[*terms[0][:-1], ["x"]], terms[1]],
        lambda terms: {"0": terms},
        lambda terms: "terms",
    ],
)
def test_terms_that_nobody_counted_are_refused(saved, change):
    path = saved / "terms.json"
    terms = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(change(terms)), encoding="utf-8")
    signed(saved, path.name)
    with pytest.raises(ArtifactError, match=r"terms\.json does not hold"):
        FewShotClassifier.load(saved, device="cpu")


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "\udcff", "[[1e999]]"])
def test_what_is_no_list_of_terms_is_refused(saved, text):
    (saved / "terms.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    signed(saved, "terms.json")
    with pytest.raises(ArtifactError, match=r"terms\.json does not hold"):
        FewShotClassifier.load(saved, device="cpu")


@pytest.mark.parametrize("name", ["terms.json", "arrays.safetensors", "decision.json", "support.jsonl"])
def test_a_file_that_is_missing_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(ArtifactError, match=f"has no {name}"):
        FewShotClassifier.load(saved, device="cpu")
    record = json.loads((saved / "fewshot.json").read_text(encoding="utf-8"))
    del record["files"][name]
    edit(saved, ("files",), record["files"])
    with pytest.raises(ArtifactError):
        FewShotClassifier.load(saved, device="cpu")


@pytest.mark.parametrize("name", ["terms.json", "arrays.safetensors"])
def test_a_file_that_the_record_does_not_name_is_not_read(saved, name):
    record = json.loads((saved / "fewshot.json").read_text(encoding="utf-8"))
    del record["files"][name]
    edit(saved, ("files",), record["files"])
    with pytest.raises(ArtifactError, match=f"names no {name}"):
        FewShotClassifier.load(saved, device="cpu")


@pytest.mark.parametrize("name", ["terms.json", "arrays.safetensors", "NOTICE", "template-2.jinja"])
def test_a_link_out_of_the_folder_is_not_read(saved, tmp_path, name):
    (tmp_path / "elsewhere").write_text("x")
    (saved / name).unlink(missing_ok=True)
    (saved / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match=f"{name} is a link"):
        FewShotClassifier.load(saved, device="cpu")


def test_arrays_of_another_folder_are_not_taken(make, saved, tmp_path):
    make("words").save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "arrays.safetensors", saved / "arrays.safetensors")
    with pytest.raises(ArtifactError, match="half copied"):
        FewShotClassifier.load(saved, device="cpu")
    signed(saved, "arrays.safetensors")
    with pytest.raises(ArtifactError, match="is missing"):
        FewShotClassifier.load(saved, device="cpu")


def test_pickles_beside_the_arrays_are_refused(saved):
    (saved / "arrays.pkl").write_bytes(b"")
    with pytest.raises(ArtifactError, match="pickled weights can run code"):
        FewShotClassifier.load(saved, device="cpu")


def test_adapters_that_are_not_there(make, tmp_path):
    make("in-context+lora+hidden-head").save(tmp_path / "saved")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / "saved" / name).unlink()
        record = json.loads((tmp_path / "saved" / "fewshot.json").read_text(encoding="utf-8"))
        edit(tmp_path / "saved", ("files",), {key: one for key, one in record["files"].items() if key != name})
    with pytest.raises(ArtifactError, match="names 1 adapters, and the folder holds 0"):
        FewShotClassifier.load(tmp_path / "saved", device="cpu")


def test_members_without_a_template(make, tmp_path):
    make("words+in-context").save(tmp_path / "saved")
    (tmp_path / "saved" / "template-2.jinja").unlink()
    record = json.loads((tmp_path / "saved" / "fewshot.json").read_text(encoding="utf-8"))
    edit(tmp_path / "saved", ("files",), {key: one for key, one in record["files"].items() if "template" not in key})
    with pytest.raises(ArtifactError, match=r"fewshot\.json"):
        FewShotClassifier.load(tmp_path / "saved", device="cpu")


def test_a_folder_of_the_last_version_is_read(tmp_path, llama):
    """It named neither the problem nor what it derives from."""
    before = FewShotClassifier(model=llama, shots=1).fit(TEXTS, LABELS)
    before.save(tmp_path / "saved")
    path = tmp_path / "saved" / "fewshot.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    for name in ("problem", "rung", "out_of_fold", "derived_from"):
        del record[name]
    path.write_text(json.dumps(record), encoding="utf-8")
    again = FewShotClassifier.load(tmp_path / "saved", model=llama)
    assert again.predictions(TEXTS) == before.predictions(TEXTS)
    assert again.problem_.language == before.problem_.language
    assert again.support_.fingerprint == before.support_.fingerprint
    assert again.task_.name == load_task("review-sentiment").name
