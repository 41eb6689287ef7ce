"""A whole model as one GGUF file for llama.cpp and Ollama."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fewshot_llm.errors import ExportError
from fewshot_llm.export.gguf_arch import Architecture, Config, architecture_of
from fewshot_llm.export.gguf_tokenizer import add_tokenizer
from fewshot_llm.export.names import Storage
from fewshot_llm.files import atomic_write

__all__ = ["write_gguf_model"]


def write_gguf_model(network: Any, tokenizer: Any, path: Path, storage: Storage = Storage.F32) -> None:
    """Write a causal model.

    Args:
        network: a `transformers` model of one of `ARCHITECTURES`.
        tokenizer: its fast tokenizer.
        path: the file to write.
        storage: number format of the matrices.

    Raises:
        ExportError: an architecture or a tokenizer that has no GGUF form here.
    """
    import gguf

    config = network.config.to_dict() | {"architectures": [type(network).__name__]}
    architecture = architecture_of(config)
    tied = bool(config.get("tie_word_embeddings", True))
    with atomic_write(path) as temporary:
        writer = gguf.GGUFWriter(temporary, architecture.name)
        writer.add_type(gguf.GGUFType.MODEL)
        writer.add_file_type(getattr(gguf.LlamaFileType, _FILE_TYPES[storage]))
        _add_shape(writer, network.config, architecture)
        add_tokenizer(writer, tokenizer, int(config["vocab_size"]))
        for name, tensor in network.state_dict().items():
            if name == "lm_head.weight" and tied:
                continue
            _add_tensor(writer, architecture, config, name, tensor, storage)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


_FILE_TYPES: Mapping[Storage, str] = {
    Storage.F32: "ALL_F32",
    Storage.F16: "MOSTLY_F16",
    Storage.Q8_0: "MOSTLY_Q8_0",
}


def _add_shape(writer: Any, config: Any, architecture: Architecture) -> None:
    heads = config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
    rope = config.rope_parameters
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_rope_dimension_count(head_size)
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if architecture.name == "gemma3":
        writer.add_sliding_window(config.sliding_window)
        writer.add_uint32(f"{architecture.name}.attention.sliding_window_pattern", _period(config.layer_types))
        writer.add_float32(f"{architecture.name}.rope.freq_base_swa", rope["sliding_attention"]["rope_theta"])


def _period(layer_types: Sequence[str]) -> int:
    """The n of "every n-th layer attends to everything, the others to a window"; llama.cpp knows no other order."""
    full = [at for at, kind in enumerate(layer_types) if kind == "full_attention"]
    period = full[0] + 1 if full else len(layer_types) + 1
    if any((at % period == period - 1) != (at in full) for at in range(len(layer_types))):
        raise ExportError(
            "The model's layers with full attention do not stand at equal distances, which llama.cpp cannot express. "
            "Export with `--to merged` instead."
        )
    return period


def _add_tensor(
    writer: Any, architecture: Architecture, config: Config, name: str, tensor: torch.Tensor, storage: Storage
) -> None:
    import gguf

    module, _, kind = name.rpartition(".")
    data = architecture.rows(module, tensor.detach().float(), config)
    if module.endswith("norm"):
        data = data + architecture.norm_offset
    array = data.contiguous().cpu().numpy()
    served = f"{architecture.tensor_name(module, int(config['num_hidden_layers']))}.{kind}"
    if array.ndim == 1 or storage is Storage.F32:
        writer.add_tensor(served, array)
        return
    form = gguf.GGMLQuantizationType[storage.upper()]
    writer.add_tensor(served, gguf.quants.quantize(array, form), raw_dtype=form)
