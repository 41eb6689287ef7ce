"""A Hugging Face tokenizer as the keys of a GGUF file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fewshot_llm.errors import ExportError

__all__ = ["add_tokenizer", "pre_tokenizer_name"]

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

_BY_PATTERN: Mapping[str, str] = {_QWEN2: "qwen2", _LLAMA3: "llama-bpe"}


def pre_tokenizer_name(pre: Mapping[str, Any] | None) -> str:
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


def add_tokenizer(writer: Any, tokenizer: Any, vocabulary: int) -> None:
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
        writer.add_tokenizer_pre(pre_tokenizer_name(raw.get("pre_tokenizer")))
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
