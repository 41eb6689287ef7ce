"""GGUF files for llama.cpp and Ollama: a whole model with its tokenizer, or a LoRA alone.

A model's parts get the names and the order of rows that llama.cpp knows. Ollama gets a merged model and a `Modelfile`:
its own conversion of adapters knows llama and gemma2 only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from fewshot_llm.errors import ExportError, nearest
from fewshot_llm.export.adapter import BaseModel, LoraAdapter, merge, normalise
from fewshot_llm.export.servers import Storage
from fewshot_llm.files import atomic_write, atomic_write_text
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.types import Text

__all__ = [
    "MODEL",
    "Architecture",
    "write_gguf_lora",
    "write_gguf_model",
    "write_ollama",
]

Config = Mapping[str, Any]
Rows = TypeVar("Rows", bound=torch.Tensor)


@dataclass(frozen=True)
class Architecture:
    """One row of the table below.

    Attributes:
        name: llama.cpp's name.
        heads_interleaved: llama.cpp rotates neighbouring rows of q and k where transformers rotates halves, so the
            rows of each head are put in that order.
        norm_offset: added to every norm's weight (Gemma stores it less one).
    """

    name: str
    heads_interleaved: bool = False
    norm_offset: float = 0.0

    def tensor_name(self, path: str, layers: int) -> str:
        """llama.cpp's name of a transformers module, without the ending `.weight`.

        Raises:
            ExportError: llama.cpp has no such tensor in this architecture.
        """
        import gguf

        key = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == self.name)
        name: str | None = gguf.get_tensor_name_map(key, layers).get_name(path)
        if name is None:
            raise ExportError(f"llama.cpp has no tensor for {path} in its architecture {self.name}.")
        return name

    def rows(self, path: str, tensor: torch.Tensor, config: Config) -> torch.Tensor:
        """The tensor with its rows in llama.cpp's order; shape as given, [outputs, ...].

        Only `q_proj` and `k_proj` of interleaved architectures change. The permutation is that of
        `LlamaModel.permute` in llama.cpp's converter.
        """
        module = path.rpartition(".")[2]
        if not self.heads_interleaved or module not in ("q_proj", "k_proj"):
            return tensor
        heads = config["num_attention_heads"]
        if module == "k_proj":
            heads = config.get("num_key_value_heads") or heads
        half = tensor.shape[0] // heads // 2
        return tensor.reshape(heads, 2, half, *tensor.shape[1:]).swapaxes(1, 2).reshape(tensor.shape)


ARCHITECTURES: Mapping[str, Architecture] = {
    "LlamaForCausalLM": Architecture("llama", heads_interleaved=True),
    "MistralForCausalLM": Architecture("llama", heads_interleaved=True),
    "Qwen2ForCausalLM": Architecture("qwen2"),
    "Gemma3ForCausalLM": Architecture("gemma3", norm_offset=1.0),
}
"""By the transformers class in `config.json`. Each is compared with llama.cpp's converter, tensor by tensor."""


def _architecture_of(config: Config) -> Architecture:
    """The architecture of a base model.

    Raises:
        ExportError: a model that has no GGUF form here.
    """
    name = str((config.get("architectures") or ["?"])[0])
    if name not in ARCHITECTURES:
        raise ExportError(
            f"A {name} cannot be written as GGUF here. {nearest(name, ARCHITECTURES)} Export with `--to peft` or "
            "`--to merged` instead."
        )
    return ARCHITECTURES[name]


_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

_BY_PATTERN: Mapping[str, str] = {_QWEN2: "qwen2", _LLAMA3: "llama-bpe"}


def _pre_tokenizer_name(pre: Mapping[str, Any] | None) -> str:
    """llama.cpp's name of the rule that splits text before byte-pair merging.

    Args:
        pre: `pre_tokenizer` of a `tokenizer.json`.

    Raises:
        ExportError: a rule that is not known here; a wrong one would change token ids without a word.
    """
    steps = [pre] if pre and pre.get("type") != "Sequence" else (pre or {}).get("pretokenizers", [])
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and steps[0]["pattern"].get("Regex") in _BY_PATTERN:
        return _BY_PATTERN[steps[0]["pattern"]["Regex"]]
    raise ExportError(
        f"llama.cpp's name for this tokenizer's pre-tokenizer ({', '.join(kinds) or 'none'}) is not known here. "
        "Export with `--to gguf-lora` and serve it on the base model's own GGUF, or with `--to merged`."
    )


def _add_tokenizer(writer: Any, tokenizer: Any, vocabulary: int) -> None:
    """Add a fast tokenizer's tokens, merges and special ids to a `gguf.GGUFWriter`.

    Args:
        writer: the open file.
        tokenizer: a fast Hugging Face tokenizer with byte-pair merges (byte-level, or Gemma's with byte fallback).
        vocabulary: rows of the model's embedding; ids without a token are filled up.

    Raises:
        ExportError: a tokenizer of another kind.
    """
    import gguf

    raw = json.loads(tokenizer.backend_tokenizer.to_str())
    model = raw["model"]
    if model["type"] != "BPE":
        raise ExportError(
            f"A {model['type']} tokenizer cannot be written as GGUF here. Export with `--to gguf-lora` and serve it "
            "on the base model's own GGUF, or with `--to merged`."
        )
    byte_fallback = bool(model.get("byte_fallback"))
    words = {token_id: token for token, token_id in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens, types = [], []
    for token_id in range(vocabulary):
        token = words.get(token_id, f"[PAD{token_id}]")
        if token_id not in words:
            kind = gguf.TokenType.UNUSED
        elif token_id in added:
            special = added[token_id].special
            kind = gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED
            token = token if special else token.replace("▁", " ")
        elif byte_fallback and len(token) == 6 and token.startswith("<0x"):
            kind = gguf.TokenType.BYTE
        else:
            kind = gguf.TokenType.NORMAL
        tokens.append(token)
        types.append(kind)

    if byte_fallback:
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(_scores(types))
        writer.add_add_space_prefix(False)
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_pre_tokenizer_name(raw.get("pre_tokenizer")))
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
        writer.add_token_merges(merges)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    _add_special(writer, tokenizer)


def _scores(types: list[Any]) -> list[float]:
    """Scores that rank merges as sentencepiece does in a byte-pair model: the earlier the id, the better."""
    import gguf

    fixed = {gguf.TokenType.NORMAL: None, gguf.TokenType.BYTE: 0.0}
    first = next((i for i, kind in enumerate(types) if kind is gguf.TokenType.NORMAL), 0)
    return [
        float(first - i) if kind is gguf.TokenType.NORMAL else (fixed.get(kind, -1000.0) or 0.0)
        for i, kind in enumerate(types)
    ]


def _add_special(writer: Any, tokenizer: Any) -> None:
    bos, eos, pad, unk = (getattr(tokenizer, f"{name}_token_id", None) for name in ("bos", "eos", "pad", "unk"))
    for value, add in (
        (bos, writer.add_bos_token_id),
        (eos, writer.add_eos_token_id),
        (pad, writer.add_pad_token_id),
        (unk, writer.add_unk_token_id),
    ):
        if value is not None:
            add(value)
    writer.add_add_bos_token(bos is not None and tokenizer("a").input_ids[:1] == [bos])
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


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
    architecture = _architecture_of(config)
    tied = bool(config.get("tie_word_embeddings", True))
    with atomic_write(path) as temporary:
        writer = gguf.GGUFWriter(temporary, architecture.name)
        writer.add_type(gguf.GGUFType.MODEL)
        writer.add_file_type(getattr(gguf.LlamaFileType, _FILE_TYPES[storage]))
        _add_shape(writer, network.config, architecture)
        _add_tokenizer(writer, tokenizer, int(config["vocab_size"]))
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


def write_gguf_lora(adapter: LoraAdapter, base: BaseModel, path: Path) -> tuple[Text, ...]:
    """Write an adapter for llama.cpp, which multiplies by `adapter.lora.alpha` / rank and knows no other scale.

    The keys and tensors are those of llama.cpp's `convert_lora_to_gguf.py`; numbers are float32.

    Args:
        adapter: as peft trained it; it is normalised first (see `fewshot_llm.export.adapter`).
        base: the model it belongs to; only its configuration is read.
        path: the file to write.

    Returns:
        What normalising changed, one sentence each.

    Raises:
        ExportError: an architecture without a GGUF form, or an adapter that no LoRA file can express.
    """
    import gguf

    architecture = _architecture_of(base.config)
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


MODEL = "model.gguf"


def _modelfile(closing: str) -> str:
    r"""A `Modelfile` that passes the prompt through as it is and stops where an answer ends.

    >>> print(_modelfile(chr(10)))
    FROM ./model.gguf
    TEMPLATE "{{ .Prompt }}"
    PARAMETER temperature 0
    PARAMETER num_predict 32
    PARAMETER stop "\n"
    <BLANKLINE>
    """
    stop = closing.strip(" ").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") or "\\n"
    return (
        f'FROM ./{MODEL}\nTEMPLATE "{{{{ .Prompt }}}}"\nPARAMETER temperature 0\nPARAMETER num_predict 32\n'
        f'PARAMETER stop "{stop[:64]}"\n'
    )


def write_ollama(model: LanguageModel, folder: Path, closing: str, storage: Storage = Storage.F16) -> None:
    """Write `model.gguf` and `Modelfile`; then `ollama create NAME -f Modelfile`.

    Args:
        model: base with adapter.
        folder: is made where absent.
        closing: what the template writes after an answer.
        storage: number format of the matrices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_gguf_model(merge(model), model.tokenizer, folder / MODEL, storage)
    atomic_write_text(folder / "Modelfile", _modelfile(closing))
