"""The choice itself, over probabilities and likeness alone: unsure, typical, unlike each other, of every class.

- **Unsure**: the margin between the two most probable labels (Scheffer et al. 2001). Entropy would, with many labels,
  mostly count how the improbable ones share their rest.
- **Typical**: like many other rows (information density, Settles and Craven 2008). What is unsure and like nothing else
  is often noise, and a label for it teaches nothing about the rest.
- **Unlike each other**: maximal marginal relevance (Carbonell and Goldstein 1998), counting the rows that are labelled
  already among the chosen ones.
- **Of every class**: the class with the fewest rows so far has the next turn, by the guessed labels.

Uncertainty and typicality are compared by rank: small models' probabilities crowd in one place, and which place says
more about the calibration than about the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from fewshot_llm.errors import FewshotError
from fewshot_llm.scoring.base import FloatArray

__all__ = ["Wish", "choose", "uncertainty"]


@dataclass(frozen=True)
class Wish:
    """How much each of the four counts.

    Attributes:
        typicality: from 0 (only uncertainty) to 1 (only typicality).
        diversity: from 0 (likeness to what is chosen does not count) to 1 (nothing else counts).
        near: rows whose likeness to a chosen or labelled row is at least this are never chosen.
    """

    typicality: float = 0.5
    diversity: float = 0.5
    near: float = 0.85

    def __post_init__(self) -> None:
        for name in ("typicality", "diversity", "near"):
            if not 0 <= getattr(self, name) <= 1:
                raise FewshotError(f"{name} is {getattr(self, name)}; expected a number from 0 to 1.")


def uncertainty(probabilities: FloatArray) -> FloatArray:
    """1 − (best probability − second best), shape [rows], from shape [rows, labels]; 0 where there is one label.

    >>> uncertainty(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    if probabilities.shape[1] < 2:
        return np.zeros(len(probabilities))
    ordered = np.sort(probabilities, axis=1)
    margins: FloatArray = 1.0 - (ordered[:, -1] - ordered[:, -2])
    return margins


def choose(
    probabilities: FloatArray,
    likeness: Callable[[int], FloatArray],
    n: int,
    *,
    typicality: FloatArray,
    known: FloatArray,
    labelled: Sequence[int],
    wish: Wish = Wish(),
) -> list[int]:
    """Choose rows to label, most worth it first.

    Args:
        probabilities: calibrated, shape [rows, labels].
        likeness: of one row to every row, from 0 to 1, shape [rows].
        n: how many; fewer come back where near-duplicates leave no more.
        typicality: how like the other rows each one is, on any scale, shape [rows].
        known: each row's likeness to the nearest labelled row, from 0 to 1, shape [rows].
        labelled: how many labelled rows each label has, length [labels].
        wish: how much each aim counts.

    Example:
        >>> p = np.array([[0.5, 0.5], [0.6, 0.4], [0.9, 0.1]])
        >>> choose(p, lambda row: np.eye(3)[row], 2, typicality=np.ones(3), known=np.zeros(3), labelled=[4, 4])
        [0, 1]
    """
    if not len(probabilities):
        return []
    unsure, typical = _ranks(uncertainty(probabilities)), _ranks(typicality)
    worth = (1 - wish.typicality) * unsure + wish.typicality * typical
    guesses, counts = probabilities.argmax(axis=1), np.array(labelled)
    nearest, chosen = np.array(known, dtype=np.float64), list[int]()
    while len(chosen) < n:
        open_rows = nearest < wish.near
        open_rows[chosen] = False
        if not open_rows.any():
            break
        # The class with the fewest rows among those that still have a candidate.
        turn = min(np.unique(guesses[open_rows]), key=lambda label: (counts[label], label))
        value = (1 - wish.diversity) * worth - wish.diversity * nearest
        best = int(np.where(open_rows & (guesses == turn), value, -np.inf).argmax())
        chosen.append(best)
        counts[turn] += 1
        nearest = np.maximum(nearest, likeness(best))
    return chosen


def _ranks(values: FloatArray) -> FloatArray:
    """0 for the lowest to 1 for the highest; equal values get the same rank."""
    ranks: FloatArray = (rankdata(values) - 1) / max(1, len(values) - 1)
    return ranks
