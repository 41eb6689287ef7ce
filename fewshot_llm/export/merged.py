"""Base and adapter as one plain Hugging Face folder that any server loads."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from fewshot_llm.models.language_model import LanguageModel

__all__ = ["merge", "write_merged"]


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
