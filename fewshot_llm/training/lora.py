"""LoRA around a base model: where it may sit, putting it on, taking it off, averaging several."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fewshot_llm.errors import TuningError
from fewshot_llm.models.device import quiet_transformers
from fewshot_llm.models.load import LanguageModel, attach_adapter
from fewshot_llm.scoring.head import causal_network
from fewshot_llm.training.recipe import Recipe

__all__ = [
    "Adapter",
    "adapted",
    "adapted_by_folder",
    "adapter_config",
    "attach",
    "average_adapters",
    "read_weights",
    "target_modules",
]


@dataclass(frozen=True)
class Adapter:
    """Trained LoRA weights, not attached to any model.

    Attributes:
        config: peft's `LoraConfig` as plain values (what `adapter_config.json` holds).
        weights: peft's names to float32 tensors on the CPU (what `adapter_model.safetensors` holds).
    """

    config: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the weights, by name; names them in memory, where no file has been written."""
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            digest.update(name.encode() + self.weights[name].numpy().tobytes())
        return digest.hexdigest()

    def put_on(self, language_model: LanguageModel) -> LanguageModel:
        """See `adapted`."""
        return adapted(language_model, self)


def _linear_kinds() -> tuple[type[torch.nn.Module], ...]:
    from transformers.pytorch_utils import Conv1D

    return (torch.nn.Linear, Conv1D)


def target_modules(network: Any, recipe: Recipe) -> tuple[str, ...]:
    """The last names of the linear modules that get an update.

    Args:
        network: a `transformers` causal model without an adapter.
        recipe: its `targets` are names, or "all-linear".

    Raises:
        TuningError: a target is the output head or an embedding, or the model has no module of that name.
    """
    head, embedding = network.get_output_embeddings(), network.get_input_embeddings()
    modules = dict(network.named_modules())
    tied = head is not None and head.weight is embedding.weight
    forbidden = {name.rsplit(".", 1)[-1] for name, module in modules.items() if module in (head, embedding)}
    kinds = _linear_kinds()
    known = {name.rsplit(".", 1)[-1] for name, module in modules.items() if isinstance(module, kinds)} - forbidden
    if recipe.targets == "all-linear":
        return tuple(sorted(known))
    for target in recipe.targets:
        if target in forbidden:
            reason = "is tied to the input embeddings" if tied else "is as large as the vocabulary"
            raise TuningError(
                f"Recipe {recipe.name!r} asks for LoRA on {target!r}, which {reason}: an update there would change "
                "every word the model knows for a handful of rows, and a server could not load it as an adapter. "
                f'Choose from {", ".join(sorted(known))}, or write targets = "all-linear".'
            )
        if target not in known:
            raise TuningError(
                f"Recipe {recipe.name!r} asks for LoRA on {target!r}, which {type(network).__name__} does not have. "
                f'It has {", ".join(sorted(known))}; or write targets = "all-linear".'
            )
    return tuple(recipe.targets)


def adapter_config(language_model: LanguageModel, recipe: Recipe) -> dict[str, Any]:
    """Peft's `LoraConfig` for a model and a recipe, as plain values.

    Raises:
        TuningError: of `target_modules`, or `top:N` with more layers than the model has.
    """
    from transformers.pytorch_utils import Conv1D

    network = causal_network(language_model.model)
    targets = target_modules(network, recipe)
    layers = network.config.get_text_config().num_hidden_layers
    if recipe.top_layers is not None and recipe.top_layers > layers:
        raise TuningError(
            f"Recipe {recipe.name!r} adapts {recipe.layers!r}, but {language_model.name} has {layers} layers."
        )
    transposed = any(isinstance(m, Conv1D) for name, m in network.named_modules() if name.endswith(targets))
    top = recipe.top_layers
    return {
        "task_type": "CAUSAL_LM",
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "target_modules": sorted(targets),
        "layers_to_transform": None if top is None else list(range(layers - top, layers)),
        "fan_in_fan_out": transposed,
    }


def _shared_copy(network: Any) -> Any:
    """The same network with the same weights in memory, whose modules may be changed without changing the first's.

    Peft changes modules in place; a model that other classifiers hold must not grow an adapter under their hands.
    """
    tensors = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


def attach(language_model: LanguageModel, config: Mapping[str, Any], seed: int) -> Any:
    """A fresh adapter around a `_shared_copy` of the model's network; A is random from `seed`, B is zero.

    Returns:
        The `peft.PeftModel`.

    Raises:
        TuningError: the model carries an adapter already.
    """
    from peft import LoraConfig, get_peft_model

    if hasattr(language_model.model, "peft_config"):
        raise TuningError(f"{language_model.name} carries an adapter already. Load the base model without one.")
    # peft asks transformers for an attribute that it is about to rename; its user can do nothing about that.
    with torch.random.fork_rng(), quiet_transformers():
        torch.manual_seed(seed)
        return get_peft_model(_shared_copy(language_model.model), LoraConfig(**config)).eval()


def read_weights(peft_model: Any) -> dict[str, torch.Tensor]:
    """A copy of the adapter's weights, float32 on the CPU."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(peft_model, save_embedding_layers=False)
    return {name: weight.detach().to("cpu", torch.float32, copy=True).contiguous() for name, weight in state.items()}


def adapted(language_model: LanguageModel, adapter: Adapter) -> LanguageModel:
    """The model with an adapter on; the given one is unchanged, and both share the base's weights.

    Args:
        language_model: without an adapter.
        adapter: trained on this base.
    """
    from peft import set_peft_model_state_dict

    peft_model = attach(language_model, adapter.config, seed=0)
    set_peft_model_state_dict(peft_model, dict(adapter.weights))
    return replace(language_model, model=peft_model, adapter=adapter.fingerprint, adapter_source=adapter)


def adapted_by_folder(language_model: LanguageModel, folder: Path) -> LanguageModel:
    """The model with the adapter of a folder on; the given one is unchanged, and both share the base's weights.

    Raises:
        AdapterError: the adapter is damaged or belongs to another base.
        TuningError: the model carries an adapter already.
    """
    if hasattr(language_model.model, "peft_config"):
        raise TuningError(f"{language_model.name} carries an adapter already. Load the base model without one.")
    with quiet_transformers():
        network, sha256 = attach_adapter(_shared_copy(language_model.model), folder)
    return replace(language_model, model=network, adapter=sha256, adapter_source=folder.absolute())


def average_adapters(adapters: Sequence[Adapter]) -> Adapter:
    """One adapter whose update is exactly the mean of the given ones' updates.

    Averaging A and B apart is not the average of B·A. Stacking is: (1/m) Σ B_i·A_i = [B_1/m … B_m/m]·[A_1; …; A_m],
    one adapter of rank m·r.

    Raises:
        TuningError: none given, or adapters of different settings.
    """
    if not adapters:
        raise TuningError("No adapters were given to average.")
    if any(adapter.config != adapters[0].config for adapter in adapters):
        raise TuningError("Only adapters with the same settings can be averaged.")
    count = len(adapters)
    if count == 1:
        return adapters[0]
    weights = {}
    for name in adapters[0].weights:
        parts = [adapter.weights[name] for adapter in adapters]
        if ".lora_B" in name:
            weights[name] = torch.cat([part / count for part in parts], dim=1).contiguous()
        else:
            weights[name] = torch.cat(parts, dim=0).contiguous()
    config = dict(adapters[0].config)
    return Adapter({**config, "r": config["r"] * count, "lora_alpha": config["lora_alpha"] * count}, weights)
