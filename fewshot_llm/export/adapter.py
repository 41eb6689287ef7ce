"""`LoraAdapter`: a peft adapter folder as data, with no model built; `BaseModel`: what an export knows of its base."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import regex
import torch

from fewshot_llm.errors import AdapterError, ModelError
from fewshot_llm.models.locate import locate_model
from fewshot_llm.models.trust import ModelName

__all__ = [
    "CONFIG_NAME",
    "WEIGHTS_NAME",
    "BaseModel",
    "LoraAdapter",
    "LoraPair",
    "Values",
    "read_adapter",
    "read_base",
    "read_config",
    "tensor_values",
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
