"""One file from which a training goes on: safetensors, so that reading it runs no code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fewshot_llm.errors import TuningError
from fewshot_llm.files import atomic_write
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.tuning.recipe import Recipe

__all__ = ["Checkpoint", "read_checkpoint", "run_key", "write_checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands.

    Attributes:
        losses: training loss of each finished epoch, nats per row.
        tensors: adapter weights and the optimiser's moments.
    """

    losses: tuple[float, ...]
    tensors: Mapping[str, torch.Tensor]


def run_key(
    config: Mapping[str, Any], recipe: Recipe, seed: int, rows: Sequence[Encoded], targets: Sequence[int]
) -> str:
    """Names a training by all that goes into it; a checkpoint of another one is not continued."""
    encoded = [[row.context, row.answers] for row in rows]
    material = json.dumps([dict(config), recipe.model_dump(), seed, encoded, list(targets)], sort_keys=True)
    return hashlib.sha256(material.encode()).hexdigest()


def write_checkpoint(path: Path, checkpoint: Checkpoint, key: str) -> None:
    """Write the file under a temporary name, then rename it: a killed run leaves the previous one."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    with atomic_write(path) as partial:
        save_file(tensors, partial, metadata={"key": key, "losses": json.dumps(checkpoint.losses)})


def read_checkpoint(path: Path, key: str) -> Checkpoint | None:
    """What `write_checkpoint` wrote; None where there is no file, or it belongs to another training.

    Raises:
        TuningError: the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("key") != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            return Checkpoint(tuple(json.loads(about["losses"])), tensors)
    except (SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise TuningError(f"The checkpoint {path} is damaged ({error}). Delete it to start again.") from None
