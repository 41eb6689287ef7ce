"""A LoRA as a GGUF file for `llama-server --lora`."""

from __future__ import annotations

from pathlib import Path

from fewshot_llm.export.adapter import LoraAdapter
from fewshot_llm.export.base import BaseModel
from fewshot_llm.export.gguf_arch import architecture_of
from fewshot_llm.export.peft import normalise
from fewshot_llm.files import atomic_write

__all__ = ["write_gguf_lora"]


def write_gguf_lora(adapter: LoraAdapter, base: BaseModel, path: Path) -> tuple[str, ...]:
    """Write an adapter for llama.cpp, which multiplies by `adapter.lora.alpha` / rank and knows no other scale.

    The keys and tensors are those of llama.cpp's `convert_lora_to_gguf.py`; numbers are float32.

    Args:
        adapter: as peft trained it; it is normalised first (see `fewshot_llm.export.peft`).
        base: the model it belongs to; only its configuration is read.
        path: the file to write.

    Returns:
        What normalising changed, one sentence each.

    Raises:
        ExportError: an architecture without a GGUF form, or an adapter that no LoRA file can express.
    """
    import gguf

    architecture = architecture_of(base.config)
    done = normalise(adapter, base)
    layers = int(base.config["num_hidden_layers"])
    with atomic_write(path) as temporary:
        writer = gguf.GGUFWriter(temporary, architecture.name)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(done.adapter.config["lora_alpha"]))
        for module, pair in done.adapter.pairs.items():
            name = f"{architecture.tensor_name(module, layers)}.weight"
            rows = architecture.rows(module, pair.b.float(), base.config)
            writer.add_tensor(f"{name}.lora_a", pair.a.float().contiguous().numpy())
            writer.add_tensor(f"{name}.lora_b", rows.contiguous().numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return done.mended
