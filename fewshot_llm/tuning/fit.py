"""The adapter that is served: trained on all rows, for the number of epochs that the folds chose."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.scoring.best_first import search_rows
from fewshot_llm.scoring.frontier import Goal
from fewshot_llm.tuning.crossfit import rows_by_epoch
from fewshot_llm.tuning.lora import Adapter, adapted, average_adapters
from fewshot_llm.tuning.recipe import Recipe
from fewshot_llm.tuning.rows import RowMaker
from fewshot_llm.tuning.trainer import EpochReport, train_adapter

__all__ = ["FittedAdapter", "fit_adapter"]


@dataclass(frozen=True)
class FittedAdapter:
    """An adapter trained on all rows.

    Attributes:
        adapter: its weights; the mean of `recipe.adapters` trainings.
        losses: training loss of each epoch, nats per row, mean over the trainings.
        accuracy: share of the training rows that it gets right. Says that it has learned, not that it is good.
        seconds: wall time.
        interrupted: it was stopped by Ctrl-C and holds what was finished until then.
    """

    adapter: Adapter
    losses: tuple[float, ...]
    accuracy: float
    seconds: float
    interrupted: bool


def fit_adapter(
    language_model: LanguageModel,
    make_rows: RowMaker,
    targets: Sequence[int],
    recipe: Recipe,
    *,
    epochs: int | None = None,
    seed: int = 0,
    checkpoints: Path | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> FittedAdapter:
    """Train on all rows.

    Args:
        language_model: without an adapter.
        make_rows: encodes rows.
        targets: the label position of each row.
        recipe: LoRA settings.
        epochs: when to stop; the recipe's number by default.
        seed: of the first training; the next ones count up.
        checkpoints: a folder from which an unfinished training goes on.
        on_epoch: told after each epoch; the time left covers all trainings.
    """
    started = time.perf_counter()
    everything = range(len(targets))
    last = min(epochs or recipe.epochs, recipe.epochs)
    trained: list[Adapter] = []
    losses: list[tuple[float, ...]] = []
    interrupted = False
    for number in range(recipe.adapters):

        def report(epoch: EpochReport, tuned: LanguageModel, number: int = number) -> None:
            if on_epoch is not None:
                more = (recipe.adapters - number - 1) * last * epoch.seconds
                on_epoch(
                    EpochReport(
                        epoch.epoch + number * last,
                        last * recipe.adapters,
                        epoch.loss,
                        epoch.seconds,
                        epoch.seconds_left + more,
                    )
                )

        try:
            training = train_adapter(
                language_model,
                rows_by_epoch(make_rows, everything, recipe, seed + number),
                targets,
                recipe,
                seed=seed + number,
                stop_after=last,
                on_epoch=report,
                checkpoint=None if checkpoints is None else checkpoints / f"training-{number}.safetensors",
            )
        except KeyboardInterrupt:
            if not trained:
                raise
            interrupted = True
            break
        # A training that was cut short is kept only where it is all there is: an average wants equals.
        if not training.interrupted or not trained:
            trained.append(training.adapter)
            losses.append(training.losses)
        if training.interrupted:
            interrupted = True
            break
    adapter = average_adapters(trained)
    rows, tuned = make_rows(everything, everything, 0), adapted(language_model, adapter)
    best, _ = search_rows(tuned, rows, Goal(), recipe.pack_tokens, lambda done: None)
    return FittedAdapter(
        adapter=adapter,
        losses=tuple(float(loss) for loss in np.mean(losses, axis=0)),
        accuracy=float(np.mean([top.indices[0] == target for top, target in zip(best, targets, strict=True)])),
        seconds=time.perf_counter() - started,
        interrupted=interrupted,
    )
