"""An adapter whose weights are counted up, so that any exchange of rows shows, and no random generator is needed."""

from __future__ import annotations

from pathlib import Path

import torch

from fewshot_llm.export import LoraAdapter, LoraPair, read_base, write_adapter
from tests.conftest import tiny_model

MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def counted_adapter(shape: str, folder: Path) -> tuple[Path, Path]:
    """Write a tiny base model and a rank-1 adapter on all its linear modules; returns (adapter, base)."""
    base, adapter = folder / "base", folder / "adapter"
    tiny = tiny_model(shape)
    tiny.model.save_pretrained(base)
    tiny.tokenizer.save_pretrained(base)
    pairs = {
        path: LoraPair(
            torch.arange(inputs, dtype=torch.float32)[None], torch.arange(outputs, dtype=torch.float32)[:, None]
        )
        for path, (outputs, inputs) in read_base(base).modules.items()
        if path.rpartition(".")[2] in MODULES
    }
    config = {"peft_type": "LORA", "r": 1, "lora_alpha": 3, "target_modules": list(MODULES)}
    write_adapter(LoraAdapter(config, pairs), adapter)
    return adapter, base
