from __future__ import annotations

import dataclasses

import pytest

from fewshot_llm import FewShotClassifier
from fewshot_llm.artifacts import Artifact, save_artifact
from fewshot_llm.errors import AdapterError, ArtifactError
from fewshot_llm.ladder import Ladder, run_ladder
from fewshot_llm.ladder.rungs import Calibrated, InContext, Lora, ZeroShot
from fewshot_llm.predictors import Resources
from fewshot_llm.training import load_recipe


@pytest.fixture
def base(tiny_model_folder) -> str:
    return str(tiny_model_folder)


@pytest.fixture
def quick():
    recipe = load_recipe("small")
    return Ladder(target=1.0, recipe=recipe.model_copy(update={"epochs": 2, "adapters": 1}))


@pytest.fixture
def trained(tmp_path, base, reviews, quick):
    """An adapter folder, and answers of the classifier in memory."""
    untrained = FewShotClassifier(model=base, device="cpu", shots=0).fit(*reviews)
    climbed = run_ladder(Resources.of(untrained.predictor_.inference), dataclasses.replace(quick, rungs=(Lora(),)))
    artifact = Artifact(climbed.predictor, ("negative", "positive"), decision=climbed.decision)
    save_artifact(artifact, tmp_path / "adapter")
    return tmp_path / "adapter", climbed


def test_an_adapter_folder_is_a_classifier(trained, reviews):
    folder, climbed = trained
    loaded = FewShotClassifier.load(folder, device="cpu")
    queries = loaded._queries(reviews[0])
    assert loaded.predictor_.answer(queries).log_probabilities == pytest.approx(
        climbed.predictor.answer(queries).log_probabilities, abs=1e-4
    )
    assert loaded.calibrations_ == climbed.predictor.calibrations
    assert loaded.decision_.model_dump(mode="json") == climbed.decision.model_dump(mode="json")
    assert loaded.classes_.tolist() == ["negative", "positive"]


def test_rows_that_the_adapter_saw_do_not_calibrate_it(trained, base, reviews):
    folder, climbed = trained
    options = {"model": base, "device": "cpu", "adapter": folder}
    again = FewShotClassifier(**options, shots=0, seed=climbed.predictor.inference.builder.seed).fit(*reviews)
    assert again.calibrations_ == climbed.predictor.calibrations
    with pytest.raises(AdapterError, match="trained on these very rows"):
        FewShotClassifier(**options, shots=2).fit(*reviews)
    texts, labels = reviews
    others = FewShotClassifier(**options, shots=2).fit([f"另外：{text}" for text in texts], labels)
    assert others.calibrations_ != climbed.predictor.calibrations


def test_a_saved_classifier_takes_its_adapter_along(tmp_path, trained, base, reviews):
    folder, _ = trained
    texts, labels = reviews
    saved = FewShotClassifier(model=base, device="cpu", adapter=folder, shots=1).fit(
        [f"另外：{text}" for text in texts], labels
    )
    saved.save(tmp_path / "model")
    (folder / "adapter_model.safetensors").unlink()
    loaded = FewShotClassifier.load(tmp_path / "model", device="cpu")
    assert loaded.predict_proba(texts) == pytest.approx(saved.predict_proba(texts), abs=1e-5)


def test_another_base_model_is_refused(trained, llama):
    folder, _ = trained
    other = dataclasses.replace(llama, sha256="b" * 64)
    with pytest.raises(ArtifactError, match="allow"):
        FewShotClassifier.load(folder, model=other)
    assert FewShotClassifier.load(folder, model=other, allow_base_mismatch=True).predict(["好"]).shape == (1,)


def test_fit_climbs_the_ladder(tmp_path, llama, reviews, quick):
    quick = dataclasses.replace(quick, rungs=(ZeroShot(), InContext(), Calibrated(), Lora()))
    classifier = FewShotClassifier(model=llama, ladder=quick).fit(*reviews)
    assert classifier.decision_.rung in ("zero-shot", "in-context", "calibrated", "lora")
    assert classifier.decision_.reason
    assert classifier.predict_proba(["好", "坏"]).shape == (2, 2)
    classifier.save(tmp_path / "model")
    loaded = FewShotClassifier.load(tmp_path / "model", model=classifier.predictor_.inference.scorer)
    assert loaded.predict_proba(["好", "坏"]) == pytest.approx(classifier.predict_proba(["好", "坏"]), abs=1e-4)
    assert loaded.decision_.reason == classifier.decision_.reason
    assert not hasattr(classifier.set_params(ladder=None).fit(*reviews), "decision_")
