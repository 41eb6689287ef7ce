"""Intervals that hold the truth as often as they promise, whatever the model: jackknife+ and CV+.

Barber, Candès, Ramdas, Tibshirani, "Predictive inference with the jackknife+", Annals of Statistics 49(1), 2021.
Each labelled row is predicted by a model that was fitted without its fold; the spread of those errors, around each
such model's own prediction for the new row, gives the interval. With one row in each fold it is the jackknife+.

The promise: for exchangeable rows the truth lies inside with a probability of at least 1 − 2α (jackknife+), and
almost so for K folds; in practice it is close to 1 − α. Rows drawn otherwise than the traffic void it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fewshot_llm.errors import CalibrationError
from fewshot_llm.types import FloatArray, IntArray

__all__ = ["CrossValidationPlus", "rows_for_level"]


def rows_for_level(level: float) -> int:
    """The fewest labelled rows with which an interval of this level is finite.

    >>> rows_for_level(0.9)
    9
    """
    return math.ceil(round(1 / (1 - level), 9)) - 1


@dataclass(frozen=True, eq=False)
class CrossValidationPlus:
    """What the folds showed.

    Attributes:
        fold: for each labelled row the number of the model that did not see it, shape [rows].
        residuals: |truth − that model's prediction|, shape [rows].
    """

    fold: IntArray
    residuals: FloatArray

    def bounds(self, predictions: FloatArray, level: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds for new rows.

        Args:
            predictions: of each fold's model, shape [folds, new rows].
            level: 1 − α.

        Returns:
            Two arrays, shape [new rows].

        Raises:
            CalibrationError: the level is not between 0 and 1, or so few rows cannot promise it.

        >>> plus = CrossValidationPlus(np.arange(9), np.arange(9.0))
        >>> [bound.tolist() for bound in plus.bounds(np.zeros((9, 1)), level=0.8)]
        [[-7.0], [7.0]]
        """
        if not 0 < level < 1:
            raise CalibrationError(f"An interval's level must lie between 0 and 1; got {level}.")
        rows = len(self.residuals)
        if rows < rows_for_level(level):
            raise CalibrationError(
                f"An interval of level {level:g} needs at least {rows_for_level(level)} labelled rows, and there are "
                f"{rows}. Label more, or ask for a lower level."
            )
        alpha = 1 - level
        # Rounded first: 0.1 · 10 is not quite 1 in binary.
        rank = math.floor(round(alpha * (rows + 1), 9))
        around = predictions[self.fold]
        low = np.sort(around - self.residuals[:, None], axis=0)[rank - 1]
        high = np.sort(around + self.residuals[:, None], axis=0)[rows - rank]
        return low, high
