"""Adapter folders: read as data with no model built, normalised, merged, and written.

Servers compute the scale of an update differently (some ignore rsLoRA and patterns), accept certain ranks
only, and some drop a module type that any layer lacks. So the true scale is folded into `lora_B`, ranks are
padded with zeros to one allowed value, and layers that were left out get an update of zero: vLLM and SGLang load the
result as it is, and it computes the same.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import regex
import torch

from fewshot_llm.errors import AdapterError, ExportError, ModelError, nearest
from fewshot_llm.export import words as w
from fewshot_llm.files import atomic_write, atomic_write_text
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.models.locate import locate_model
from fewshot_llm.models.trust import ModelName
from fewshot_llm.types import Text, listed

__all__ = [
    "REWRITING_INITS",
    "SERVED_RANKS",
    "WEIGHTS_NAME",
    "BaseModel",
    "LoraAdapter",
    "LoraPair",
    "Normalised",
    "Values",
    "merge",
    "normalise",
    "read_adapter",
    "read_base",
    "read_config",
    "served_rank",
    "tensor_values",
    "write_adapter",
    "write_merged",
]


CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"

SECONDS_OF_A_PATTERN = 0.5

_KEY = re.compile(r"(?:base_model\.model\.)?(?P<path>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")


@dataclass(frozen=True)
class LoraPair:
    """The two factors of one module's update, which is `scaling * b @ a`.

    Attributes:
        a: `lora_A`, shape [rank, inputs].
        b: `lora_B`, shape [outputs, rank].
    """

    a: torch.Tensor
    b: torch.Tensor

    @property
    def rank(self) -> int:
        """The inner size."""
        return int(self.a.shape[0])


@dataclass(frozen=True)
class LoraAdapter:
    """A trained LoRA.

    Attributes:
        config: the parsed `adapter_config.json`.
        pairs: factors by module path inside the base model, for example `model.layers.0.self_attn.q_proj`.
        extra: names of tensors that are no `lora_A` or `lora_B` of a linear module.
    """

    config: Mapping[str, Any]
    pairs: Mapping[str, LoraPair]
    extra: tuple[str, ...] = ()

    def scaling(self, path: str) -> float:
        """What peft multiplies `b @ a` by: alpha / rank, or alpha / sqrt(rank) with rsLoRA; patterns win.

        The rank is the one written in the configuration, as in peft, not the one of the tensors.
        Rank-stabilised scaling: Kalajdzievski, 2023, arXiv:2312.03732.
        """
        alpha = float(_by_pattern(self.config.get("alpha_pattern"), path, self.config["lora_alpha"]))
        rank = int(_by_pattern(self.config.get("rank_pattern"), path, self.config["r"]))
        return alpha / (math.sqrt(rank) if self.config.get("use_rslora") else rank)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The last name of every adapted module: `q_proj`, `v_proj`; sorted."""
        return tuple(sorted({path.rpartition(".")[2] for path in self.pairs}))


def _by_pattern(pattern: Mapping[str, Any] | None, path: str, default: Any) -> Any:
    """The value of the first key that matches the path as peft matches it: at its end, after a dot."""
    for key, value in (pattern or {}).items():
        # peft's `get_pattern_key`; a key may be a regular expression, and may start with `^`. A stranger's is timed.
        try:
            if regex.match(rf"(.*\.)?({key})$", path, timeout=SECONDS_OF_A_PATTERN) is not None:
                return value
        except (regex.error, TimeoutError, RecursionError) as error:
            raise AdapterError(
                f"{CONFIG_NAME} has the pattern {key[:80]!r}, which cannot be matched with module names "
                f"({type(error).__name__} {error}). Write the module's name instead."
            ) from None
    return default


def read_adapter(folder: Path) -> LoraAdapter:
    """Read a peft adapter folder.

    Args:
        folder: holds `adapter_config.json` and `adapter_model.safetensors`.

    Returns:
        The adapter, its tensors on the CPU in the number format they were saved in.

    Raises:
        AdapterError: a file is missing or damaged, the adapter is no LoRA, or its weights are a pickle.
    """
    config = read_config(folder)
    tensors = _read_tensors(folder)
    halves: dict[str, dict[str, torch.Tensor]] = {}
    extra = []
    for name, tensor in tensors.items():
        match = _KEY.fullmatch(name)
        if match is None:
            extra.append(name)
        else:
            halves.setdefault(match["path"], {})[match["side"]] = tensor
    single = sorted(path for path, sides in halves.items() if len(sides) != 2)
    if single:
        raise AdapterError(
            f"{folder / WEIGHTS_NAME} is damaged: {single[0]} (and {len(single) - 1} more) has only one of "
            "lora_A and lora_B. Save the adapter again with `save_pretrained`."
        )
    pairs = {path: LoraPair(sides["A"], sides["B"]) for path, sides in sorted(halves.items())}
    return LoraAdapter(config=config, pairs=pairs, extra=tuple(sorted(extra)))


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed `adapter_config.json` of a LoRA; an `AdapterError` where it is missing or something else."""
    path = folder / CONFIG_NAME
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AdapterError(
            f"{folder} is no adapter folder: it has no {CONFIG_NAME}. Give the folder that training wrote."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterError(f"{path} cannot be read as JSON ({error}). Save the adapter again.") from None
    if not isinstance(config, dict):
        raise AdapterError(f"{path} holds a JSON {type(config).__name__}, not an object. Save the adapter again.")
    if str(config.get("peft_type", "")).upper() != "LORA":
        raise AdapterError(
            f"{folder} holds a {config.get('peft_type')} adapter; only LoRA adapters can be exported. "
            "Train with one of the recipes in adapters/recipes."
        )
    return config


def _read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / WEIGHTS_NAME
    if not path.is_file():
        pickles = sorted(file.name for suffix in ("*.bin", "*.pt", "*.pth", "*.pkl") for file in folder.glob(suffix))
        if pickles:
            raise AdapterError(
                f"{folder} holds {pickles[0]}, a pickle, which can run code when it is opened. Only "
                f"{WEIGHTS_NAME} is read: save the adapter again with `save_pretrained(folder, "
                "safe_serialization=True)`."
            )
        raise AdapterError(f"{folder} has no {WEIGHTS_NAME}. Give the folder that training wrote.")
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise AdapterError(f"{path} is damaged ({error}). Copy or save the adapter again.") from None
    return tensors


@dataclass(frozen=True)
class Values:
    """What the linter asks of a tensor.

    Attributes:
        shape: its shape.
        finite: whether it holds neither NaN nor infinity.
        largest: the largest magnitude among its finite numbers; 0 where all are zero or there are none.
    """

    shape: tuple[int, ...]
    finite: bool
    largest: float


def tensor_values(folder: Path) -> dict[str, Values]:
    """Shape and range of every tensor by name; one tensor is in memory at a time.

    Raises:
        AdapterError: the file is empty, cut off or no safetensors file, or a factor has no two sides.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / WEIGHTS_NAME
    found = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                found[name] = _values(file.get_tensor(name))
    except (SafetensorError, OSError, ValueError) as error:
        size = f"it has {path.stat().st_size:,} bytes; " if path.is_file() else ""
        raise AdapterError(f"{path} is damaged ({size}{error}). Copy or save the adapter again.") from None
    for name, values in found.items():
        if _KEY.fullmatch(name) and len(values.shape) < 2:
            raise AdapterError(
                f"{path} is damaged: {name} has the shape {list(values.shape)}, and a factor has two sides. "
                "Copy or save the adapter again."
            )
    return found


def _values(tensor: torch.Tensor) -> Values:
    numbers = tensor.detach().double() if tensor.dtype is torch.float64 else tensor.detach().float()
    finite = torch.isfinite(numbers)
    largest = torch.where(finite, numbers, torch.zeros_like(numbers)).abs().max() if numbers.numel() else 0.0
    return Values(tuple(tensor.shape), bool(finite.all()), float(largest))


@dataclass(frozen=True)
class BaseModel:
    """A base model's files and shape.

    Attributes:
        name: what the user calls it: an embedded model, a folder or a hub id.
        folder: the Hugging Face folder with its `config.json`.
        revision: hub commit or the registry's pinned version; empty for a plain folder.
        sha256: of the weights file (of the sorted list of hashes where there are several).
        config: the parsed `config.json`.
        modules: every linear module's path and (outputs, inputs).
        reference: the name as it was typed or recorded.
    """

    name: str
    folder: Path
    revision: str
    sha256: str
    config: Mapping[str, Any]
    modules: Mapping[str, tuple[int, int]]
    reference: ModelName = ""

    @property
    def source(self) -> ModelName:
        """What its weights are loaded by: the name as it was typed or recorded, else its folder."""
        return self.reference or str(self.folder)

    @property
    def architecture(self) -> str:
        """The class that loads it, for example `LlamaForCausalLM`."""
        return str((self.config.get("architectures") or [self.config.get("model_type", "")])[0])

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding."""
        return int(self.config.get("vocab_size", 0))


def read_base(reference: ModelName | Path) -> BaseModel:
    """Find a base model and read its shape; its weights are hashed, not loaded.

    Args:
        reference: an embedded model's name, a folder or a hub id, as for `load_model`.

    Raises:
        ModelError: no such model, or its `config.json` describes no causal language model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    reference = str(reference) if isinstance(reference, Path) else reference
    located = locate_model(reference)
    path = located.folder / "config.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        config = AutoConfig.from_pretrained(located.folder, local_files_only=True, trust_remote_code=False)
        # The shapes are wanted, not the storage: with a quantisation the linear modules would be of other
        # classes.
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, OSError) as error:
        raise ModelError(f"{path} describes no causal language model ({error}). Give another base model.") from None
    modules: dict[str, tuple[int, int]] = {}
    for path_in_network, module in network.named_modules():
        if isinstance(module, torch.nn.Linear):
            modules[path_in_network] = (module.out_features, module.in_features)
        elif isinstance(module, Conv1D):
            modules[path_in_network] = (int(module.weight.shape[1]), int(module.weight.shape[0]))
    return BaseModel(located.name, located.folder, located.revision, located.sha256, raw, modules, reference)


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
    mended: tuple[Text, ...]


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
    mended: list[Text] = []
    rank = served_rank(max(pair.rank for pair in adapter.pairs.values()))
    scales = {path: adapter.scaling(path) for path in adapter.pairs}
    alpha, factors = _common_alpha(scales, rank)
    pairs = {path: _padded(_scaled(pair, factors[path]), rank) for path, pair in adapter.pairs.items()}
    ranks = {pair.rank for pair in adapter.pairs.values()}
    if set(factors.values()) != {1.0}:
        mended.append(w.FOLDED_SCALE.fill(scale=_span(scales.values()), rank=rank))
    elif alpha != adapter.config["lora_alpha"] or adapter.config.get("use_rslora"):
        mended.append(w.WROTE_SCALE.fill(scale=next(iter(scales.values())), alpha=alpha, rank=rank))
    if ranks != {rank}:
        mended.append(w.PADDED_RANK.fill(ranks=listed(map(str, sorted(ranks))), rank=rank))

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
        mended.append(w.ADDED_LAYERS.fill(n=len(missing), first=missing[0]))

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
