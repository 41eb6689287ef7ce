"""Targets of a regression, checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.base import labelled_rows
from fewshot_llm.files.values import DecimalMark, number_column
from fewshot_llm.types import FloatArray

__all__ = ["as_numbers", "require_variety"]


def as_numbers(y: Any, decimal: DecimalMark | None = None) -> FloatArray:
    """Targets as finite numbers, shape [rows]; NaN where one is missing (`None`, NaN, `NA`, an empty text).

    Args:
        y: numbers, or texts of numbers, which are read as `number_column` reads a column.
        decimal: what stands before the decimals of texts; by default they tell.

    Raises:
        SupportError: one is no number; the message names the first. Or all are missing.
        DataFileError: texts are written in two ways, or all of them can be read both ways.
    """
    values, there = labelled_rows(y)
    rule = number_column("target", [values[position] for position in there], decimal)
    numbers = [math.nan] * len(values)
    for position in there:
        value = values[position]
        number = rule.read(value)
        if number is None:
            raise SupportError(
                f"The target of row {position} is {value!r}; a regression needs a finite number for each row. Mend or "
                "remove such rows, or use a classification task for labels."
            )
        numbers[position] = number
    return np.array(numbers, dtype=np.float64)


def require_variety(targets: FloatArray) -> None:
    """Refuse targets that nothing can be learned from.

    Raises:
        SupportError: there are none, or all are alike.
    """
    if len(targets) == 0:
        raise SupportError("There are no rows. Give at least two texts with different numbers.")
    if len(set(targets.tolist())) < 2:
        raise SupportError(
            f"All {len(targets)} targets are {targets[0]:g}: there is nothing to tell apart. Add rows with others."
        )
