"""The ladder for numbers: demonstrations first, LoRA with an ordinal loss where the error stays too high.

Both rungs are judged on the same labelled rows, each predicted by a model that did not see it, and the dearer one
replaces the cheaper only where its absolute errors are smaller by more than noise.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fewshot_llm.errors import TuningError
from fewshot_llm.estimators.correction import CorrectionMethod
from fewshot_llm.estimators.grid import Grid
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.estimators.number_model import FoldModels, NumberModel
from fewshot_llm.evaluation.intervals import Interval, mean_interval
from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.prediction_intervals import CrossValidationPlus
from fewshot_llm.prompting.selection import Balanced
from fewshot_llm.scoring.base import FloatArray
from fewshot_llm.support import folds
from fewshot_llm.tuning.recipe import Recipe, load_recipe

__all__ = ["Climbed", "NumberDecision", "NumberEscalation", "climb_numbers"]


@dataclass(frozen=True)
class NumberEscalation:
    """When to train.

    Attributes:
        target: the mean absolute error on held-out rows that is good enough, in the targets' own unit.
        recipe: LoRA settings, or the name or path of a recipe; None for `default` with the ordinal loss.
        seed: of the training.

    Raises:
        TuningError: the target is not positive.
    """

    target: float
    recipe: str | Recipe | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.target > 0:
            raise TuningError(f"The target error is {self.target}; expected more than 0, in the unit of the targets.")

    def settings(self) -> Recipe:
        """The recipe itself."""
        if isinstance(self.recipe, Recipe):
            return self.recipe
        return (
            load_recipe(self.recipe) if self.recipe else load_recipe("default").model_copy(update={"loss": "ordinal"})
        )


@dataclass(frozen=True)
class NumberDecision:
    """Which rung is kept, and why.

    Attributes:
        rung: the one that is kept.
        target: the error asked for.
        errors: rung → mean absolute error on held-out rows, with its interval.
        change: LoRA's error minus the other's on the same rows; None where it was not trained.
        seconds: what measuring and training LoRA cost.
        english: the reason.
        chinese: the same in Chinese.
    """

    rung: Literal["in-context", "lora"]
    target: float
    errors: dict[str, Interval]
    change: Interval | None
    seconds: float
    english: str
    chinese: str


@dataclass(frozen=True)
class Climbed:
    """What the ladder ends with.

    Attributes:
        model: the kept rung's model.
        folds: what intervals are made from.
        decision: which rung, and why.
    """

    model: NumberModel
    folds: FoldModels
    decision: NumberDecision


def climb_numbers(
    model: NumberModel, fold_models: FoldModels, targets: FloatArray, method: CorrectionMethod, by: NumberEscalation
) -> Climbed:
    """Keep the model, or train LoRA and keep that.

    Args:
        model: fitted with demonstrations.
        fold_models: the same without each fold.
        targets: of the support rows, on the grid's scale, shape [rows].
        method: how a correction is fitted.
        by: the target and the recipe.

    Raises:
        TuningError: the model cannot be trained here, or a recipe that is not valid.
    """
    grid = model.grid
    truth, step = grid.from_scale(targets), float(np.diff(grid.values).min())
    before = np.abs(grid.from_scale(fold_models.predictions) - truth)
    errors = {"in-context": _mean(before, step)}
    if before.mean() <= by.target:
        return Climbed(model, fold_models, _decision("in-context", by.target, errors, None, 0.0))
    started = time.perf_counter()
    tuned, predictions = _trained(model.inference, grid, targets, method, by)
    after = np.abs(grid.from_scale(predictions) - truth)
    errors["lora"] = _mean(after, step)
    change = mean_interval(after - before, reach=max(float(before.mean()), float(after.mean()), step))
    seconds = time.perf_counter() - started
    if change.high >= 0:
        return Climbed(model, fold_models, _decision("in-context", by.target, errors, change, seconds))
    # The folds' adapters are gone; their errors, around the served model, are the jackknife's intervals without the +.
    spread = CrossValidationPlus(np.zeros(len(targets), dtype=np.int64), np.abs(predictions - targets))
    kept = FoldModels((tuned,), spread, predictions)
    return Climbed(tuned, kept, _decision("lora", by.target, errors, change, seconds))


def _trained(
    inference: Inference, grid: Grid, targets: FloatArray, method: CorrectionMethod, by: NumberEscalation
) -> tuple[NumberModel, FloatArray]:
    """The model with an adapter, and its folds' predictions of the rows they did not see, on the grid's scale."""
    from fewshot_llm.scoring.choose import choose_scorer
    from fewshot_llm.tuning.crossfit import cross_fit
    from fewshot_llm.tuning.fit import fit_adapter
    from fewshot_llm.tuning.lora import adapted
    from fewshot_llm.tuning.rows import row_maker, target_positions

    base: LanguageModel | None = getattr(inference.scorer, "language_model", None)
    if base is None or base.adapter:
        raise TuningError(
            "The error is above the target and LoRA cannot be trained: the model "
            + ("runs elsewhere." if base is None else "carries an adapter already.")
            + " Give an embedded model or a folder without an adapter, or a larger target."
        )
    recipe = by.settings()
    builder = replace(inference.builder, shots=recipe.demonstrations, selection=Balanced())
    positions = target_positions(builder, inference.support)
    rows = row_maker(builder, inference.support, base.tokenizer)
    splits = folds(inference.support, min(recipe.folds, len(targets)), by.seed)
    found = cross_fit(base, rows, positions, splits, recipe, seed=by.seed)
    values, predictions = grid.on_scale(grid.values), np.zeros(len(targets))
    for learn, held in splits:
        correction = method.fit(found.scores[list(learn)], values, targets[list(learn)])
        predictions[list(held)] = correction.read(found.scores[list(held)], values)
    adapter = fit_adapter(base, rows, positions, recipe, epochs=found.epochs, seed=by.seed).adapter
    served = replace(inference, builder=builder, scorer=choose_scorer(adapted(base, adapter)))
    correction = method.fit(found.scores, values, targets)
    return NumberModel(served, grid, (correction,), correction.read(found.scores, values)), predictions


def _mean(errors: FloatArray, step: float) -> Interval:
    # One further row may be off by twice what is usual, or by a step of the grid more.
    return mean_interval(errors, reach=max(float(errors.mean()), step), least=0.0)


def _decision(
    rung: Literal["in-context", "lora"],
    target: float,
    errors: dict[str, Interval],
    change: Interval | None,
    seconds: float,
) -> NumberDecision:
    shown = errors["in-context"]
    if change is None:
        english = f"Demonstrations are enough: the error on held-out rows is {shown}, the target {target:g}."
        chinese = f"示例即可：折外平均绝对误差 {shown}，目标 {target:g}。"
    elif rung == "lora":
        english = f"LoRA is kept: its error on held-out rows is {errors['lora']}, lower by {change} than {shown}."
        chinese = f"保留 LoRA：折外平均绝对误差 {errors['lora']}，比示例的 {shown} 变化 {change}。"
    else:
        english = (
            f"Demonstrations are kept ({shown}, target {target:g}): LoRA's error {errors['lora']} is not lower by more "
            f"than noise at the 95 % level ({change})."
        )
        chinese = (
            f"保留示例（{shown}，目标 {target:g}）：LoRA 的误差 {errors['lora']} 在 95 % 水平上"
            f"没有超出噪声的改进（{change}）。"
        )
    return NumberDecision(rung, target, errors, change, seconds, english, chinese)
