from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from fewshot_llm.errors import AdapterError
from fewshot_llm.escalation import Escalation
from fewshot_llm.estimators.assemble import make_builder
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.ladder import force_lora
from fewshot_llm.models.load import load_model
from fewshot_llm.scoring.cached import TreeScorer
from fewshot_llm.support import Example
from fewshot_llm.task import load_task
from fewshot_llm.tuning import store
from fewshot_llm.tuning.tune import adapter_record


@pytest.fixture(scope="module")
def climbed(tiny_model_folder):
    from fewshot_llm.support import SupportSet
    from fewshot_llm.tuning.recipe import Recipe

    good, bad = ["great", "fast", "will buy again"], ["broken", "late", "never again"]
    support = SupportSet.from_lists(good + bad, ["positive"] * 3 + ["negative"] * 3)
    scorer = TreeScorer(load_model(str(tiny_model_folder), device="cpu"), 256)
    builder = make_builder(load_task("review-sentiment"), "en", scorer)
    recipe = Recipe(name="tiny", rank=2, learning_rate=2e-2, epochs=2, folds=2)
    return force_lora(Inference(builder, scorer, support), Escalation(recipe=recipe))


@pytest.fixture
def folder(climbed, tmp_path):
    path = tmp_path / "adapter"
    store.save_adapter_folder(
        path, climbed.tuned.fitted.adapter, adapter_record(climbed), climbed.answerer.inference.support
    )
    return path


def test_the_folder_gives_back_record_and_scores(climbed, folder, tiny_model_folder):
    record = store.read_adapter_folder(folder)
    assert record.task.labels == ("positive", "negative")
    assert record.calibrated == climbed.answerer.calibrations[0]
    assert record.losses == climbed.tuned.fitted.losses
    assert record.decision["rung"] == "lora"
    loaded = load_model(str(tiny_model_folder), adapter=folder, device="cpu")
    store.check_base(record, loaded)
    inference = climbed.answerer.inference
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
    with pytest.raises(AdapterError, match="half copied"):
        store.read_adapter_folder(folder)
    (folder / name).unlink()
    with pytest.raises(AdapterError, match=f"has no {name}"):
        store.read_adapter_folder(folder)


def test_pickled_weights_are_refused(folder):
    shutil.move(folder / "adapter_model.safetensors", folder / "adapter_model.bin")
    with pytest.raises(AdapterError, match="pickled weights can run code"):
        store.read_adapter_folder(folder)


@pytest.mark.parametrize("text", ["{", "{}", '{"format": 2}', "\ufffd"])
def test_a_damaged_record_is_refused(folder, text):
    (folder / "fewshot.json").write_text(text, encoding="utf-8")
    with pytest.raises(AdapterError, match="damaged or of another version"):
        store.read_adapter_folder(folder)


def test_a_folder_without_record_is_refused(folder, tmp_path):
    (folder / "fewshot.json").unlink()
    with pytest.raises(AdapterError, match=r"no fewshot\.json"):
        store.read_adapter_folder(folder)
    with pytest.raises(AdapterError, match="no adapter folder"):
        store.read_adapter_folder(tmp_path / "absent")


def test_another_base_is_refused_unless_allowed(folder, llama):
    record = store.read_adapter_folder(folder)
    other = replace(llama, sha256="0" * 64)
    with pytest.raises(AdapterError, match="--allow-base-mismatch"):
        store.check_base(record, other)
    store.check_base(record, other, allow_mismatch=True)


def test_another_task_is_refused(folder):
    record = store.read_adapter_folder(folder)
    store.check_task(record, load_task("review-sentiment"))
    with pytest.raises(AdapterError, match="customer-intent"):
        store.check_task(record, load_task("customer-intent"))
    with pytest.raises(AdapterError, match="neutral"):
        store.check_task(record, load_task("review-sentiment").with_optional("neutral"))


def test_a_full_disk_leaves_nothing(climbed, tmp_path, monkeypatch):
    def full(path, obj):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(store, "atomic_write_json", full)
    with pytest.raises(OSError, match="No space left"):
        store.save_adapter_folder(
            tmp_path / "a", climbed.tuned.fitted.adapter, adapter_record(climbed), climbed.answerer.inference.support
        )
    assert list(tmp_path.iterdir()) == []
