"""`FewShotRegressor`: texts with numbers in, numbers with intervals out; a scikit-learn estimator."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from fewshot_llm.data import Example
from fewshot_llm.data.task import Kind
from fewshot_llm.errors import ModelError
from fewshot_llm.estimators.base import (
    TextEstimator,
    as_numbers,
    as_rows,
    as_support,
    require_variety,
    warn_of_losses,
)
from fewshot_llm.ladder.base import Climb
from fewshot_llm.ladder.climb import climb_rungs
from fewshot_llm.ladder.decision import Decision
from fewshot_llm.ladder.rungs.numbers import NumberInContext, NumberLadder, NumberLora
from fewshot_llm.predictors.build import (
    LayoutName,
    ModelLike,
    TaskLike,
    TemplateLike,
    choose_language,
    scorer_of,
    text_language,
)
from fewshot_llm.predictors.numbers import (
    CorrectionMethod,
    FittedNumbers,
    FoldModels,
    Grid,
    Linear,
    Monotone,
    NumberModel,
    Steps,
    fit_fold_models,
    fit_number_model,
)
from fewshot_llm.predictors.prompted import Inference, warn_of_shots
from fewshot_llm.predictors.resources import Resources
from fewshot_llm.prompting.chat import Layout
from fewshot_llm.prompting.selection import Selection
from fewshot_llm.types import FloatArray, Progress

if TYPE_CHECKING:
    from fewshot_llm.artifacts.kinds import Artifact

__all__ = ["FewShotRegressor"]

REGRESSOR_SHOTS = 2


class FewShotRegressor(RegressorMixin, TextEstimator):  # type: ignore[misc]
    """Predicts a number from a text with a causal language model that is shown a few rated ones.

    The words of a grid of numbers are scored; the number is their expected value, corrected out of fold.

    Args:
        task: a built-in regression task's name, a task folder's path, or a `Task`.
        model: as for `FewShotClassifier`.
        grid: the numbers whose words are scored; by default the task's, and where it has none, a grid over the targets.
        shots: demonstrations for each of the grid's numbers, as the selection says; 0 shows none.
        selection: chooses demonstrations; `Balanced()` by default.
        correction: `Linear()` by default; or `Monotone()`.
        permutations: average over so many draws of demonstrations; costs as many times.
        interval_folds: folds of the CV+ intervals (the number of rows: jackknife+). Each is a prompt prefix more when
            an interval is asked for, and a fit more in `fit`; 0 for no intervals.
        ladder: a `NumberLadder`; where the error on held-out rows is above its target, `fit` trains LoRA with
            an ordinal loss and keeps it if it is better by more than noise.
        language: of the prompt; `auto` looks at the texts that are fitted.
        template: a version number of the task's templates or a `Template`; by default the newest.
        layout: `plain`, `chat` or a `Layout`; `auto` is plain.
        seed: the only source of chance.
        adapter: folder of a LoRA adapter to put on the model.
        device: `cpu`, `cuda`, …; by default the fastest present.
        dtype: the weights' number format.
        batch_tokens: tokens per forward pass; by default what fits the memory.
        cut_long_text: cut the middle out of a text that does not fit, instead of refusing it.

    Attributes:
        predictor_: `model_` and `folds_` as one thing, with the targets.
        model_: the fitted `NumberModel`: builder, scorer, support set, grid, corrections.
        folds_: the models fitted without each fold; None without intervals.
        decision_: with a ladder, what it decided and why.
        targets_: of `support_`'s rows, shape [rows].

    Example:
        >>> from fewshot_llm import FewShotRegressor
        >>> regressor = FewShotRegressor("review-rating", "gemma3-270m").fit(texts, stars)  # doctest: +SKIP
        >>> low, high = regressor.predict_interval(["Works, but loud."], level=0.9)  # doctest: +SKIP
    """

    _kind: ClassVar[Kind] = "regression"
    predictor_: FittedNumbers

    def __init__(
        self,
        task: TaskLike = "review-rating",
        model: ModelLike = "auto",
        *,
        grid: Grid | None = None,
        shots: int = REGRESSOR_SHOTS,
        selection: Selection | None = None,
        correction: CorrectionMethod | None = None,
        permutations: int = 1,
        interval_folds: int = 5,
        ladder: NumberLadder | None = None,
        language: str = "auto",
        template: TemplateLike = None,
        layout: LayoutName | Layout = "auto",
        seed: int = 0,
        adapter: str | os.PathLike[str] | None = None,
        device: str | None = None,
        dtype: str | None = None,
        batch_tokens: int | None = None,
        cut_long_text: bool = False,
    ) -> None:
        super().__init__(
            task,
            model,
            shots=shots,
            language=language,
            template=template,
            layout=layout,
            seed=seed,
            adapter=adapter,
            device=device,
            dtype=dtype,
            batch_tokens=batch_tokens,
        )
        self.grid = grid
        self.selection = selection
        self.correction = correction
        self.permutations = permutations
        self.interval_folds = interval_folds
        self.ladder = ladder
        self.cut_long_text = cut_long_text

    def fit(self, X: Any, y: Any) -> Self:
        """Clean the rated texts, assemble the prompt and fit the correction out of fold.

        Args:
            X: texts or mappings of fields: a list, an array, a Series or frame of pandas or polars, a pyarrow table.
            y: one number per text. A row whose number is missing (`None`, NaN, `NA`, empty) is left out.

        Raises:
            SupportError: targets are no numbers, all alike, or outside the grid; or no two texts are usable.
            FewshotError: a parameter does not fit; the message says which.

        Warns:
            UserWarning: rows were left out, and which; `support_.report` says why.
        """
        self._forget_fitted()
        if self.ladder is not None and not self.interval_folds:
            raise ModelError("A ladder needs rows that are held out. Use interval_folds=5 or more.")
        if self.permutations < 1 or self.interval_folds == 1 or self.interval_folds < 0:
            raise ModelError(
                f"permutations is {self.permutations} and interval_folds {self.interval_folds}; expected 1 or "
                "more, and 0 or at least 2."
            )
        task = self._take_task()
        numbers = as_numbers(y)
        there = ~np.isnan(numbers)
        require_variety(numbers[there])
        rows = as_rows(X, task)
        language = choose_language(self.language, task, (Example.of(row).text for row in rows))
        grid = self.grid or (
            Grid.of_task(task, language) if task.labels else Grid.of_targets(numbers[there], task.scale)
        )
        grid.require_inside(numbers[there].tolist())
        task = grid.task(task)
        nearest = grid.nearest(np.where(there, numbers, grid.values[0]))
        labels = [grid.labels[at] if known else None for at, known in zip(nearest, there, strict=True)]
        support = as_support(rows, labels, task)
        warn_of_losses(support, stacklevel=2)
        targets = numbers[list(support.report.kept)]
        require_variety(targets)

        scorer = scorer_of(self, text_language(language, (example.text for example in support)))
        builder = self._make_builder(task, language, scorer, self.selection)
        inference, method = Inference(builder, scorer, support), self.correction or Linear()
        if self.shots != REGRESSOR_SHOTS:
            warn_of_shots(inference, stacklevel=2)
        scaled = grid.on_scale(targets)
        model = fit_number_model(inference, grid, scaled, method, self.permutations)
        folds = (
            fit_fold_models(inference, grid, scaled, method, self.permutations, self.interval_folds, self.seed)
            if self.interval_folds
            else None
        )
        fitted = FittedNumbers(model, folds)
        self.decision_: Decision | None = None
        if self.ladder is not None and folds is not None:
            by = self.ladder
            rungs = (NumberInContext(fitted, scaled), NumberLora(model, scaled, method))
            self.decision_, kept = climb_rungs(
                Climb(Resources.of(inference), by.seed, recipe=by.recipe), rungs, by.target
            )
            fitted = kept.build()
        self.predictor_ = replace(fitted, targets=targets)
        return self

    @property
    def model_(self) -> NumberModel:
        """Gives the numbers: builder, scorer, support set, grid, corrections."""
        return self.predictor_.model

    @property
    def folds_(self) -> FoldModels | None:
        """The models fitted without each fold; None without intervals."""
        return self.predictor_.folds

    @property
    def targets_(self) -> FloatArray:
        """The numbers of `support_`'s rows, shape [rows]."""
        assert self.predictor_.targets is not None  # `fit` and `load` set them
        return self.predictor_.targets

    def predict(self, X: Any, progress: Progress | None = None) -> FloatArray:
        """A number for each text, shape [rows]; warns of texts that are missing or empty, and answers them as empty."""
        queries = self._queries_with_text(X)
        return self.model_.grid.from_scale(self.model_.on_scale(queries, progress))

    def predict_interval(self, X: Any, level: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds by CV+ (Barber et al. 2021), shape [rows] each; see `prediction_intervals`.

        Args:
            X: as for `predict`.
            level: how often the number is to lie between the bounds.

        Raises:
            CalibrationError: too few rows for that level; the message says how many are needed.
            ModelError: fitted with `interval_folds=0`.
        """
        queries = self._queries_with_text(X)
        if self.folds_ is None:
            raise ModelError("This regressor was fitted with interval_folds=0. Fit it with 5 or more for intervals.")
        low, high = self.folds_.bounds(queries, level)
        return self.model_.grid.from_scale(low), self.model_.grid.from_scale(high)

    def cross_validated_error(self) -> float:
        """Mean absolute error on the support rows, each predicted by the model that was fitted without its fold.

        Raises:
            ModelError: fitted with `interval_folds=0`.
        """
        check_is_fitted(self)
        if self.folds_ is None:
            raise ModelError("This regressor was fitted with interval_folds=0, so that no row was left out of a fit.")
        return float(np.abs(self.model_.grid.from_scale(self.folds_.predictions) - self.targets_).mean())

    @classmethod
    def _parameters_of(cls, predictor: FittedNumbers) -> dict[str, Any]:
        builder, model, folds = predictor.inference.builder, predictor.model, predictor.folds
        return {
            "grid": model.grid,
            "selection": builder.selection,
            "correction": Monotone() if isinstance(model.corrections[0].curve, Steps) else Linear(),
            "permutations": len(model.corrections),
            "interval_folds": 0 if folds is None else max(2, len(folds.models)),
            "cut_long_text": builder.cut_long_text,
        }

    def _take(self, found: Artifact) -> None:
        self.decision_ = found.decision
