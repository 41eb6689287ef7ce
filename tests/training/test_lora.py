from __future__ import annotations

import pytest
import torch

from fewshot_llm.errors import TuningError
from fewshot_llm.training import (
    Recipe,
    adapted,
    adapter_config,
    attach,
    average_adapters,
    label_table,
    read_weights,
    target_modules,
    train_adapter,
)


def test_all_linear_takes_the_layers_and_never_the_head(any_model):
    targets = target_modules(any_model.model, Recipe())
    assert "lm_head" not in targets
    assert len(targets) >= 3


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_the_head_and_the_embeddings_are_refused_with_a_reason(llama, target):
    with pytest.raises(TuningError, match="tied to the input embeddings"):
        target_modules(llama.model, Recipe(targets=(target,)))


def test_a_module_that_the_model_lacks_is_named_with_those_it_has(llama):
    with pytest.raises(TuningError, match=r"c_attn.*q_proj"):
        target_modules(llama.model, Recipe(targets=("q_proj", "c_attn")))


def test_more_top_layers_than_the_model_has_are_refused(llama):
    with pytest.raises(TuningError, match="2 layers"):
        adapter_config(llama, Recipe(layers="top:9"))


def test_top_layers_alone_are_adapted(llama):
    peft_model = attach(llama, adapter_config(llama, Recipe(layers="top:1")), seed=0)
    assert all(".layers.1." in name for name in read_weights(peft_model))


def test_an_adapter_does_not_touch_the_model_it_was_put_on(any_model, encoded, targets, recipe):
    rows = encoded(any_model)
    before = label_table(any_model, rows, 512)
    trained = train_adapter(any_model, lambda epoch: rows, targets, recipe)
    tuned = adapted(any_model, trained.adapter)
    assert abs(label_table(tuned, rows, 512) - before).max() > 1e-2
    assert abs(label_table(any_model, rows, 512) - before).max() == 0
    assert not any("lora" in name for name, _ in any_model.model.named_modules())
    # The weights are in memory once.
    assert tuned.model.get_input_embeddings().weight is any_model.model.get_input_embeddings().weight
    with pytest.raises(TuningError, match="carries an adapter already"):
        attach(tuned, trained.adapter.config, seed=0)


def test_the_average_of_adapters_is_the_mean_of_their_updates(llama, encoded, targets, recipe):
    rows = encoded(llama)
    trained = [train_adapter(llama, lambda epoch: rows, targets, recipe, seed=seed).adapter for seed in (0, 1, 2)]
    average = average_adapters(trained)
    assert average.config["r"] == 3 * recipe.rank
    for name in (name for name in average.weights if ".lora_A" in name):
        b = name.replace("lora_A", "lora_B")
        mean = torch.stack([a.weights[b] @ a.weights[name] for a in trained]).mean(0) * 8 / 4
        scale = average.config["lora_alpha"] / average.config["r"]
        torch.testing.assert_close(average.weights[b] @ average.weights[name] * scale, mean)
    label_table(adapted(llama, average), rows, 512)


def test_adapters_of_different_settings_are_not_averaged(llama, encoded, targets, recipe):
    rows = encoded(llama)
    one = train_adapter(llama, lambda epoch: rows, targets, recipe).adapter
    other = train_adapter(llama, lambda epoch: rows, targets, recipe.model_copy(update={"rank": 2})).adapter
    with pytest.raises(TuningError, match="same settings"):
        average_adapters([one, other])
    with pytest.raises(TuningError, match="No adapters"):
        average_adapters([])
