"""Rungs for numbers: demonstrations first, LoRA with an ordinal loss where the error stays too high."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from fewshot_llm.data import folds
from fewshot_llm.errors import TuningError
from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.evidence import number_evidence
from fewshot_llm.ladder.rungs.lora import ADAPTED, ELSEWHERE, Tuned
from fewshot_llm.predictors.numbers import CorrectionMethod, FittedNumbers, FoldModels, NumberModel
from fewshot_llm.prompting.selection import Balanced
from fewshot_llm.scoring.base import local_model
from fewshot_llm.scoring.tree_scorer import choose_scorer
from fewshot_llm.stats.conformal import CrossValidationPlus
from fewshot_llm.training.cross_fit import CrossFit, cross_fit, fit_adapter, row_maker, target_positions
from fewshot_llm.training.lora import adapted
from fewshot_llm.training.recipe import Recipe, load_recipe
from fewshot_llm.types import FloatArray, Text

__all__ = ["NumberInContext", "NumberLadder", "NumberLora", "TunedNumbers"]


@dataclass(frozen=True)
class NumberLadder:
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


@dataclass(frozen=True, kw_only=True)
class TunedNumbers(FittedNumbers):
    """Numbers by a model that carries an adapter that was trained here.

    Attributes:
        tuned: the adapter, and what led to it.
    """

    tuned: Tuned


@dataclass(frozen=True, eq=False)
class NumberInContext(Rung):
    """Demonstrations, fitted already; its folds' models did not see the rows that they are judged on.

    Attributes:
        fitted: the model, and the models of the folds.
        targets: of the support rows, on the grid's scale, shape [rows].
    """

    name: ClassVar[str] = "in-context"
    title: ClassVar[Text] = Text("in-context", "上下文示例")
    fitted: FittedNumbers = field(repr=False)
    targets: FloatArray = field(repr=False)

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """What the folds' models predicted."""
        assert self.fitted.folds is not None  # the ladder is only climbed with folds
        predictions = self.fitted.folds.predictions
        errors = _errors(self.fitted.model, predictions, self.targets)
        evidence = number_evidence(self.name, errors, _step(self.fitted.model), 0.0, title=self.title)
        return Candidate(evidence, predictions, lambda: self.fitted)


@dataclass(frozen=True, eq=False)
class NumberLora(Rung):
    """An adapter whose answers are read as numbers.

    Attributes:
        model: fitted with demonstrations.
        targets: of the support rows, on the grid's scale, shape [rows].
        method: how a correction is fitted.
    """

    name: ClassVar[str] = "lora"
    title: ClassVar[Text] = Text("LoRA", "LoRA 微调")
    model: NumberModel = field(repr=False)
    targets: FloatArray = field(repr=False)
    method: CorrectionMethod = field(repr=False)

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Cross-fit the adapter; corrections are fitted on the other folds' rows."""
        started, inference, targets = time.perf_counter(), climb.inference, self.targets
        base = local_model(inference.scorer)
        if base is None:
            return Skipped(ELSEWHERE)
        if base.adapter:
            return Skipped(ADAPTED)
        recipe = _recipe(climb.recipe)
        builder = replace(inference.builder, shots=recipe.demonstrations, selection=Balanced())
        positions = target_positions(builder, inference.support)
        rows = row_maker(builder, inference.support, base.tokenizer)
        splits = folds(inference.support, min(recipe.folds, len(targets)), climb.seed)
        found = cross_fit(base, rows, positions, splits, recipe, seed=climb.seed, on_epoch=climb.callbacks.fold)
        grid = self.model.grid
        values, predictions = grid.on_scale(grid.values), np.zeros(len(targets))
        for learn, held in splits:
            correction = self.method.fit(found.scores[list(learn)], values, targets[list(learn)])
            predictions[list(held)] = correction.read(found.scores[list(held)], values)

        def build() -> FittedNumbers:
            return self._fitted(climb, recipe, found, predictions)

        errors = _errors(self.model, predictions, targets)
        seconds = time.perf_counter() - started
        evidence = number_evidence(self.name, errors, _step(self.model), seconds, title=self.title)
        return Candidate(evidence, predictions, build)

    def _fitted(self, climb: Climb, recipe: Recipe, found: CrossFit, predictions: FloatArray) -> FittedNumbers:
        """The model with an adapter that is trained on all rows."""
        inference, grid, targets = climb.inference, self.model.grid, self.targets
        base = local_model(inference.scorer)
        assert base is not None  # `propose` has asked
        builder = replace(inference.builder, shots=recipe.demonstrations, selection=Balanced())
        positions = target_positions(builder, inference.support)
        rows = row_maker(builder, inference.support, base.tokenizer)
        trained = fit_adapter(
            base, rows, positions, recipe, epochs=found.epochs, seed=climb.seed, on_epoch=climb.callbacks.epoch
        )
        served = replace(inference, builder=builder, scorer=choose_scorer(adapted(base, trained.adapter)))
        values = grid.on_scale(grid.values)
        correction = self.method.fit(found.scores, values, targets)
        model = NumberModel(served, grid, (correction,), correction.read(found.scores, values))
        # The folds' adapters are gone; their errors, around the served model, are the jackknife's intervals without
        # the +.
        spread = CrossValidationPlus(np.zeros(len(targets), dtype=np.int64), np.abs(predictions - targets))
        fold = FoldModels((model,), spread, predictions)
        return TunedNumbers(model=model, folds=fold, tuned=Tuned(trained, recipe, found))


def _errors(model: NumberModel, predictions: FloatArray, targets: FloatArray) -> FloatArray:
    """Absolute errors in the targets' own unit, shape [rows]."""
    grid = model.grid
    errors: FloatArray = np.abs(grid.from_scale(predictions) - grid.from_scale(targets))
    return errors


def _step(model: NumberModel) -> float:
    """The smallest step of the grid."""
    return float(np.diff(model.grid.values).min())


def _recipe(recipe: str | Recipe | None) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    return load_recipe(recipe) if recipe else load_recipe("default").model_copy(update={"loss": "ordinal"})
