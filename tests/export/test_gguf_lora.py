from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from fewshot_llm.errors import ExportError
from fewshot_llm.export import read_adapter, read_base, write_gguf_lora
from tests.export.counted import counted_adapter

OFFICIAL = Path(__file__).parent / "official"
"""Written by llama.cpp's converter; see eval/certify/official_lora.py."""


@pytest.mark.parametrize("shape", ["llama", "qwen2", "gemma3"])
def test_equals_the_official_converter_tensor_by_tensor(shape, tmp_path):
    adapter, base = counted_adapter(shape, tmp_path)
    write_gguf_lora(read_adapter(adapter), read_base(base), tmp_path / "ours.gguf")

    ours, theirs = GGUFReader(tmp_path / "ours.gguf"), GGUFReader(OFFICIAL / f"{shape}.gguf")

    mine = {tensor.name: tensor.data for tensor in ours.tensors}
    official = {tensor.name: tensor.data for tensor in theirs.tensors}
    assert mine.keys() == official.keys()
    assert all(np.array_equal(mine[name], official[name]) for name in mine)
    for key in ("general.architecture", "general.type", "adapter.type", "adapter.lora.alpha"):
        assert ours.fields[key].contents() == theirs.fields[key].contents()


def test_scale_is_folded_because_llama_cpp_knows_alpha_over_rank_only(base, make_adapter, tmp_path):
    adapter = read_adapter(make_adapter(use_rslora=True, r=3, lora_alpha=5))
    mended = write_gguf_lora(adapter, base, tmp_path / "lora.gguf")

    file = GGUFReader(tmp_path / "lora.gguf")
    tensors = {tensor.name: tensor.data for tensor in file.tensors}
    a, b = tensors["blk.0.attn_v.weight.lora_a"], tensors["blk.0.attn_v.weight.lora_b"]
    served = file.fields["adapter.lora.alpha"].contents() / b.shape[1] * b @ a
    pair = adapter.pairs["model.layers.0.self_attn.v_proj"]
    assert np.allclose(served, 5 / 3**0.5 * (pair.b @ pair.a).numpy(), atol=1e-5)
    assert mended


def test_gpt2_has_no_gguf_form(base_folder, make_adapter, tmp_path):
    adapter = read_adapter(make_adapter("gpt2", target_modules=["c_attn"], fan_in_fan_out=True))
    with pytest.raises(ExportError, match="GPT2LMHeadModel"):
        write_gguf_lora(adapter, read_base(base_folder("gpt2")), tmp_path / "lora.gguf")
    assert not (tmp_path / "lora.gguf").exists()
