"""`BaseModel`: what an export has to know of the base model, read from its folder without its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot_llm.errors import ModelError
from fewshot_llm.models.locate import locate_model
from fewshot_llm.models.trust import ModelName

__all__ = ["BaseModel", "read_base"]


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
