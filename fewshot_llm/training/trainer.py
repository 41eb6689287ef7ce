"""Train one LoRA adapter on encoded rows.

A training goes on from one file (`Checkpoint`): safetensors, so that reading it runs no code.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from fewshot_llm.errors import TuningError
from fewshot_llm.files import atomic_write
from fewshot_llm.models.device import agreed, join
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.head import causal_network
from fewshot_llm.training.forward import (
    PackLoss,
    TrainingRows,
    check_attention,
    frozen_hidden,
    labels_loss,
    ordinal_loss,
    split_rows,
)
from fewshot_llm.training.lora import Adapter, adapter_config, attach, read_weights
from fewshot_llm.training.recipe import Recipe

__all__ = [
    "Checkpoint",
    "EpochReport",
    "RowSource",
    "Training",
    "train_adapter",
]


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands.

    Attributes:
        losses: training loss of each finished epoch, nats per row.
        tensors: adapter weights and the optimiser's moments.
    """

    losses: tuple[float, ...]
    tensors: Mapping[str, torch.Tensor]


def _run_key(
    config: Mapping[str, Any], recipe: Recipe, seed: int, rows: Sequence[Encoded], targets: Sequence[int]
) -> str:
    """Names a training by all that goes into it; a checkpoint of another one is not continued."""
    encoded = [[row.context, row.answers] for row in rows]
    material = json.dumps([dict(config), recipe.model_dump(), seed, encoded, list(targets)], sort_keys=True)
    return hashlib.sha256(material.encode()).hexdigest()


def _write_checkpoint(path: Path, checkpoint: Checkpoint, key: str) -> None:
    """Write the file under a temporary name, then rename it: a killed run leaves the previous one."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    with atomic_write(path) as partial:
        save_file(tensors, partial, metadata={"key": key, "losses": json.dumps(checkpoint.losses)})


def _read_checkpoint(path: Path, key: str) -> Checkpoint | None:
    """What `_write_checkpoint` wrote; None where there is no file, or it belongs to another training.

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


RowSource: TypeAlias = Callable[[int], Sequence[Encoded]]
"""The training rows of an epoch (from 0): always the same ones, or with new demonstrations each time."""


@dataclass(frozen=True)
class EpochReport:
    """What one epoch did.

    Attributes:
        epoch: from 1.
        epochs: planned in all.
        loss: mean over the rows, nats, as the weights moved.
        seconds: this epoch took.
        seconds_left: expected for the rest of this training.
    """

    epoch: int
    epochs: int
    loss: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes:
        adapter: its weights after the last finished epoch.
        losses: training loss per epoch, nats per row.
        seconds: wall time.
        interrupted: it was stopped by Ctrl-C after `len(losses)` epochs.
    """

    adapter: Adapter
    losses: tuple[float, ...]
    seconds: float
    interrupted: bool = False


@dataclass
class _Data:
    """The packs of an epoch's rows and what the frozen layers give for it; rebuilt when the rows change."""

    network: Any
    recipe: Recipe
    targets: Sequence[int]
    cut: int
    device: torch.device
    rows: Sequence[Encoded] | None = None
    packs: TrainingRows = field(init=False)
    lower: torch.Tensor | None = None

    def show(self, rows: Sequence[Encoded]) -> None:
        """Take these rows for the next epoch."""
        if rows is self.rows:
            return
        if len(rows) != len(self.targets):
            raise TuningError(f"{len(rows)} rows were given with {len(self.targets)} labels; give one label per row.")
        self.rows = rows
        if self.recipe.loss == "tokens":
            rows = [Encoded(r.context, (r.answers[t],)) for r, t in zip(rows, self.targets, strict=True)]
        self.packs = TrainingRows.of(rows)
        if self.cut:
            self.lower = frozen_hidden(self.network, self.packs, self.cut, self.recipe.pack_tokens)


def _learning_rate(step: int, steps: int, recipe: Recipe) -> float:
    """Linear warm-up, then linear decay to zero at `steps`."""
    warmup = max(1, round(steps * recipe.warmup))
    return recipe.learning_rate * min((step + 1) / warmup, (steps - step) / max(1, steps - warmup + 1), 1.0)


def train_adapter(
    language_model: LanguageModel,
    rows: RowSource,
    targets: Sequence[int],
    recipe: Recipe,
    *,
    seed: int = 0,
    stop_after: int | None = None,
    on_epoch: Callable[[EpochReport, LanguageModel], None] | None = None,
    checkpoint: Path | None = None,
) -> Training:
    """Train LoRA weights; the base model is left as it was.

    On one device or, under `accelerate launch`, on several; bfloat16 autocast on a GPU, float32 elsewhere. A
    step's rows are split into packs of at most `recipe.pack_tokens` tokens whose gradients are added up, so a
    long batch needs no more memory than a short one.

    Args:
        language_model: without an adapter.
        rows: the encoded rows of an epoch.
        targets: position of each row's true label among its answers.
        recipe: LoRA settings.
        seed: of the initial weights, the order of the rows and dropout.
        stop_after: epochs to run of the `recipe.epochs` that the learning rate is planned for.
        on_epoch: told after each epoch; the model it is given carries the weights of that moment.
        checkpoint: a file written after each epoch; where it exists and fits, training goes on from it.

    Returns:
        The adapter. After Ctrl-C, that of the last finished epoch.

    Raises:
        TuningError: rows and labels that do not fit, a loss that is not finite, half precision on a CPU.
        KeyboardInterrupt: Ctrl-C before the first epoch was finished.
    """
    from accelerate import Accelerator

    device = language_model.device
    if device.type == "cpu" and language_model.dtype != torch.float32:
        raise TuningError(
            f"Training on a CPU needs float32, but {language_model.name} was loaded as {language_model.dtype}. "
            'Load it with dtype="float32".'
        )
    started = time.perf_counter()
    join(device)
    accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if device.type == "cuda" else "no")
    network = causal_network(language_model.model)
    check_attention(network)
    config = adapter_config(language_model, recipe)
    cut = network.config.get_text_config().num_hidden_layers - recipe.top_layers if recipe.top_layers else 0
    peft_model = attach(language_model, config, seed)
    data = _Data(causal_network(peft_model), recipe, targets, cut, device)
    trainable = {name: p for name, p in peft_model.named_parameters() if p.requires_grad}
    optimiser = torch.optim.AdamW(
        trainable.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    module: Any = PackLoss(peft_model, cut, ordinal_loss if recipe.loss == "ordinal" else labels_loss)
    if accelerator.num_processes > 1:
        module = accelerator.prepare(module)
    steps_per_epoch = math.ceil(len(targets) / recipe.batch_rows)
    loop = _Loop(accelerator, module, optimiser, data, trainable, recipe, seed, steps_per_epoch)
    tuned = replace(language_model, model=peft_model, adapter=f"training-{seed}")
    losses: list[float] = []
    key = "" if checkpoint is None else _run_key(config, recipe, seed, rows(0), targets)
    # The other machines of a cluster may not see the file.
    if checkpoint is not None and (saved := agreed(_read_checkpoint(checkpoint, key), device)) is not None:
        loop.restore(saved)
        losses.extend(saved.losses)
    kept = Adapter(config, read_weights(peft_model))
    interrupted = False
    last = min(stop_after or recipe.epochs, recipe.epochs)
    try:
        for epoch in range(len(losses), last):
            before = time.perf_counter()
            data.show(rows(epoch))
            loss = loop.run_epoch(epoch)
            kept = Adapter(config, read_weights(peft_model))
            losses.append(loss)
            if checkpoint is not None and accelerator.is_main_process:
                _write_checkpoint(checkpoint, loop.state(losses), key)
            took = time.perf_counter() - before
            if on_epoch is not None:
                peft_model.eval()
                on_epoch(EpochReport(epoch + 1, last, loss, took, took * (last - epoch - 1)), tuned)
    except KeyboardInterrupt:
        if not losses:
            raise
        interrupted = True
    return Training(kept, tuple(losses), time.perf_counter() - started, interrupted)


@dataclass
class _Loop:
    """The moving parts of one training."""

    accelerator: Any
    module: Any
    optimiser: torch.optim.Optimizer
    data: _Data
    trainable: dict[str, torch.nn.Parameter]
    recipe: Recipe
    seed: int
    steps_per_epoch: int

    def run_epoch(self, epoch: int) -> float:
        """One pass over the rows in an order of its own; the mean loss per row."""
        # Only LoRA's own dropout is switched on: the base model stays what it is when it serves.
        self.module.eval()
        for name, part in self.module.named_modules():
            if "lora_dropout" in name:
                part.train()
        rank = self.accelerator.process_index
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.data.targets))
        total = 0.0
        # Dropout is seeded per epoch, so that a resumed training draws what an unbroken one would have drawn.
        with torch.random.fork_rng():
            torch.manual_seed(((self.seed * 1009 + epoch) * 1009 + rank) % 2**63)
            for number in range(self.steps_per_epoch):
                batch = order[number * self.recipe.batch_rows : (number + 1) * self.recipe.batch_rows]
                total += self._step(epoch * self.steps_per_epoch + number, batch.tolist())
        return total / len(order)

    def _step(self, step: int, batch: list[int]) -> float:
        steps = self.steps_per_epoch * self.recipe.epochs
        rate = _learning_rate(step, steps, self.recipe)
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        # Every process must take part in the gradient's sum; one without rows takes a row of no weight.
        own, weight = (batch[rank::world], 1.0) if rank < len(batch) else (batch[:1], 0.0)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        data, total = self.data, torch.zeros((), device=self.data.device)
        groups = split_rows(data.packs, own, self.recipe.pack_tokens)
        for index, rows in enumerate(groups):
            pack = data.packs.pack(rows).to(data.device)
            targets = torch.tensor([data.targets[row] for row in rows], device=data.device)
            lower = None if data.lower is None else data.lower[pack.nodes]
            quiet = index + 1 < len(groups) and world > 1
            with self.accelerator.autocast(), self.accelerator.no_sync(self.module) if quiet else nullcontext():
                loss = weight * self.module(pack, targets, lower).sum()
                self.accelerator.backward(loss * world / len(batch))
            total += loss.detach()
        norm = torch.nn.utils.clip_grad_norm_(self.trainable.values(), self.recipe.clip)
        mean = self.accelerator.reduce(total, reduction="sum").item()
        if not (math.isfinite(mean) and torch.isfinite(norm)):
            raise TuningError(
                f"The loss became {mean / len(batch)} (gradient norm {norm.item()}) at step {step + 1} of {steps} with "
                f"learning rate {rate:.2e}. Try a recipe with a lower learning_rate (a third), a longer warmup, or a "
                "lower alpha; where the model runs in half precision, load it as float32."
            )
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return float(mean)

    def state(self, losses: Sequence[float]) -> Checkpoint:
        """Everything that training needs to go on."""
        moments = {
            f"{kind}.{name}": self.optimiser.state[p][kind]
            for name, p in self.trainable.items()
            for kind in ("exp_avg", "exp_avg_sq", "step")
        }
        return Checkpoint(tuple(losses), {**{f"weight.{n}": p for n, p in self.trainable.items()}, **moments})

    def restore(self, saved: Checkpoint) -> None:
        """Go on from a checkpoint."""
        with torch.no_grad():
            for name, p in self.trainable.items():
                p.copy_(saved.tensors[f"weight.{name}"])
                self.optimiser.state[p] = {
                    kind: saved.tensors[f"{kind}.{name}"].to(p.device) for kind in ("exp_avg", "exp_avg_sq", "step")
                }
