"""`Grid`: the numbers whose words are scored, and the scale on which they are evenly meant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from fewshot_llm.calibration import IntArray
from fewshot_llm.errors import SupportError, TaskError
from fewshot_llm.scoring.base import FloatArray
from fewshot_llm.task import Task

__all__ = ["Grid", "Scale"]

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
