from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from fewshot_llm import FewShotClassifier
from fewshot_llm.artifacts import Artifact, check_task, folder as store, read_record, save_artifact
from fewshot_llm.data import Example, load_task
from fewshot_llm.errors import ArtifactError
from fewshot_llm.ladder import Ladder, run_ladder
from fewshot_llm.ladder.rungs import Lora
from fewshot_llm.models import load_model
from fewshot_llm.predictors import Inference, Resources, make_builder
from fewshot_llm.scoring import TreeScorer


@pytest.fixture(scope="module")
def climbed(tiny_model_folder):
    from fewshot_llm.data import SupportSet
    from fewshot_llm.training import Recipe

    good, bad = ["great", "fast", "will buy again"], ["broken", "late", "never again"]
    support = SupportSet.from_lists(good + bad, ["positive"] * 3 + ["negative"] * 3)
    scorer = TreeScorer(load_model(str(tiny_model_folder), device="cpu"), 256)
    builder = make_builder(load_task("review-sentiment"), "en", scorer)
    recipe = Recipe(name="tiny", rank=2, learning_rate=2e-2, epochs=2, folds=2)
    resources = Resources.of(Inference(builder, scorer, support))
    return run_ladder(resources, Ladder(recipe=recipe, rungs=(Lora(),)))


def artifact(climbed):
    return Artifact(climbed.predictor, ("negative", "positive"), decision=climbed.decision)


@pytest.fixture
def folder(climbed, tmp_path):
    path = tmp_path / "adapter"
    save_artifact(artifact(climbed), path)
    return path


def test_the_folder_gives_back_record_and_scores(climbed, folder, tiny_model_folder):
    record = read_record(folder)
    assert record.task.labels == ("positive", "negative")
    assert record.calibrations[0].calibration == climbed.predictor.calibrations[0]
    assert record.training.losses == climbed.predictor.tuned.fitted.losses
    assert store.read_decision(folder).rung == "lora"
    loaded = load_model(str(tiny_model_folder), adapter=folder, device="cpu")
    inference = climbed.predictor.inference
    prompts = inference.prompts([Example.of("great box"), Example.of("很差")])
    again = [row.log_probs for row in TreeScorer(loaded, 256).log_probs(prompts)]
    np.testing.assert_allclose(again, [row.log_probs for row in inference.scorer.log_probs(prompts)], atol=1e-5)


def test_peft_reads_it_without_this_toolkit(folder, tiny_model_folder):
    from peft import AutoPeftModelForCausalLM

    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == str(tiny_model_folder)
    AutoPeftModelForCausalLM.from_pretrained(str(folder))


def test_the_card_says_what_it_is_in_both_languages(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nbase_model:")
    assert "library_name: peft" in card
    assert "6 labelled rows" in card
    assert "6 条标注样例" in card


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_half_copied_folder_is_refused(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ArtifactError, match="half copied"):
        read_record(folder)
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"has no {name}"):
        read_record(folder)


def test_pickled_weights_are_refused(folder):
    shutil.move(folder / "adapter_model.safetensors", folder / "adapter_model.bin")
    with pytest.raises(ArtifactError, match="pickled weights can run code"):
        read_record(folder)


@pytest.mark.parametrize("text", ["{", "{}", '{"format": 3}', "\ufffd"])
def test_a_damaged_record_is_refused(folder, text):
    (folder / "fewshot.json").write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match="damaged or of another version"):
        read_record(folder)


def test_a_folder_without_record_is_refused(folder, tmp_path):
    (folder / "fewshot.json").unlink()
    with pytest.raises(ArtifactError, match=r"no fewshot\.json"):
        read_record(folder)
    with pytest.raises(ArtifactError, match="There is no folder"):
        read_record(tmp_path / "absent")


def test_another_base_is_refused_unless_allowed(folder, llama):
    other = replace(llama, sha256="0" * 64)
    with pytest.raises(ArtifactError, match="--allow-base-mismatch"):
        FewShotClassifier.load(folder, model=other)
    assert FewShotClassifier.load(folder, model=other, allow_base_mismatch=True).predict(["x"]).shape == (1,)


def test_another_task_is_refused(folder):
    record = read_record(folder)
    check_task(record, load_task("review-sentiment"))
    with pytest.raises(ArtifactError, match="customer-intent"):
        check_task(record, load_task("customer-intent"))
    with pytest.raises(ArtifactError, match="neutral"):
        check_task(record, load_task("review-sentiment").with_optional("neutral"))


def test_a_full_disk_leaves_nothing(climbed, tmp_path, monkeypatch):
    def full(path, obj):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(store, "atomic_write_json", full)
    with pytest.raises(OSError, match="No space left"):
        save_artifact(artifact(climbed), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
