"""Targets of a regression, checked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.inputs import labelled_rows
from fewshot_llm.scoring.base import FloatArray

__all__ = ["as_numbers", "require_variety"]


def as_numbers(y: Any) -> FloatArray:
    """Targets as finite numbers, shape [rows]; NaN where one is missing (`None`, NaN, `NA`, an empty text).

    Raises:
        SupportError: one is no number; the message names the first. Or all are missing.
    """
    numbers, (values, there) = [], labelled_rows(y)
    known = set(there)
    for position, value in enumerate(values):
        if position not in known:
            numbers.append(math.nan)
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise SupportError(
                f"The target of row {position} is {value!r}; a regression needs a finite number for each row. Mend or "
                "remove such rows, or use a classification task for labels."
            )
        numbers.append(number)
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
