"""How good an adapter trained on these rows would be on others, and after how many epochs: k folds.

The rows are rendered and tokenised by what serves. The adapter that is served is trained on all rows, for the number of
epochs that the folds chose.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.errors import TuningError
from fewshot_llm.models.device import agreed
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.prompting.selection import own_rows
from fewshot_llm.scoring.encoding import Encoded, encode
from fewshot_llm.scoring.search import Goal, search_rows
from fewshot_llm.scoring.token_tree import build_tree
from fewshot_llm.scoring.tree_scorer import score_rows
from fewshot_llm.stats.calibration import fit_bias_temperature
from fewshot_llm.stats.metrics import row_losses
from fewshot_llm.training.augment import drop_words_of
from fewshot_llm.training.lora import Adapter, adapted, average_adapters
from fewshot_llm.training.recipe import Recipe
from fewshot_llm.training.trainer import EpochReport, train_adapter
from fewshot_llm.types import FloatArray, Folds

__all__ = [
    "CrossFit",
    "FittedAdapter",
    "FoldReport",
    "OverBudget",
    "RowMaker",
    "affordable_checks",
    "checked_epochs",
    "cross_fit",
    "fit_adapter",
    "label_table",
    "row_maker",
    "rows_by_epoch",
    "target_positions",
]

Change: TypeAlias = Callable[[Example], Example]
"""What is done to a row before it is asked."""


class RowMaker(Protocol):
    """Encodes rows of a support set."""

    def __call__(
        self,
        pool: Sequence[int],
        rows: Sequence[int],
        draw: int,
        /,
        change: Change | None = None,
    ) -> Sequence[Encoded]:
        """One `Encoded` per row.

        Args:
            pool: rows to take demonstrations from.
            rows: rows to encode.
            draw: of the demonstrations.
            change: what is done to each row before it is asked; the demonstrations stay as they are.
        """
        ...


def row_maker(builder: PromptBuilder, support: SupportSet, tokenizer: Any) -> RowMaker:
    """Encodes support rows with the very builder and tokeniser that serve, so that training cannot drift from it.

    A row never shows itself: the builder leaves out demonstrations with the query's text.

    Args:
        builder: makes the prompts; `shots=0` for prompts without demonstrations.
        support: the labelled rows.
        tokenizer: the base model's.
    """

    def make(pool: Sequence[int], rows: Sequence[int], draw: int, /, change: Change | None = None) -> Sequence[Encoded]:
        shown = support.subset(pool) if builder.shots else support
        prompts = []
        for row in rows:
            query, others = Example(support[row].fields), shown
            if change is not None:
                # The builder knows a row by its text, which is another one now.
                others = shown.without(own_rows(shown, query)) if builder.shots else shown
                query = change(query)
            prompts.append(builder.build(query, others, draw))
        return encode(tokenizer, prompts)

    return make


def target_positions(builder: PromptBuilder, support: SupportSet) -> list[int]:
    """The position of each row's label among the builder's labels."""
    return [builder.labels.index(str(example.label)) for example in support]


@dataclass(frozen=True)
class FoldReport:
    """One epoch of one fold.

    Attributes:
        fold: from 1.
        folds: in all.
        epoch: what the epoch did.
        accuracy: share of the fold's held-out rows that are right; None where the epoch was not checked.
        seconds_left: expected for the rest of the folds.
    """

    fold: int
    folds: int
    epoch: EpochReport
    accuracy: float | None
    seconds_left: float


@dataclass(frozen=True)
class CrossFit:
    """Out-of-fold results of a recipe.

    Attributes:
        epochs: the number of epochs with the lowest out-of-fold log loss.
        scores: label scores of every row by an adapter that did not see it, after `epochs` epochs, nats, [n, labels].
        losses: calibrated out-of-fold log loss per checked epoch, nats per row.
        accuracies: out-of-fold accuracy per checked epoch.
        seconds: wall time.
    """

    epochs: int
    scores: FloatArray
    losses: dict[int, float]
    accuracies: dict[int, float]
    seconds: float


class OverBudget(Exception):
    """The folds would take longer than allowed; says how long, in seconds."""


def checked_epochs(epochs: int, checks: int = 4) -> tuple[int, ...]:
    """The epochs after which held-out rows are scored: a few, later ones rather than early ones.

    Args:
        epochs: how many there are.
        checks: how many to look at, 2 to 4.

    >>> checked_epochs(10), checked_epochs(10, 2)
    ((4, 6, 8, 10), (8, 10))
    """
    return tuple(sorted({math.ceil(epochs * share / 5) for share in (5, 4, 3, 2)[:checks]}))


def affordable_checks(learned: Sequence[Encoded], asked: Sequence[Encoded], epochs: int) -> int:
    """How many checks cost no more than the training itself, 2 to 4: with many labels a check outweighs epochs.

    A training pass over a token costs about two scoring passes: forwards, and backwards through frozen weights. What
    rows have in common is counted once on both sides, as it is computed.

    Args:
        learned: the rows of an epoch, with their labels.
        asked: the held-out rows, with their labels.
        epochs: of the training.
    """
    training = 2 * epochs * len(build_tree(learned, with_labels=False).ids)
    return min(4, max(2, training // max(1, len(build_tree(asked).ids))))


def label_table(language_model: LanguageModel, rows: Sequence[Encoded], tokens: int) -> FloatArray:
    """Scores of all answers of encoded rows, nats, shape [rows, labels]."""
    scores, _ = score_rows(language_model, rows, tokens, lambda done: None)
    return np.stack([row.log_probs for row in scores])


def cross_fit(
    language_model: LanguageModel,
    make_rows: RowMaker,
    targets: Sequence[int],
    folds: Folds,
    recipe: Recipe,
    *,
    seed: int = 0,
    seconds_allowed: float | None = None,
    on_epoch: Callable[[FoldReport], None] | None = None,
) -> CrossFit:
    """Train on each fold's rows, score the others.

    All folds run the recipe's full number of epochs; the number that gave the lowest log loss over all held-out
    rows, after calibration, is chosen. Calibrated, because an adapter on a few rows grows overconfident long after
    its ranking has stopped improving, and a temperature takes that back.

    Args:
        language_model: without an adapter.
        make_rows: encodes rows.
        targets: the label position of each row.
        folds: positions to learn from and positions held out; each row is held out once.
        recipe: LoRA settings.
        seed: of the trainings.
        seconds_allowed: give up as soon as the folds are expected to take longer.
        on_epoch: told after each epoch of each fold.

    Raises:
        TuningError: a fold holds out nothing, or a row is not held out exactly once.
        OverBudget: it would take longer than `seconds_allowed`.
    """
    held_out = sorted(row for _, held in folds for row in held)
    if held_out != list(range(len(targets))) or not all(held for _, held in folds):
        raise TuningError("The folds must hold out every row exactly once, and each at least one.")
    started = time.perf_counter()
    asked = [make_rows(kept, held, 0) for kept, held in folds]
    learned = make_rows(folds[0][0], folds[0][0], 0)
    checked = checked_epochs(recipe.epochs, affordable_checks(learned, asked[0], recipe.epochs))
    labels = len(asked[0][0].answers)
    tables = {epoch: np.empty((len(targets), labels)) for epoch in checked}
    truth = np.asarray(targets, dtype=np.int64)
    total = len(folds) * recipe.epochs

    for number, ((kept, held), queries) in enumerate(zip(folds, asked, strict=True)):

        def report(
            epoch: EpochReport,
            tuned: LanguageModel,
            number: int = number,
            held: Sequence[int] = held,
            queries: Sequence[Encoded] = queries,
        ) -> None:
            accuracy = None
            if epoch.epoch in tables:
                scores = label_table(tuned, queries, recipe.pack_tokens)
                tables[epoch.epoch][list(held)] = scores
                accuracy = float((scores.argmax(axis=1) == truth[list(held)]).mean())
            spent = time.perf_counter() - started
            done = number * recipe.epochs + epoch.epoch
            left = spent / done * (total - done)
            # The first epoch also pays for warming up; from the second on the forecast holds.
            late = seconds_allowed is not None and done >= min(2, total) and spent + left > seconds_allowed
            if agreed(late, language_model.device):
                raise OverBudget(spent + left)
            if on_epoch is not None:
                on_epoch(FoldReport(number + 1, len(folds), epoch, accuracy, left))

        train_adapter(
            language_model,
            rows_by_epoch(make_rows, kept, recipe, seed + number),
            [targets[row] for row in kept],
            recipe,
            seed=seed + number,
            on_epoch=report,
        )

    losses, accuracies = {}, {}
    for epoch, scores in tables.items():
        probabilities = fit_bias_temperature(scores, truth).probabilities(scores)
        losses[epoch] = float(row_losses(truth, probabilities).mean())
        accuracies[epoch] = float((scores.argmax(axis=1) == truth).mean())
    best = min(losses, key=lambda epoch: losses[epoch])
    found = CrossFit(best, tables[best], losses, accuracies, time.perf_counter() - started)
    return agreed(found, language_model.device)


def rows_by_epoch(
    make_rows: RowMaker, rows: Sequence[int], recipe: Recipe, seed: int
) -> Callable[[int], Sequence[Encoded]]:
    """The same rows every epoch, or with new demonstrations or other words left out each time.

    Args:
        make_rows: encodes rows.
        rows: positions of the rows to learn from.
        recipe: says how they vary.
        seed: of the training, so that each of several leaves out words of its own.
    """
    if recipe.word_dropout:

        def vary(epoch: int) -> Sequence[Encoded]:
            generator = np.random.default_rng([seed, epoch, 1])
            return make_rows(rows, rows, epoch, lambda row: drop_words_of(row, recipe.word_dropout, generator))

        return vary
    if recipe.demonstrations:
        return lambda epoch: make_rows(rows, rows, epoch)
    always = make_rows(rows, rows, 0)
    return lambda epoch: always


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
