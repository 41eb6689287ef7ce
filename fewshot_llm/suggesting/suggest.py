"""From a fitted classifier and a file of unlabelled rows to the rows most worth labelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot_llm.answered_rows import add_columns
from fewshot_llm.errors import SupportError
from fewshot_llm.language import normalise_text
from fewshot_llm.scoring.base import Progress
from fewshot_llm.suggesting.choose import Wish, choose, uncertainty
from fewshot_llm.suggesting.likeness import Likeness
from fewshot_llm.support import Example, SupportSet
from fewshot_llm.support.columns import LABEL, LABEL_WORDS, Columns

if TYPE_CHECKING:
    from fewshot_llm.estimators.classifier import FewShotClassifier

__all__ = ["ADDED_COLUMNS", "Suggestion", "Suggestions", "candidates", "suggest"]

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
    wish: Wish = Wish(),  # noqa: B008 (frozen)
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
    log_p = classifier.answerer_.answer(asked, progress).log_probabilities
    likeness = Likeness([example.text for example in asked], [example.text for example in support])
    held = support.by_label()
    positions = choose(
        np.exp(log_p),
        likeness.row,
        n,
        typicality=likeness.typicality,
        known=likeness.known,
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
