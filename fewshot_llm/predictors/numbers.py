"""From texts to numbers: the words of a grid are scored, their scores give an expected value, and that is corrected.

The expected value under a small model's probabilities ranks texts well and is squeezed or shifted: the correction
maps it to the targets' scale. It is fitted on rows that their own prompts did not show. Intervals need copies of the
model that were fitted without each fold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.isotonic import isotonic_regression

from fewshot_llm.data import Example, folds
from fewshot_llm.data.task import Task
from fewshot_llm.errors import CalibrationError, SupportError, TaskError
from fewshot_llm.predictors.out_of_fold import score_held_out
from fewshot_llm.predictors.prompted import Inference
from fewshot_llm.stats.conformal import CrossValidationPlus
from fewshot_llm.types import FloatArray, IntArray, Progress

__all__ = [
    "Correction",
    "CorrectionMethod",
    "Curve",
    "FittedNumbers",
    "FoldModels",
    "Grid",
    "Line",
    "Linear",
    "Monotone",
    "NumberModel",
    "Scale",
    "Steps",
    "expected",
    "fit_fold_models",
    "fit_number_model",
    "ridge_line",
]

TEMPERATURES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Candidates for what scores are divided by. Above 1 the lesser words have more of a say."""


def expected(scores: FloatArray, values: FloatArray, temperature: float = 1.0) -> FloatArray:
    r"""\(\sum_j v_j \operatorname{softmax}_j(s / T)\), shape [rows].

    Args:
        scores: label scores in nats, shape [rows, values].
        values: the grid's numbers on their scale.
        temperature: T.

    >>> expected(np.zeros((1, 3)), np.array([1.0, 2.0, 3.0])).tolist()
    [2.0]
    """
    result: FloatArray = softmax(scores / temperature, axis=1) @ values
    return result


class Curve(Protocol):
    """A map of expected values, ascending or flat."""

    def __call__(self, x: FloatArray) -> FloatArray:
        """Corrected values of the same shape."""
        ...


@dataclass(frozen=True)
class Line:
    """intercept + slope · x."""

    intercept: float
    slope: float

    def __call__(self, x: FloatArray) -> FloatArray:
        """See `Curve`."""
        return self.intercept + self.slope * x


@dataclass(frozen=True)
class Steps:
    """Straight between knots, flat beyond the first and the last."""

    knots: tuple[float, ...]
    heights: tuple[float, ...]

    def __call__(self, x: FloatArray) -> FloatArray:
        """See `Curve`."""
        return np.interp(x, self.knots, self.heights)


@dataclass(frozen=True)
class Correction:
    """A fitted way to read scores.

    Attributes:
        temperature: what scores are divided by before the expected value is taken.
        curve: what is done to the expected value.
    """

    temperature: float
    curve: Curve

    def read(self, scores: FloatArray, values: FloatArray) -> FloatArray:
        """Corrected numbers on the grid's scale, shape [rows], of scores with shape [rows, values]."""
        return self.curve(expected(scores, values, self.temperature))


class CorrectionMethod(Protocol):
    """How a regressor gets its correction."""

    def fit(self, scores: FloatArray, values: FloatArray, targets: FloatArray) -> Correction:
        """Fit on rows scored out of fold.

        Args:
            scores: label scores in nats, shape [rows, values].
            values: the grid's numbers on their scale.
            targets: on the same scale, shape [rows].
        """
        ...


@dataclass(frozen=True)
class Linear:
    """A straight line by ridge regression; the temperature with the smallest leave-one-out error. The default.

    The penalty on the slope is one row's worth, and a slope is never negative: scores that speak against the targets
    are noise, and the mean is the better answer.
    """

    def fit(self, scores: FloatArray, values: FloatArray, targets: FloatArray) -> Correction:
        """See `CorrectionMethod.fit`."""
        fits = [
            (temperature, *ridge_line(expected(scores, values, temperature), targets)) for temperature in TEMPERATURES
        ]
        temperature, line, _ = min(fits, key=lambda fit: fit[2])
        return Correction(temperature, line)


@dataclass(frozen=True)
class Monotone:
    """Isotonic regression (pool adjacent violators) of the expected value, straight between its steps.

    For relations that bend. It wants more rows than a line does. Its temperature is the one `Linear` chooses.
    """

    def fit(self, scores: FloatArray, values: FloatArray, targets: FloatArray) -> Correction:
        """See `CorrectionMethod.fit`."""
        temperature = Linear().fit(scores, values, targets).temperature
        x = expected(scores, values, temperature)
        knots, where = np.unique(x, return_inverse=True)
        weights = np.bincount(where).astype(np.float64)
        heights = isotonic_regression(np.bincount(where, weights=targets) / weights, sample_weight=weights)
        return Correction(temperature, Steps(tuple(knots.tolist()), tuple(heights.tolist())))


def ridge_line(x: FloatArray, y: FloatArray) -> tuple[Line, float]:
    """The line and its mean squared leave-one-out error (exact for a penalty that does not change with the row)."""
    centred = x - x.mean()
    penalty = float(centred @ centred) / len(x)
    below = float(centred @ centred) + penalty
    slope = max(0.0, float(centred @ (y - y.mean())) / below) if below > 0 else 0.0
    line = Line(float(y.mean() - slope * x.mean()), slope)
    leverage = 1 / len(x) + (centred**2 / below if slope > 0 else 0.0)
    residuals = (y - line(x)) / np.maximum(1 - leverage, 1e-9)
    return line, float((residuals**2).mean()) if len(x) > 1 else 0.0


Scale: TypeAlias = Literal["linear", "log"]

POINTS = 7
"""Of a grid made from targets: more points are closer to the truth and leave fewer demonstrations for each."""

LOG_FROM = 20.0
"""Positive targets whose largest is so many times the smallest are spread over orders of magnitude, like prices."""


@dataclass(frozen=True)
class Grid:
    """Numbers in ascending order, each with the words that are scored for it.

    Attributes:
        values: the numbers.
        words: what a model reads for each; by default the numbers themselves.
        scale: where distances are measured and averages taken; `log` for prices.

    Raises:
        TaskError: fewer than two numbers, not ascending, not finite, not positive on a logarithmic scale, or words that
            do not go one with each number.

    Example:
        >>> Grid((1, 2, 3)).nearest([1.4, 2.6]).tolist()
        [0, 2]
        >>> Grid((1, 10, 100), scale="log").nearest([4.0]).tolist()
        [1]
    """

    values: tuple[float, ...]
    words: tuple[str, ...] = ()
    scale: Scale = "linear"

    def __post_init__(self) -> None:
        if len(self.values) < 2 or not np.all(np.diff(self.values) > 0) or not np.all(np.isfinite(self.values)):
            raise TaskError(f"A grid needs at least two finite numbers in ascending order; got {list(self.values)}.")
        if self.scale == "log" and self.values[0] <= 0:
            raise TaskError(f"A logarithmic grid needs positive numbers; this one begins with {self.values[0]}.")
        if self.words and len(self.words) != len(self.values):
            raise TaskError(f"A grid of {len(self.values)} numbers has words for {len(self.words)}. Give one for each.")

    @classmethod
    def of_targets(cls, targets: FloatArray, scale: Scale | None = None, points: int = POINTS) -> Self:
        """A grid over the range of some numbers, rounded to two digits so that their words are short.

        Args:
            targets: at least two different numbers, shape [rows].
            scale: `linear` or `log`; by default `log` where positive targets span more than a factor of 20.
            points: how many numbers, at most; those that round alike are one.
        """
        low, high = float(np.min(targets)), float(np.max(targets))
        if scale is None:
            scale = "log" if low > 0 and high / low > LOG_FROM else "linear"
        if scale == "log" and low > 0:
            values = np.geomspace(low, high, points)
            # Two digits of a number may be more than its distance to the next: then as many as the distance needs.
            sizes = values * min(1.0, 4 * ((high / low) ** (1 / (points - 1)) - 1))
        else:
            values = np.linspace(low, high, points)
            sizes = np.full(points, high - low if scale == "linear" else 0.0)
        rounded = {_rounded(float(value), float(size)) for value, size in zip(values, sizes, strict=True)}
        return cls(tuple(sorted(rounded)), scale=scale)

    @classmethod
    def of_task(cls, task: Task, language: str) -> Self:
        """The grid that a task's labels are, with their words.

        Raises:
            TaskError: a label is not a number.
        """
        try:
            values = [float(label) for label in task.labels]
        except ValueError as error:
            raise TaskError(f"The labels of the regression task {task.name} must be numbers: {error}.") from error
        return cls(tuple(values), tuple(task.words(language).values()), task.scale)

    @classmethod
    def parse(cls, numbers: str, scale: Scale = "linear") -> Self:
        """A grid from numbers between commas, as a command line gives them.

        Raises:
            TaskError: one is no number.

        >>> Grid.parse("1, 2.5, 4").values
        (1.0, 2.5, 4.0)
        """
        try:
            values = tuple(float(number) for number in numbers.split(","))
        except ValueError as error:
            raise TaskError(f"The grid {numbers!r} is no list of numbers: {error}. Write for example 1,2,3.") from error
        return cls(values, scale=scale)

    @property
    def labels(self) -> tuple[str, ...]:
        """The numbers as label names."""
        return tuple(f"{value:g}" for value in self.values)

    def task(self, task: Task) -> Task:
        """The task with this grid's numbers as labels."""
        words = dict(zip(self.labels, self.words or self.labels, strict=True))
        return task.with_labels(self.labels, words)

    def on_scale(self, numbers: npt.ArrayLike) -> FloatArray:
        """Numbers as they are averaged: themselves, or their natural logarithms."""
        array = np.asarray(numbers, dtype=np.float64)
        return np.log(array) if self.scale == "log" else array

    def from_scale(self, numbers: FloatArray) -> FloatArray:
        """The reverse of `on_scale`."""
        return np.exp(numbers) if self.scale == "log" else numbers

    def nearest(self, numbers: npt.ArrayLike) -> IntArray:
        """Position of the nearest grid number (on the scale), shape [rows]; the lower one in the middle."""
        distances = np.abs(self.on_scale(numbers)[:, None] - self.on_scale(self.values))
        found: IntArray = distances.argmin(axis=1)
        return found

    def require_inside(self, numbers: Sequence[float]) -> None:
        """Refuse targets that the grid cannot speak of.

        Raises:
            SupportError: a number lies more than half a step beyond an end, or is not positive on a logarithmic scale.
        """
        beyond = [n for n in numbers if self.scale == "log" and n <= 0]
        if not beyond:
            steps = np.diff(self.on_scale(self.values)) / 2
            low, high = self.on_scale(self.values)[0] - steps[0], self.on_scale(self.values)[-1] + steps[-1]
            beyond = [n for n in numbers if not low - 1e-9 <= float(self.on_scale([n])[0]) <= high + 1e-9]
        if beyond:
            raise SupportError(
                f"{len(beyond)} targets lie outside the grid {self.values[0]:g} … {self.values[-1]:g} ({self.scale}), "
                f"for example {beyond[0]:g}. Give grid=… with numbers that span them, or mend the targets."
            )


def _rounded(value: float, size: float) -> float:
    """Two significant digits of something as large as `size`; of the value itself where that is 0."""
    size = size or abs(value)
    digits = 1 - math.floor(math.log10(size)) if size else 0
    return round(value, digits) + 0.0


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


@dataclass(frozen=True)
class FittedNumbers:
    """What a regressor answers with.

    Attributes:
        model: gives the numbers.
        folds: what intervals are made from; None without intervals.
        targets: the support rows' numbers in their own unit, shape [rows]; None where they are not kept.
    """

    model: NumberModel
    folds: FoldModels | None
    targets: FloatArray | None = None

    @property
    def inference(self) -> Inference:
        """What is asked, and how."""
        return self.model.inference


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
