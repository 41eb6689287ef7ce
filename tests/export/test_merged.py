from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from fewshot_llm.export import write_merged
from fewshot_llm.models import load_model

IDS = torch.arange(5, 60)[None]


@pytest.mark.parametrize("shape", ["llama", "qwen2", "gemma3", "gpt2"])
@torch.no_grad()
def test_the_merged_folder_answers_as_base_with_adapter(shape, base_folder, make_adapter, tmp_path):
    targets = {"target_modules": ["c_attn"], "fan_in_fan_out": True} if shape == "gpt2" else {}
    tuned = load_model(str(base_folder(shape)), adapter=make_adapter(shape, use_rslora=True, **targets))
    truth = tuned.model(IDS).logits

    write_merged(tuned, tmp_path / "merged")

    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32).eval()
    assert (merged(IDS).logits - truth).abs().max() < 1e-4
    assert (tuned.model(IDS).logits - truth).abs().max() == 0
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "merged")("物流很快").input_ids
        == tuned.tokenizer("物流很快").input_ids
    )


def test_tied_embeddings_stay_tied(base_folder, make_adapter, tmp_path):
    tuned = load_model(str(base_folder("llama")), adapter=make_adapter())
    write_merged(tuned, tmp_path / "merged")
    with safe_open(tmp_path / "merged" / "model.safetensors", framework="pt") as file:
        assert "lm_head.weight" not in file.keys()  # noqa: SIM118
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["tie_word_embeddings"] is True


def test_a_quantised_base_leaves_no_trace_in_the_configuration(base_folder, make_adapter, tmp_path):
    tuned = load_model(str(base_folder("llama")), adapter=make_adapter())
    tuned.model.config.quantization_config = {"quant_method": "gguf"}
    write_merged(tuned, tmp_path / "merged")
    assert "quantization_config" not in json.loads((tmp_path / "merged" / "config.json").read_text())
    assert (tmp_path / "merged" / "generation_config.json").is_file()
