"""The ladder at work: measures the rungs that the decision asks for, and sets up the one that it keeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fewshot_llm.calibration import fit_bias_temperature, identity
from fewshot_llm.errors import SupportError, TuningError
from fewshot_llm.escalation import Decision, Escalation, Measured, Skipped, climb, decide
from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.evidence import Rung, RungEvidence, calibrated_out_of_fold, nested_choice, rung_evidence
from fewshot_llm.incontext import ScoredSetting, Setting, candidate_settings, score_settings, with_setting
from fewshot_llm.prompting.selection import Balanced
from fewshot_llm.scoring.cached import TreeScorer
from fewshot_llm.support import SupportSet, folds
from fewshot_llm.tuning.crossfit import CrossFit, FoldReport, OverBudget, cross_fit
from fewshot_llm.tuning.fit import FittedAdapter, fit_adapter
from fewshot_llm.tuning.lora import adapted
from fewshot_llm.tuning.recipe import Recipe, load_recipe, suggest_recipe
from fewshot_llm.tuning.rows import row_maker, target_positions
from fewshot_llm.tuning.trainer import EpochReport

__all__ = ["Climbed", "Tuned", "Watch", "check_support", "force_lora", "lora_answerer", "run_ladder", "take_recipe"]

IN_CONTEXT_SECONDS = 120.0
"""For trying settings without training, where no budget is given."""

IN_CONTEXT_SHARE = 0.3
"""The same, as a share of a given budget."""

FOLDS = 5
"""Of the estimates on scores that are out of fold already; costs no model time."""


@dataclass(frozen=True)
class Watch:
    """Whom to tell what happens; every part may be left out.

    Attributes:
        rung: before a rung is measured.
        measured: what it measured, or why not.
        fold: after each epoch of a fold.
        epoch: after each epoch of the final training.
    """

    rung: Callable[[Rung], None] = lambda rung: None
    measured: Callable[[Rung, Measured], None] = lambda rung, found: None
    fold: Callable[[FoldReport], None] = lambda report: None
    epoch: Callable[[EpochReport], None] = lambda report: None


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


def take_recipe(escalation: Escalation, labels: int) -> Recipe:
    """The escalation's recipe, read where it is named, chosen by the number of labels where it is not.

    Raises:
        TuningError: no such recipe, or a recipe that is not valid.
    """
    given = escalation.recipe
    return given if isinstance(given, Recipe) else load_recipe(given or suggest_recipe(labels))


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
    recipe = take_recipe(escalation, len(inference.builder.labels))
    ladder = _Ladder(inference, escalation, recipe, watch or Watch())

    def measure(rung: Rung) -> Measured:
        ladder.watch.rung(rung)
        found = ladder.measure(rung)
        ladder.watch.measured(rung, found)
        return found

    decision = climb(measure, escalation.target)
    if decision.rung != "lora":
        return Climbed(decision, ladder.answerer(decision.rung))
    return ladder.trained(decision, checkpoints)


def force_lora(
    inference: Inference, escalation: Escalation, *, watch: Watch | None = None, checkpoints: Path | None = None
) -> Climbed:
    """Train the adapter without asking whether it is needed; its folds are still run, they choose the epochs.

    Raises:
        SupportError: of `check_support`.
        TuningError: of the recipe or a training, or LoRA cannot be measured within the budget.
    """
    check_support(inference.support)
    recipe = take_recipe(escalation, len(inference.builder.labels))
    ladder = _Ladder(inference, escalation, recipe, watch or Watch())
    ladder.watch.rung("lora")
    found = ladder.measure("lora")
    ladder.watch.measured("lora", found)
    if isinstance(found, Skipped):
        raise TuningError(f"The adapter was not trained: {found.english}.")
    return ladder.trained(decide([found], escalation.target), checkpoints)


def lora_answerer(inference: Inference, tuned: Tuned) -> Answerer:
    """Answers with the adapter on, calibrated on its folds' out-of-fold scores."""
    builder = _lora_builder(inference, tuned.recipe)
    model = inference.scorer.language_model  # type: ignore[attr-defined]
    scorer = TreeScorer(adapted(model, tuned.fitted.adapter))
    targets = np.array(target_positions(builder, inference.support))
    calibration = fit_bias_temperature(tuned.folds.scores, targets) if tuned.folds else identity(len(builder.labels))
    return Answerer(Inference(builder, scorer, inference.support), (calibration,))


def _lora_builder(inference: Inference, recipe: Recipe) -> Any:
    return replace(inference.builder, shots=recipe.demonstrations, selection=Balanced())


@dataclass
class _Ladder:
    """What was measured so far, for the rungs above and for serving."""

    inference: Inference
    escalation: Escalation
    recipe: Recipe
    watch: Watch
    started: float = field(default_factory=time.perf_counter)
    scored: list[ScoredSetting] = field(default_factory=list)
    chosen: dict[Rung, Setting] = field(default_factory=dict)
    crossfit: CrossFit | None = None

    @property
    def seconds_left(self) -> float | None:
        """Of the budget; None without one."""
        minutes = self.escalation.budget_minutes
        return None if minutes is None else max(0.0, minutes * 60 - (time.perf_counter() - self.started))

    def measure(self, rung: Rung) -> Measured:
        """Evidence for a rung."""
        match rung:
            case "zero-shot":
                return self._zero_shot()
            case "in-context":
                return self._in_context()
            case "calibrated":
                return self._calibrated()
            case "lora":
                return self._lora()

    def _folds(self, most: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        rarest = min(len(rows) for rows in self.inference.support.by_label().values())
        return folds(self.inference.support, max(2, min(most, rarest)), self.escalation.seed)

    def _evidence(
        self, rung: Rung, log_probabilities: Any, targets: Any, started: float, settings: dict[str, Any]
    ) -> RungEvidence:
        return rung_evidence(
            rung,
            range(len(targets)),
            targets,
            log_probabilities,
            time.perf_counter() - started,
            settings=settings,
            seed=self.escalation.seed,
        )

    def _zero_shot(self) -> Measured:
        started = time.perf_counter()
        setting = Setting(0, Balanced())
        found = score_settings(self.inference, [setting], 0.0)[0]
        self.chosen["zero-shot"] = setting
        estimate = identity(found.scores.shape[1]).log_probabilities(found.scores)
        return self._evidence("zero-shot", estimate, found.targets, started, setting.describe())

    def _in_context(self) -> Measured:
        started, left = time.perf_counter(), self.seconds_left
        allowed = IN_CONTEXT_SECONDS if left is None else left * IN_CONTEXT_SHARE
        self.scored = score_settings(self.inference, candidate_settings(self.inference), allowed)
        if not self.scored:
            return Skipped(
                "no way of showing demonstrations leaves every row held out", "没有一种示例设置能让每条样例都被留出"
            )
        return self._best("in-context", started, {"seconds_allowed": allowed})

    def _calibrated(self) -> Measured:
        if not self.scored:
            return Skipped("there are no demonstrations to calibrate", "没有可校准的示例设置")
        return self._best("calibrated", time.perf_counter(), {}, calibrate=fit_bias_temperature)

    def _best(self, rung: Rung, started: float, facts: dict[str, Any], **how: Any) -> RungEvidence:
        targets = self.scored[0].targets
        best, estimate = nested_choice([found.scores for found in self.scored], targets, self._folds(FOLDS), **how)
        self.chosen[rung] = self.scored[best].setting
        settings = {**self.scored[best].setting.describe(), "settings_tried": len(self.scored), **facts}
        return self._evidence(rung, estimate, targets, started, settings)

    def _lora(self) -> Measured:
        started = time.perf_counter()
        model = getattr(self.inference.scorer, "language_model", None)
        if model is None:
            return Skipped("the model runs elsewhere and cannot be trained here", "模型在别处运行，无法在此训练")
        if model.adapter:
            return Skipped("the model carries an adapter already", "模型已带有适配器")
        builder = _lora_builder(self.inference, self.recipe)
        targets = target_positions(builder, self.inference.support)
        splits = self._folds(self.recipe.folds)
        left = self.seconds_left
        # The final training passes over all rows `adapters` times, each fold over all but its own.
        passes = len(splits) - 1
        allowed = None if left is None else left * passes / (passes + self.recipe.adapters)
        try:
            self.crossfit = cross_fit(
                model,
                row_maker(builder, self.inference.support, model.tokenizer),
                targets,
                splits,
                self.recipe,
                seed=self.escalation.seed,
                seconds_allowed=allowed,
                on_epoch=self.watch.fold,
            )
        except OverBudget as error:
            return Skipped(
                f"its folds alone would take about {error.args[0] / 60:.1f} min of the {(allowed or 0) / 60:.1f} min "
                "that the budget leaves for them",
                f"仅交叉验证就约需 {error.args[0] / 60:.1f} 分钟，而预算只剩 {(allowed or 0) / 60:.1f} 分钟",
            )
        truth = np.array(targets)
        estimate = calibrated_out_of_fold(self.crossfit.scores, truth, splits)
        settings = {
            "recipe": self.recipe.model_dump(mode="json"),
            "epochs": self.crossfit.epochs,
            "folds": len(splits),
            "loss_by_epoch": self.crossfit.losses,
            "accuracy_by_epoch": self.crossfit.accuracies,
        }
        return self._evidence("lora", estimate, truth, started, settings)

    def trained(self, decision: Decision, checkpoints: Path | None) -> Climbed:
        """The adapter that is served, trained on all rows."""
        builder, support = _lora_builder(self.inference, self.recipe), self.inference.support
        model = self.inference.scorer.language_model  # type: ignore[attr-defined]
        fitted = fit_adapter(
            model,
            row_maker(builder, support, model.tokenizer),
            target_positions(builder, support),
            self.recipe,
            epochs=self.crossfit.epochs if self.crossfit else None,
            seed=self.escalation.seed,
            checkpoints=checkpoints,
            on_epoch=self.watch.epoch,
        )
        tuned = Tuned(fitted, self.recipe, self.crossfit)
        return Climbed(decision, lora_answerer(self.inference, tuned), tuned)

    def answerer(self, rung: Rung) -> Answerer:
        """Answers as a rung without training does."""
        inference = with_setting(self.inference, self.chosen[rung])
        calibration = identity(len(inference.builder.labels))
        if rung == "calibrated":
            found = next(scored for scored in self.scored if scored.setting == self.chosen[rung])
            calibration = fit_bias_temperature(found.scores, found.targets)
        return Answerer(inference, (calibration,))
