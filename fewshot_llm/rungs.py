"""What each rung of the ladder is worth on the support rows, and how it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from fewshot_llm.calibration import fit_bias_temperature, identity
from fewshot_llm.escalation import Escalation, Measured, Skipped
from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.evidence import Rung, RungEvidence, calibrated_out_of_fold, nested_choice, rung_evidence
from fewshot_llm.incontext import (
    ScoredSetting,
    Setting,
    candidate_settings,
    languages_to_try,
    score_settings,
    with_setting,
)
from fewshot_llm.processes import agreed
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.prompting.selection import Balanced
from fewshot_llm.scoring.head import causal_network
from fewshot_llm.scoring.peak import body_flops
from fewshot_llm.support import folds
from fewshot_llm.tuning.crossfit import CrossFit, FoldReport, OverBudget, cross_fit
from fewshot_llm.tuning.recipe import Recipe
from fewshot_llm.tuning.rows import row_maker, target_positions
from fewshot_llm.tuning.trainer import EpochReport

__all__ = ["Rungs", "Watch", "lora_builder"]

IN_CONTEXT_WORK = 6e13
"""For trying settings without training in one language, where no budget is given: bytes that the model reads times
floating-point operations per token.

One to two minutes on two cores, but not by the clock: the same rows lead to the same decision on a slower machine. For
two labels with 16 rows each, and 100 million parameters in the model's layers, that is every setting.
"""

ACCELERATED = 50
"""How many times as much is allowed where the model is on an accelerator."""

IN_CONTEXT_SECONDS = 120.0
"""For the same where the model runs elsewhere and its size is not known."""

IN_CONTEXT_SHARE = 0.3
"""For trying them all, as a share of a given budget."""

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


def lora_builder(inference: Inference, recipe: Recipe) -> PromptBuilder:
    """The served builder, with the demonstrations that the recipe trains with."""
    return replace(inference.builder, shots=recipe.demonstrations, selection=Balanced())


@dataclass
class Rungs:
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
        """Evidence for a rung; of several processes, what the first one found."""
        match rung:
            case "zero-shot":
                found = self._zero_shot()
            case "in-context":
                found = self._in_context()
            case "calibrated":
                found = self._calibrated()
            case "lora":
                found = self._lora()
        model = getattr(self.inference.scorer, "language_model", None)
        return agreed(found, torch.device("cpu") if model is None else model.device)

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

    def _described(self, setting: Setting) -> dict[str, Any]:
        """A setting for the record, with the language that it asks in."""
        return {**setting.describe(), "language": setting.language or self.inference.builder.language}

    def _zero_shot(self) -> Measured:
        started = time.perf_counter()
        setting = Setting(0, Balanced())
        found = score_settings(self.inference, [setting])[0]
        self.chosen["zero-shot"] = setting
        estimate = identity(found.scores.shape[1]).log_probabilities(found.scores)
        return self._evidence("zero-shot", estimate, found.targets, started, self._described(setting))

    def _in_context(self) -> Measured:
        started, allowed = time.perf_counter(), self.allowed_search()
        self.scored = score_settings(self.inference, candidate_settings(self.inference), **allowed)
        if not self.scored:
            return Skipped(
                "no way of showing demonstrations leaves every row held out", "没有一种示例设置能让每条样例都被留出"
            )
        return self._best("in-context", started, allowed)

    def allowed_search(self) -> dict[str, float]:
        """For trying settings: a share of the budget; without one, an amount of reading that no clock decides."""
        left = self.seconds_left
        if left is not None:
            return {"seconds_allowed": left * IN_CONTEXT_SHARE}
        languages = len(languages_to_try(self.inference))
        model = getattr(self.inference.scorer, "language_model", None)
        if model is None:
            return {"seconds_allowed": IN_CONTEXT_SECONDS * languages}
        work = IN_CONTEXT_WORK * (1 if model.device.type == "cpu" else ACCELERATED)
        return {"bytes_allowed": round(work * languages / body_flops(causal_network(model.model)))}

    def _calibrated(self) -> Measured:
        if not self.scored:
            return Skipped("there are no demonstrations to calibrate", "没有可校准的示例设置")
        return self._best("calibrated", time.perf_counter(), {}, calibrate=fit_bias_temperature)

    def _best(self, rung: Rung, started: float, facts: dict[str, Any], **how: Any) -> RungEvidence:
        targets = self.scored[0].targets
        best, estimate = nested_choice([found.scores for found in self.scored], targets, self._folds(FOLDS), **how)
        setting = self.chosen[rung] = self.scored[best].setting
        settings = {**self._described(setting), "settings_tried": len(self.scored), **facts}
        return self._evidence(rung, estimate, targets, started, settings)

    def _lora(self) -> Measured:
        started = time.perf_counter()
        model = getattr(self.inference.scorer, "language_model", None)
        if model is None:
            return Skipped("the model runs elsewhere and cannot be trained here", "模型在别处运行，无法在此训练")
        if model.adapter:
            return Skipped("the model carries an adapter already", "模型已带有适配器")
        builder = lora_builder(self.inference, self.recipe)
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
            "language": builder.language,
            "epochs": self.crossfit.epochs,
            "folds": len(splits),
            "loss_by_epoch": self.crossfit.losses,
            "accuracy_by_epoch": self.crossfit.accuracies,
        }
        return self._evidence("lora", estimate, truth, started, settings)

    def answerer(self, rung: Rung) -> Answerer:
        """Answers as a rung without training does."""
        inference = with_setting(self.inference, self.chosen[rung])
        calibration = identity(len(inference.builder.labels))
        if rung == "calibrated":
            found = next(scored for scored in self.scored if scored.setting == self.chosen[rung])
            calibration = fit_bias_temperature(found.scores, found.targets)
        return Answerer(inference, (calibration,))
