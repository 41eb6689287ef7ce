"""A peft adapter that vLLM and SGLang load as it is: normalised, without a change of what it computes.

Servers compute the scale of an update differently (some ignore rsLoRA and patterns), accept certain ranks
only, and some drop a module type that any layer lacks. So the true scale is folded into `lora_B`, ranks are
padded with zeros to one allowed value, and layers that were left out get an update of zero.

Base and adapter as one plain Hugging Face folder that any server loads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fewshot_llm.errors import ExportError, nearest
from fewshot_llm.export.adapter import CONFIG_NAME, WEIGHTS_NAME, BaseModel, LoraAdapter, LoraPair
from fewshot_llm.files import atomic_write, atomic_write_text
from fewshot_llm.models.load import LanguageModel

__all__ = [
    "REWRITING_INITS",
    "SERVED_RANKS",
    "Normalised",
    "merge",
    "normalise",
    "served_rank",
    "write_adapter",
    "write_merged",
]

SERVED_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""vLLM's values of `--max-lora-rank` (`vllm/config/lora.py`)."""

REWRITING_INITS = ("pissa", "olora", "corda", "loftq")
"""Initialisations that change the base weights too (peft's `init_lora_weights`)."""

_PLAIN_FIELDS: Mapping[str, Any] = {
    "use_rslora": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "layers_to_transform": None,
    "layers_pattern": None,
    "exclude_modules": None,
    "bias": "none",
    "init_lora_weights": True,
    "inference_mode": True,
}


@dataclass(frozen=True)
class Normalised:
    """A normalised adapter and what was done to it.

    Attributes:
        adapter: computes what the given one computed, up to float32 rounding.
        mended: one sentence per change; empty when there was nothing to mend.
    """

    adapter: LoraAdapter
    mended: tuple[str, ...]


def served_rank(rank: int) -> int:
    """The smallest rank that servers allow and that is at least `rank`.

    >>> served_rank(24)
    32
    """
    for allowed in SERVED_RANKS:
        if rank <= allowed:
            return allowed
    raise ExportError(
        f"The adapter has rank {rank}; vLLM serves at most {SERVED_RANKS[-1]}. Train with a smaller `r`, or "
        "export with `--to merged`."
    )


def normalise(adapter: LoraAdapter, base: BaseModel) -> Normalised:
    """Rewrite an adapter so that every server computes the same update from it.

    Args:
        adapter: as peft trained it.
        base: the model it belongs to.

    Raises:
        ExportError: the adapter holds what no rewriting of its two factors can express (DoRA, an output head, whole
            modules, biases), or does not fit the base model.
    """
    refuse_what_cannot_be_folded(adapter, base)
    mended: list[str] = []
    rank = served_rank(max(pair.rank for pair in adapter.pairs.values()))
    scales = {path: adapter.scaling(path) for path in adapter.pairs}
    alpha, factors = _common_alpha(scales, rank)
    pairs = {path: _padded(_scaled(pair, factors[path]), rank) for path, pair in adapter.pairs.items()}
    ranks = {pair.rank for pair in adapter.pairs.values()}
    if set(factors.values()) != {1.0}:
        mended.append(
            f"folded the scale ({_span(scales.values())}) into lora_B and set r = lora_alpha = {rank}, "
            "because servers would compute another one"
        )
    elif alpha != adapter.config["lora_alpha"] or adapter.config.get("use_rslora"):
        mended.append(f"wrote the scale {next(iter(scales.values())):g} as lora_alpha = {alpha} over r = {rank}")
    if ranks != {rank}:
        mended.append(f"padded rank {', '.join(map(str, sorted(ranks)))} with zeros to {rank}")

    missing = [
        path for path in base.modules if path.rpartition(".")[2] in adapter.suffixes and path not in adapter.pairs
    ]
    sample = next(iter(pairs.values()))
    for path in missing:
        outputs, inputs = base.modules[path]
        pairs[path] = LoraPair(
            torch.zeros(rank, inputs, dtype=sample.a.dtype), torch.zeros(outputs, rank, dtype=sample.b.dtype)
        )
    if missing:
        mended.append(f"added {len(missing)} updates of zero for layers that were left out, the first {missing[0]}")

    config = dict(adapter.config)
    config.update({key: value for key, value in _PLAIN_FIELDS.items() if key in config})
    config.update(r=rank, lora_alpha=alpha, target_modules=list(adapter.suffixes))
    return Normalised(replace(adapter, config=config, pairs=dict(sorted(pairs.items()))), tuple(mended))


def refuse_what_cannot_be_folded(adapter: LoraAdapter, base: BaseModel) -> None:
    """Raise an `ExportError` that names the first thing servers reject and that cannot be rewritten."""
    config = adapter.config
    if config.get("use_dora"):
        raise ExportError(
            "The adapter uses DoRA, which vLLM, SGLang and llama.cpp reject. Export with `--to merged`, or "
            "train with `use_dora = false`."
        )
    heads = [path for path in adapter.pairs if path.rpartition(".")[2] in ("lm_head", "embed_tokens")]
    if heads or config.get("modules_to_save") or config.get("trainable_token_indices") or adapter.extra:
        named = [*heads, *(config.get("modules_to_save") or ()), *adapter.extra]
        raise ExportError(
            f"The adapter changes {named[0] if named else 'token embeddings'}, which servers reject or drop "
            "without a word. Train without the output head, embeddings and `modules_to_save`, or export "
            "with `--to merged`."
        )
    if str(config.get("init_lora_weights", True)).lower().partition("_")[0] in REWRITING_INITS:
        raise ExportError(
            f"The adapter was initialised with {config['init_lora_weights']}, which rewrites the base "
            "weights: on the published base it computes something else. Save it again with peft's "
            "`save_pretrained(folder, path_initial_model_for_weight_conversion=...)`, or export with `--to "
            "merged`."
        )
    if config.get("lora_bias") or config.get("bias", "none") != "none":
        raise ExportError(
            "The adapter trains biases, which vLLM, SGLang and llama.cpp do not load. Train with bias = "
            "'none', or export with `--to merged`."
        )
    if not adapter.pairs:
        raise ExportError("The adapter holds no lora_A and lora_B at all. Train it again.")
    for path, pair in adapter.pairs.items():
        shape = (int(pair.b.shape[0]), int(pair.a.shape[1]))
        if path not in base.modules:
            raise ExportError(
                f"The adapter changes {path}, which {base.folder} ({base.architecture}) lacks: it belongs "
                f"to another base model. {nearest(path, base.modules)}"
            )
        if base.modules[path] != shape:
            raise ExportError(
                f"The adapter's {path} is {shape[0]} x {shape[1]}, the base model's {base.modules[path][0]} "
                f"x {base.modules[path][1]}: it belongs to another base model than {base.folder}."
            )


def write_adapter(adapter: LoraAdapter, folder: Path) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors` with the keys that every server reads."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for path, pair in adapter.pairs.items():
        tensors[f"base_model.model.{path}.lora_A.weight"] = pair.a.contiguous()
        tensors[f"base_model.model.{path}.lora_B.weight"] = pair.b.contiguous()
    with atomic_write(folder / WEIGHTS_NAME) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    text = json.dumps(dict(adapter.config), indent=2, ensure_ascii=False, sort_keys=True)
    atomic_write_text(folder / CONFIG_NAME, text + "\n")


def _common_alpha(scales: Mapping[str, float], rank: int) -> tuple[int, Mapping[str, float]]:
    """The `lora_alpha` to write and the factor of each `lora_B`, so that alpha / rank is the true scale.

    Where one integer alpha says it all, the weights stay bit for bit. Otherwise alpha = rank makes the scale 1.
    """
    alphas = {scale * rank for scale in scales.values()}
    if len(alphas) == 1 and (alpha := alphas.pop()).is_integer():
        return int(alpha), dict.fromkeys(scales, 1.0)
    return rank, scales


def _scaled(pair: LoraPair, factor: float) -> LoraPair:
    """The pair with `b` multiplied; in float32, because a half-precision `b` would be rounded once more."""
    return pair if factor == 1.0 else LoraPair(pair.a.float(), pair.b.float() * factor)


def _padded(pair: LoraPair, rank: int) -> LoraPair:
    """The same product at a larger rank: zero rows in `a`, zero columns in `b`."""
    extra = rank - pair.rank
    pad = torch.nn.functional.pad
    return LoraPair(pad(pair.a, (0, 0, 0, extra)), pad(pair.b, (0, extra)))


def _span(values: Any) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def merge(language_model: LanguageModel) -> Any:
    """The network with its adapter's update added to the base weights; the given model stays as it is.

    A network that was read from a GGUF file or another quantised form carries a `quantization_config`, which would
    be written beside weights that are not quantised any more. So the result is built from the configuration without
    it, and the weights are copied. Tied embeddings stay tied.

    Args:
        language_model: with a LoRA adapter, or without (then this is a plain copy).

    Returns:
        A `transformers` causal model in evaluation mode.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    network = language_model.model
    if isinstance(network, PeftModel):
        network = deepcopy(network).merge_and_unload()
    config = deepcopy(network.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(config, dtype=language_model.dtype)
    plain = plain.to_empty(device=language_model.device)
    plain.load_state_dict(network.state_dict())
    # Buffers that are computed (rotary frequencies) are in no state dict.
    for (_, target), (_, source) in zip(plain.named_buffers(), network.named_buffers(), strict=True):
        target.copy_(source)
    plain.tie_weights()
    plain.generation_config = deepcopy(network.generation_config)
    return plain.eval()


def write_merged(language_model: LanguageModel, folder: Path) -> None:
    """Write weights (safetensors), configuration, generation configuration and tokenizer.

    Args:
        language_model: base with adapter.
        folder: is made where absent.
    """
    merge(language_model).save_pretrained(folder)
    language_model.tokenizer.save_pretrained(folder)
