"""From a fitted classifier and a file of unlabelled rows to the rows most worth labelling.

The choice sees probabilities and similarity alone. Rows are worth labelling that are:

- **Unsure**: the margin between the two most probable labels (Scheffer et al. 2001). Entropy would, with many labels,
  mostly count how the improbable ones share their rest.
- **Typical**: like many other rows (information density, Settles and Craven 2008). What is unsure and like nothing else
  is often noise, and a label for it teaches nothing about the rest.
- **Unlike each other**: maximal marginal relevance (Carbonell and Goldstein 1998), counting the rows that are labelled
  already among the chosen ones.
- **Of every class**: the class with the fewest rows so far has the next turn, by the guessed labels.

Uncertainty and typicality are compared by rank: small models' probabilities crowd in one place, and which place says
more about the calibration than about the rows.

How alike two texts are is the cosine of their telling words: the terms of `prompting/selection.py`. BM25 itself is not
used: its score is not the same in both directions and has no upper end, so that neither "nearly the same" nor "typical"
can be read off it. Numbers count as equal, for two texts that differ in an order number teach the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata
from sklearn.feature_extraction.text import TfidfVectorizer

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.columns import LABEL, LABEL_WORDS, Columns
from fewshot_llm.data.language import normalise_text
from fewshot_llm.errors import FewshotError, SupportError
from fewshot_llm.labelling.files import add_columns
from fewshot_llm.prompting.selection import terms
from fewshot_llm.types import FloatArray, Progress

if TYPE_CHECKING:
    from fewshot_llm.estimators.classifier import FewShotClassifier

__all__ = [
    "ADDED_COLUMNS",
    "PoolSimilarity",
    "Suggestion",
    "Suggestions",
    "Wish",
    "candidates",
    "choose",
    "suggest",
    "uncertainty",
]


@dataclass(frozen=True)
class Wish:
    """How much each of the four counts.

    Attributes:
        typicality: from 0 (only uncertainty) to 1 (only typicality).
        diversity: from 0 (similarity to what is chosen does not count) to 1 (nothing else counts).
        near: rows whose similarity to a chosen or labelled row is at least this are never chosen.
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
    similarity: Callable[[int], FloatArray],
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
        similarity: of one row to every row, from 0 to 1, shape [rows].
        n: how many; fewer come back where near-duplicates leave no more.
        typicality: how like the other rows each one is, on any scale, shape [rows].
        known: each row's similarity to the nearest labelled row, from 0 to 1, shape [rows].
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
        nearest = np.maximum(nearest, similarity(best))
    return chosen


def _ranks(values: FloatArray) -> FloatArray:
    """0 for the lowest to 1 for the highest; equal values get the same rank."""
    ranks: FloatArray = (rankdata(values) - 1) / max(1, len(values) - 1)
    return ranks


class PoolSimilarity:
    """The similarity of a pool's rows to each other and to labelled texts, all from 0 to 1.

    Args:
        pool: the unlabelled texts.
        labelled: the labelled ones.

    Attributes:
        typicality: mean similarity to the rows of the pool, shape [pool].
        known: similarity to the nearest labelled text, shape [pool]; 0 without any.

    Example:
        >>> similarity = PoolSimilarity(["box arrived broken", "broken box arrived", "great"], ["great quality"])
        >>> similarity.row(0).round(2).tolist()
        [1.0, 1.0, 0.0]
        >>> similarity.known.round(2).tolist()
        [0.0, 0.0, 0.62]
    """

    def __init__(self, pool: Sequence[str], labelled: Sequence[str]) -> None:
        self.typicality: FloatArray = np.zeros(len(pool))
        self.known: FloatArray = np.zeros(len(pool))
        if not pool:
            return
        vectors = TfidfVectorizer(analyzer=_terms, sublinear_tf=True).fit_transform([*pool, *labelled])
        self._pool: Any = vectors[: len(pool)]
        centre = np.asarray(self._pool.mean(axis=0)).ravel()
        self.typicality = np.asarray(self._pool @ centre)
        for at in range(len(pool), vectors.shape[0]):
            self.known = np.maximum(self.known, (self._pool @ vectors[at].T).toarray().ravel())

    def row(self, row: int) -> FloatArray:
        """The similarity of one row of the pool to every one, shape [pool]."""
        found: FloatArray = (self._pool @ self._pool[row].T).toarray().ravel()
        return found


def _terms(text: str) -> list[str]:
    plain = re.sub(r"\d+", "0", normalise_text(text))
    return terms(plain) or [plain]  # a text of nothing but signs is like its own kind


ADDED_COLUMNS = ("guess", "probability", "pool_row")
"""What stands beside a suggested row: the label guessed, its probability, and where the row came from (from 1)."""


@dataclass(frozen=True)
class Suggestion:
    """A row that is worth labelling.

    Attributes:
        row: its position in the pool.
        example: its text.
        guess: the label that the classifier would give.
        probability: calibrated probability of the guess.
        uncertainty: 1 − (best probability − second best).
    """

    row: int
    example: Example
    guess: str
    probability: float
    uncertainty: float


@dataclass(frozen=True)
class Suggestions:
    """The rows most worth labelling, and what was left out beforehand.

    Attributes:
        chosen: most worth it first.
        without_text: rows of the pool that have no text.
        repeated: rows whose text is in the support set or stands earlier in the pool. Near-duplicates are not counted
            here: they are candidates until something near them is chosen.
    """

    chosen: tuple[Suggestion, ...]
    without_text: int
    repeated: int

    def rows(self, columns: Columns) -> list[dict[str, Any]]:
        """Rows in the form of the support file, the label still to be filled in, and `ADDED_COLUMNS`.

        Where the support file calls its text or label like an added column, that one is renamed (see `add_columns`).

        Args:
            columns: the support file's.
        """
        names = {field: column for field, column in columns.names.items() if field not in (LABEL, LABEL_WORDS)}
        empty = {columns.names[LABEL]: ""}
        rows = [
            {column: found.example.fields.get(field, "") for field, column in names.items()} | empty
            for found in self.chosen
        ]
        added = [
            dict(zip(ADDED_COLUMNS, (found.guess, round(found.probability, 4), found.row + 1), strict=True))
            for found in self.chosen
        ]
        return add_columns(rows, added, ADDED_COLUMNS)


def candidates(pool: Sequence[Example], support: SupportSet) -> tuple[list[int], int, int]:
    """Which rows may be suggested: with a text, not labelled yet, each text once.

    Returns:
        Positions in the pool, how many rows have no text, and how many are repeated.
    """
    seen = {normalise_text(example.text) for example in support}
    kept, empty, repeated = [], 0, 0
    for row, example in enumerate(pool):
        text = normalise_text(example.text)
        if not text:
            empty += 1
        elif text in seen:
            repeated += 1
        else:
            seen.add(text)
            kept.append(row)
    return kept, empty, repeated


def suggest(
    classifier: FewShotClassifier,
    pool: Sequence[Example] | Sequence[Mapping[str, Any]] | Sequence[str],
    n: int = 20,
    wish: Wish = Wish(),
    progress: Progress | None = None,
) -> Suggestions:
    """The rows of a pool that are most worth labelling (see `choose`).

    Args:
        classifier: fitted on what is labelled so far.
        pool: unlabelled texts.
        n: how many rows to suggest.
        wish: how much each aim counts.
        progress: called with rows scored and rows in all.

    Raises:
        SupportError: n is less than 1.
    """
    if n < 1:
        raise SupportError(f"n is {n}; ask for at least 1 row.")
    support, labels = classifier.support_, classifier.labels_
    examples = [Example.of(value) for value in pool]
    rows, empty, repeated = candidates(examples, support)
    asked = [examples[row] for row in rows]
    log_p = classifier.predictor_.answer(asked, progress).log_probabilities
    similarity = PoolSimilarity([example.text for example in asked], [example.text for example in support])
    held = support.by_label()
    positions = choose(
        np.exp(log_p),
        similarity.row,
        n,
        typicality=similarity.typicality,
        known=similarity.known,
        labelled=[len(held.get(label, ())) for label in labels],
        wish=wish,
    )
    unsure, guesses = uncertainty(np.exp(log_p)), log_p.argmax(axis=1)
    chosen = tuple(
        Suggestion(
            row=rows[at],
            example=asked[at],
            guess=labels[guesses[at]],
            probability=float(np.exp(log_p[at, guesses[at]])),
            uncertainty=float(unsure[at]),
        )
        for at in positions
    )
    return Suggestions(chosen, empty, repeated)
