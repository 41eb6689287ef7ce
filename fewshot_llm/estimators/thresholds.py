"""From which probability on a label is given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fewshot_llm.scoring.base import FloatArray

__all__ = ["best_threshold"]


def best_threshold(probabilities: FloatArray, truth: npt.NDArray[np.bool_]) -> float:
    """The threshold with the best F1 on rows scored out of fold; of equal ones the nearest to one half.

    Args:
        probabilities: that the label applies, shape [rows].
        truth: whether it does, shape [rows].

    Returns:
        0, 0.5 or a number halfway between two probabilities that occur (where no float is between, the upper one); 0.5
        where no row has the label, for then F1 says nothing.

    >>> best_threshold(np.array([0.1, 0.2, 0.3, 0.35]), np.array([False, False, True, True]))
    0.25
    """
    if not truth.any():
        return 0.5
    known = np.unique(np.r_[0.0, probabilities, 1.0])
    lower, upper = known[:-1], known[1:]
    middle = (lower + upper) / 2
    # Neighbouring floats have nothing between them, and the middle is rounded to one of them; the upper one parts them.
    candidates = np.unique(np.r_[0.0, 0.5, np.where(middle > lower, middle, upper)])
    given = probabilities >= candidates[:, None]
    right = (given & truth).sum(axis=1)
    f1 = 2 * right / (given.sum(axis=1) + truth.sum())
    best = candidates[np.isclose(f1, f1.max())]
    return float(best[np.abs(best - 0.5).argmin()])
