"""The ladder at work: measures the rungs that the decision asks for, and sets up the one that it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewshot_llm.calibration import fit_bias_temperature, identity
from fewshot_llm.errors import SupportError, TuningError
from fewshot_llm.escalation import Decision, Escalation, Measured, Skipped, climb, decide
from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.evidence import Rung
from fewshot_llm.rungs import Rungs, Watch, lora_builder
from fewshot_llm.scoring.choose import choose_scorer
from fewshot_llm.support import SupportSet
from fewshot_llm.tuning.crossfit import CrossFit
from fewshot_llm.tuning.fit import FittedAdapter, fit_adapter
from fewshot_llm.tuning.lora import adapted
from fewshot_llm.tuning.recipe import Recipe, take_recipe
from fewshot_llm.tuning.rows import row_maker, target_positions

__all__ = ["Climbed", "Tuned", "Watch", "check_support", "force_lora", "lora_answerer", "run_ladder"]


@dataclass(frozen=True)
class Tuned:
    """A LoRA adapter with what led to it.

    Attributes:
        fitted: the adapter, trained on all rows.
        recipe: its settings.
        folds: the out-of-fold results; None where it was trained without them.
    """

    fitted: FittedAdapter
    recipe: Recipe
    folds: CrossFit | None


@dataclass(frozen=True)
class Climbed:
    """The result of the ladder.

    Attributes:
        decision: which rung, and why.
        answerer: answers as the kept rung does.
        tuned: the adapter, where the kept rung is LoRA.
    """

    decision: Decision
    answerer: Answerer
    tuned: Tuned | None = None


def check_support(support: SupportSet) -> None:
    """Refuse rows that nothing can be held out of.

    Raises:
        SupportError: fewer than two classes, or a class with fewer than two rows.
    """
    counts = {label: len(rows) for label, rows in support.by_label().items()}
    if len(counts) < 2:
        raise SupportError(
            f"The support set has {len(counts)} class; expected at least two. Add rows of another class."
        )
    few = {label: count for label, count in counts.items() if count < 2}
    if few:
        named = ", ".join(f"{label} ({count})" for label, count in few.items())
        raise SupportError(
            f"Choosing a rung needs at least 2 rows of each class, one to learn from and one to test on; there are too "
            f"few of {named}. Add rows, or classify without escalation."
        )


def run_ladder(
    inference: Inference, escalation: Escalation, *, watch: Watch | None = None, checkpoints: Path | None = None
) -> Climbed:
    """Climb from zero-shot as far as the evidence asks for.

    Only support rows are looked at, each by prompts, calibrations and adapters that did not see it.

    Args:
        inference: what would be served without an escalation: builder, scorer, support set.
        escalation: target, recipe, budget and seed.
        watch: told what happens.
        checkpoints: a folder from which an unfinished final training goes on.

    Raises:
        SupportError: of `check_support`.
        TuningError: of the recipe or a training.
    """
    check_support(inference.support)
    recipe = take_recipe(escalation.recipe, len(inference.builder.labels), len(inference.support))
    rungs = Rungs(inference, escalation, recipe, watch or Watch())

    def measure(rung: Rung) -> Measured:
        rungs.watch.rung(rung)
        found = rungs.measure(rung)
        rungs.watch.measured(rung, found)
        return found

    decision = climb(measure, escalation.target)
    if decision.rung != "lora":
        return Climbed(decision, rungs.answerer(decision.rung))
    return _trained(rungs, decision, checkpoints)


def force_lora(
    inference: Inference, escalation: Escalation, *, watch: Watch | None = None, checkpoints: Path | None = None
) -> Climbed:
    """Train the adapter without asking whether it is needed; its folds are still run, they choose the epochs.

    Raises:
        SupportError: of `check_support`.
        TuningError: of the recipe or a training, or LoRA cannot be measured within the budget.
    """
    check_support(inference.support)
    recipe = take_recipe(escalation.recipe, len(inference.builder.labels), len(inference.support))
    rungs = Rungs(inference, escalation, recipe, watch or Watch())
    rungs.watch.rung("lora")
    found = rungs.measure("lora")
    rungs.watch.measured("lora", found)
    if isinstance(found, Skipped):
        raise TuningError(f"The adapter was not trained: {found.english}.")
    return _trained(rungs, decide([found], escalation.target), checkpoints)


def lora_answerer(inference: Inference, tuned: Tuned) -> Answerer:
    """Answers with the adapter on, calibrated on its folds' out-of-fold scores."""
    builder = lora_builder(inference, tuned.recipe)
    model = inference.scorer.language_model  # type: ignore[attr-defined]
    scorer = choose_scorer(adapted(model, tuned.fitted.adapter))
    targets = np.array(target_positions(builder, inference.support))
    calibration = fit_bias_temperature(tuned.folds.scores, targets) if tuned.folds else identity(len(builder.labels))
    return Answerer(Inference(builder, scorer, inference.support), (calibration,))


def _trained(rungs: Rungs, decision: Decision, checkpoints: Path | None) -> Climbed:
    """The adapter that is served, trained on all rows."""
    inference = rungs.inference
    builder, support = lora_builder(inference, rungs.recipe), inference.support
    model = inference.scorer.language_model  # type: ignore[attr-defined]
    fitted = fit_adapter(
        model,
        row_maker(builder, support, model.tokenizer),
        target_positions(builder, support),
        rungs.recipe,
        epochs=rungs.crossfit.epochs if rungs.crossfit else None,
        seed=rungs.escalation.seed,
        checkpoints=checkpoints,
        on_epoch=rungs.watch.epoch,
    )
    tuned = Tuned(fitted, rungs.recipe, rungs.crossfit)
    return Climbed(decision, lora_answerer(inference, tuned), tuned)
