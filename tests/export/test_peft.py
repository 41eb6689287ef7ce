from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from fewshot_llm.errors import AdapterError, ExportError
from fewshot_llm.export import (
    SERVED_RANKS,
    BaseModel,
    LoraAdapter,
    LoraPair,
    normalise,
    read_adapter,
    read_base,
    served_rank,
    write_adapter,
)

ODD_ADAPTERS: dict[str, dict[str, Any]] = {
    "plain": {"r": 8, "lora_alpha": 16},
    "rslora": {"use_rslora": True},
    "rank pattern": {"rank_pattern": {"q_proj": 2, r"layers\.1\.self_attn\.v_proj": 6}},
    "alpha pattern": {"alpha_pattern": {"k_proj": 3, "^model.layers.0.self_attn.q_proj": 5}},
    "both patterns and rslora": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 7}, "use_rslora": True},
    "one layer left out": {"layers_to_transform": [1]},
    "rank 24": {"r": 24, "lora_alpha": 24},
    "alpha that is no integer": {"lora_alpha": 4.5},
    "regular expression for targets": {"target_modules": r".*\.0\.mlp\.(up|down)_proj"},
    "all linear modules": {"target_modules": "all-linear"},
}


def logits(base: Path, adapter: Path) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().eval()
    with torch.no_grad():
        return model(torch.arange(5, 60)[None]).logits[0]


def plain_scale_logits(base: Path, adapter: Path) -> torch.Tensor:
    """What a server computes that knows `lora_alpha / r` and nothing else."""
    read = read_adapter(adapter)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    with torch.no_grad():
        for path, pair in read.pairs.items():
            update = read.config["lora_alpha"] / read.config["r"] * (pair.b @ pair.a)
            weight = model.get_submodule(path).weight
            weight += update.T if weight.shape != update.shape else update
        return model(torch.arange(5, 60)[None]).logits[0]


@pytest.mark.parametrize("kind", ODD_ADAPTERS)
@pytest.mark.parametrize("shape", ["llama", "qwen2", "gemma3"])
def test_normalised_adapter_computes_the_same_on_the_simplest_server(kind, shape, base_folder, make_adapter, tmp_path):
    base = read_base(base_folder(shape))
    folder = make_adapter(shape, **ODD_ADAPTERS[kind])
    truth = logits(base.folder, folder)

    done = normalise(read_adapter(folder), base)
    write_adapter(done.adapter, tmp_path / "out")

    assert (logits(base.folder, tmp_path / "out") - truth).abs().max() < 1e-4
    assert (plain_scale_logits(base.folder, tmp_path / "out") - truth).abs().max() < 1e-4
    config = read_adapter(tmp_path / "out").config
    assert config["r"] in SERVED_RANKS
    assert isinstance(config["lora_alpha"], int)
    assert isinstance(config["target_modules"], list)
    assert not config["use_rslora"]


def test_nothing_is_mended_on_a_plain_adapter_and_its_weights_stay_bit_for_bit(base, make_adapter, tmp_path):
    folder = make_adapter(r=8, lora_alpha=16)
    done = normalise(read_adapter(folder), base)
    write_adapter(done.adapter, tmp_path / "out")
    before, after = (
        load_file(folder / "adapter_model.safetensors"),
        load_file(tmp_path / "out/adapter_model.safetensors"),
    )
    assert done.mended == ()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_normalising_twice_changes_nothing_more(base, make_adapter):
    once = normalise(read_adapter(make_adapter(use_rslora=True, rank_pattern={"q_proj": 2})), base)
    twice = normalise(once.adapter, base)
    assert once.mended
    assert twice.mended == ()


def test_wide_conv1d_modules_of_gpt2(base_folder, make_adapter, tmp_path):
    base = read_base(base_folder("gpt2"))
    folder = make_adapter("gpt2", target_modules=["c_attn"], fan_in_fan_out=True, use_rslora=True)
    write_adapter(normalise(read_adapter(folder), base).adapter, tmp_path / "out")
    assert (logits(base.folder, tmp_path / "out") - logits(base.folder, folder)).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"target_modules": ["q_proj", "lm_head"]}, "lm_head"),
        ({"modules_to_save": ["norm"]}, "norm"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "lora_only"}, "biases"),
        ({"trainable_token_indices": [5, 6]}, "embed"),
        ({"r": 600}, "rank 600"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*(tie_word_embeddings|tied|save_embedding_layers)")
def test_what_no_folding_can_express_is_refused_and_named(fields, named, base, make_adapter):
    with pytest.raises(ExportError, match=named):
        normalise(read_adapter(make_adapter(**fields)), base)


def test_adapter_of_another_base_is_refused(base_folder, make_adapter):
    with pytest.raises(ExportError, match="another base model"):
        normalise(read_adapter(make_adapter("gemma3")), read_base(base_folder("llama")))


def test_initialisation_that_rewrites_the_base_is_refused(base, make_adapter):
    read = read_adapter(make_adapter())
    pissa = LoraAdapter({**read.config, "init_lora_weights": "pissa_niter_16"}, read.pairs)
    with pytest.raises(ExportError, match="pissa_niter_16"):
        normalise(pissa, base)


def test_pickled_weights_are_refused(make_adapter):
    folder = make_adapter()
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(AdapterError, match="pickle"):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("adapter_model.safetensors", b"\x00\x01", "damaged"),
        ("adapter_config.json", b"{", "JSON"),
        ("adapter_config.json", b'{"peft_type": "IA3"}', "IA3"),
    ],
)
def test_damaged_files_are_named(name, content, message, make_adapter):
    folder = make_adapter()
    (folder / name).write_bytes(content)
    with pytest.raises(AdapterError, match=message):
        read_adapter(folder)


@settings(deadline=None, max_examples=50)
@given(
    rank=st.integers(1, 40),
    alpha=st.floats(0.01, 300) | st.integers(1, 300),
    rslora=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_update_matrix_survives_any_rank_alpha_and_flag(rank, alpha, rslora, seed):
    generator = torch.Generator().manual_seed(seed)
    pair = LoraPair(torch.randn(rank, 12, generator=generator), torch.randn(10, rank, generator=generator))
    config = {"r": rank, "lora_alpha": alpha, "use_rslora": rslora, "target_modules": ["q"]}
    adapter = LoraAdapter(config, {"layers.0.q": pair})
    base = BaseModel("base", Path(), "", "", {"vocab_size": 9}, {"layers.0.q": (10, 12), "layers.1.q": (10, 12)})

    served = normalise(adapter, base).adapter

    scale = served.config["lora_alpha"] / served.config["r"]
    update = adapter.scaling("layers.0.q") * pair.b @ pair.a
    assert torch.allclose(
        scale * served.pairs["layers.0.q"].b @ served.pairs["layers.0.q"].a, update, rtol=1e-4, atol=1e-4
    )
    assert not (served.pairs["layers.1.q"].b @ served.pairs["layers.1.q"].a).any()
    assert {p.rank for p in served.pairs.values()} == {served_rank(rank)}
