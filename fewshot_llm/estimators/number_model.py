"""A fitted way from texts to numbers, and its copies fitted without each fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fewshot_llm.errors import CalibrationError
from fewshot_llm.estimators.correction import Correction, CorrectionMethod
from fewshot_llm.estimators.grid import Grid
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.estimators.out_of_fold import score_held_out
from fewshot_llm.prediction_intervals import CrossValidationPlus
from fewshot_llm.scoring.base import FloatArray, Progress
from fewshot_llm.support import Example, folds

__all__ = ["FoldModels", "NumberModel", "fit_fold_models", "fit_number_model"]


@dataclass(frozen=True)
class NumberModel:
    """An inference with one correction per draw of demonstrations.

    Attributes:
        inference: what is asked, and how.
        grid: the numbers whose words are scored.
        corrections: draw 0, draw 1, …; the corrected numbers are averaged on the grid's scale.
        held_out: each support row's number, averaged over the draws, as its own prompts did not show it; on the grid's
            scale, shape [support rows], NaN for a row that could not be held out. In-sample only for the correction.
    """

    inference: Inference
    grid: Grid
    corrections: tuple[Correction, ...]
    held_out: FloatArray

    def on_scale(self, queries: Sequence[Example], progress: Progress | None = None) -> FloatArray:
        """Numbers on the grid's scale, shape [queries].

        Args:
            queries: the texts.
            progress: called with queries finished and queries in all.
        """
        values, total = self.grid.on_scale(self.grid.values), np.zeros(len(queries))
        for draw, correction in enumerate(self.corrections):
            report = _share(progress, draw, len(self.corrections))
            scores = self.inference.score_prompts(self.inference.prompts(queries, draw), draw, report)
            total += correction.read(scores, values)
        return total / len(self.corrections)


def fit_number_model(
    inference: Inference, grid: Grid, targets: FloatArray, method: CorrectionMethod, draws: int = 1
) -> NumberModel:
    """Score the support rows out of fold and fit a correction for each draw.

    Args:
        inference: what will be served; its support rows have the grid's labels.
        grid: the numbers.
        targets: of the support rows, on the grid's scale, shape [rows].
        method: how a correction is fitted.
        draws: how many draws of demonstrations are averaged.

    Raises:
        CalibrationError: fewer than two rows can be held out.
    """
    values, corrections, read = grid.on_scale(grid.values), [], np.zeros(len(targets))
    for draw in range(draws):
        held = score_held_out(inference, draw)
        if len(held.rows) < 2:
            raise CalibrationError(
                f"Only {len(held.rows)} of {len(targets)} labelled rows can be scored without being shown; a "
                "correction needs 2. Add rows whose number is near another one's."
            )
        corrections.append(method.fit(held.scores, values, targets[held.rows]))
        row_values = np.full(len(targets), np.nan)
        row_values[held.rows] = corrections[-1].read(held.scores, values)
        read += row_values
    return NumberModel(inference, grid, tuple(corrections), read / draws)


@dataclass(frozen=True)
class FoldModels:
    """Models that each did not see one fold, and what they missed it by.

    Attributes:
        models: one per fold.
        errors: which model did not see a row, and its error there, on the grid's scale.
        predictions: of each support row by the model that did not see it, on the grid's scale, shape [rows].
    """

    models: tuple[NumberModel, ...]
    errors: CrossValidationPlus
    predictions: FloatArray

    def bounds(self, queries: Sequence[Example], level: float) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds on the grid's scale, shape [queries] each; see `CrossValidationPlus`."""
        return self.errors.bounds(np.stack([model.on_scale(queries) for model in self.models]), level)


def fit_fold_models(
    inference: Inference,
    grid: Grid,
    targets: FloatArray,
    method: CorrectionMethod,
    draws: int,
    n_splits: int,
    seed: int,
) -> FoldModels:
    """Fit everything anew (demonstrations and correction) without each fold in turn.

    Args:
        inference: as for `fit_number_model`, and so are grid, targets, method and draws.
        grid: the numbers.
        targets: on the grid's scale.
        method: how a correction is fitted.
        draws: draws of demonstrations.
        n_splits: how many folds, at most one for each row.
        seed: deals rows into folds.
    """
    support = inference.support
    fold, predictions, models = np.zeros(len(support), dtype=np.int64), np.zeros(len(support)), []
    for number, (learn, held) in enumerate(folds(support, min(n_splits, len(support)), seed)):
        learnt = replace(inference, support=support.subset(learn))
        model = fit_number_model(learnt, grid, targets[list(learn)], method, draws)
        models.append(model)
        fold[list(held)] = number
        predictions[list(held)] = model.on_scale([Example(support[row].fields) for row in held])
    return FoldModels(tuple(models), CrossValidationPlus(fold, np.abs(targets - predictions)), predictions)


def _share(progress: Progress | None, draw: int, draws: int) -> Progress | None:
    return progress and (lambda done, total: progress((draw * total + done) // draws, total))
