"""What llama.cpp calls a model's parts: architectures, tensor names, and the order of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from fewshot_llm.errors import ExportError, nearest

__all__ = ["ARCHITECTURES", "Architecture", "architecture_of"]

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


def architecture_of(config: Config) -> Architecture:
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
