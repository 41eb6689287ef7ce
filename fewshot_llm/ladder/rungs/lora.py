"""Rung `lora`: an adapter trained on the support rows, judged by adapters that did not see the row."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.evidence import label_evidence
from fewshot_llm.predictors.prompted import Inference, PromptedPredictor
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.prompting.selection import Balanced
from fewshot_llm.scoring.base import local_model, require_local
from fewshot_llm.scoring.tree_scorer import choose_scorer
from fewshot_llm.stats.calibration import calibrated_out_of_fold, fit_bias_temperature, identity
from fewshot_llm.training.cross_fit import (
    CrossFit,
    FittedAdapter,
    OverBudget,
    cross_fit,
    fit_adapter,
    row_maker,
    target_positions,
)
from fewshot_llm.training.lora import adapted
from fewshot_llm.training.recipe import Recipe, take_recipe
from fewshot_llm.types import Text

__all__ = ["Lora", "Tuned", "TunedPredictor", "lora_builder", "lora_predictor"]

ELSEWHERE = Text("the model runs elsewhere and cannot be trained here", "模型在别处运行，无法在此训练")
ADAPTED = Text("the model carries an adapter already", "模型已带有适配器")
OVER_BUDGET = Text(
    "its folds alone would take about {needed:.1f} min of the {left:.1f} min that the budget leaves for them",
    "仅交叉验证就约需 {needed:.1f} 分钟，而预算只剩 {left:.1f} 分钟",
)


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
class TunedPredictor(PromptedPredictor):
    """An answerer whose model carries an adapter that was trained here.

    Attributes:
        tuned: the adapter, and what led to it.
    """

    tuned: Tuned


@dataclass(frozen=True)
class Lora(Rung):
    """Trains a LoRA adapter without each fold in turn; then, if it is kept, on all rows."""

    name: ClassVar[str] = "lora"
    title: ClassVar[Text] = Text("LoRA", "LoRA 微调")

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Cross-fit the adapter; its epochs are chosen by the folds."""
        started = time.perf_counter()
        inference = climb.inference
        model = local_model(inference.scorer)
        if model is None:
            return Skipped(ELSEWHERE)
        if model.adapter:
            return Skipped(ADAPTED)
        recipe = take_recipe(climb.recipe, len(inference.builder.labels), len(inference.support))
        builder = lora_builder(inference, recipe)
        targets = target_positions(builder, inference.support)
        splits = climb.folds(recipe.folds)
        left = climb.seconds_left
        # The final training passes over all rows `adapters` times, each fold over all but its own.
        passes = len(splits) - 1
        allowed = None if left is None else left * passes / (passes + recipe.adapters)
        try:
            crossfit = cross_fit(
                model,
                row_maker(builder, inference.support, model.tokenizer),
                targets,
                splits,
                recipe,
                seed=climb.seed,
                seconds_allowed=allowed,
                on_epoch=climb.callbacks.fold,
            )
        except OverBudget as error:
            numbers = {"needed": error.args[0] / 60, "left": (allowed or 0) / 60}
            return Skipped(OVER_BUDGET.fill(**numbers))
        truth = np.array(targets)
        estimate = calibrated_out_of_fold(crossfit.scores, truth, splits)
        settings = {
            "recipe": recipe.model_dump(mode="json"),
            "language": builder.language,
            "epochs": crossfit.epochs,
            "folds": len(splits),
            "loss_by_epoch": crossfit.losses,
            "accuracy_by_epoch": crossfit.accuracies,
        }
        evidence = label_evidence(
            self.name,
            range(len(targets)),
            truth,
            estimate,
            time.perf_counter() - started,
            title=self.title,
            settings=settings,
            seed=climb.seed,
            seconds_per_1000=_answering(climb, recipe),
        )
        return Candidate(evidence, estimate, lambda: _trained(climb, recipe, crossfit))


def _answering(climb: Climb, recipe: Recipe) -> float | None:
    """Seconds per 1,000 rows: as many as a prompt without demonstrations takes, where the adapter is asked by one."""
    plain = [one.evidence for one in climb.candidates if one.evidence.settings.get("shots") == 0]
    return plain[0].seconds_per_1000 if plain and recipe.demonstrations == 0 else None


def lora_builder(inference: Inference, recipe: Recipe) -> PromptBuilder:
    """The served builder, with the demonstrations that the recipe trains with."""
    return replace(inference.builder, shots=recipe.demonstrations, selection=Balanced())


def lora_predictor(inference: Inference, tuned: Tuned) -> TunedPredictor:
    """Answers with the adapter on, calibrated on its folds' out-of-fold scores."""
    builder = lora_builder(inference, tuned.recipe)
    scorer = choose_scorer(adapted(require_local(inference.scorer), tuned.fitted.adapter))
    targets = np.array(target_positions(builder, inference.support))
    calibration = fit_bias_temperature(tuned.folds.scores, targets) if tuned.folds else identity(len(builder.labels))
    return TunedPredictor(Inference(builder, scorer, inference.support), (calibration,), tuned)


def _trained(climb: Climb, recipe: Recipe, crossfit: CrossFit) -> TunedPredictor:
    """The adapter that is served, trained on all rows."""
    inference = climb.inference
    builder, support = lora_builder(inference, recipe), inference.support
    model = require_local(inference.scorer)
    fitted = fit_adapter(
        model,
        row_maker(builder, support, model.tokenizer),
        target_positions(builder, support),
        recipe,
        epochs=crossfit.epochs,
        seed=climb.seed,
        checkpoints=climb.checkpoints,
        on_epoch=climb.callbacks.epoch,
    )
    return lora_predictor(inference, Tuned(fitted, recipe, crossfit))
