"""`Choice`: a history and candidates, one of which comes next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from fewshot_llm.errors import SupportError
from fewshot_llm.files import json_list
from fewshot_llm.files.values import is_missing
from fewshot_llm.language import normalise_text
from fewshot_llm.support.example import as_text, readable_text
from fewshot_llm.support.tables import column_values, is_table, table_rows

__all__ = ["Choice", "as_choices", "as_titles"]


@dataclass(frozen=True)
class Choice:
    """What one customer bought so far, and what may come next.

    Attributes:
        history: titles in order, the latest last.
        candidates: titles to rank.
        chosen: which of the candidates came next; `None` where it is asked.
        user: whose it is: counts from the user's own baskets are not held against the user's own choices.

    Raises:
        SupportError: the history is empty, there are fewer than two candidates, one stands there twice, or the chosen
            one is no candidate or is in the history.
    """

    history: tuple[str, ...]
    candidates: tuple[str, ...]
    chosen: str | None = None
    user: str = ""

    def __post_init__(self) -> None:
        if not self.history:
            raise SupportError("A history is empty: give at least one title that was bought, or rank by popularity.")
        if len(self.candidates) < 2:
            raise SupportError(f"{len(self.candidates)} candidates leave nothing to rank. Give at least two.")
        names = [normalise_text(title) for title in self.candidates]
        twice = [title for title, name in zip(self.candidates, names, strict=True) if names.count(name) > 1]
        if twice or "" in names:
            raise SupportError(
                f"The candidates hold {twice[0]!r} more than once. Give each once."
                if twice
                else "A candidate has no title. Leave it out."
            )
        if self.chosen is None:
            return
        if self.chosen not in self.candidates:
            raise SupportError(f"The chosen product {self.chosen!r} is not among the {len(names)} candidates. Add it.")
        if normalise_text(self.chosen) in {normalise_text(title) for title in self.history}:
            raise SupportError(
                f"The chosen product {self.chosen!r} is in the history already, so that the answer could be read off. "
                "Cut the history before the purchase."
            )

    @classmethod
    def of(cls, row: Mapping[str, Any] | Choice, chosen: str | None = None) -> Self | Choice:
        """A choice from a mapping with `history` and `candidates`, maybe `user`.

        Both are lists, JSON lists, or titles joined by `|`, `;` or `、`.
        """
        if isinstance(row, Choice):
            return row if chosen is None else cls(row.history, row.candidates, _title(chosen), row.user)
        for name in ("history", "candidates"):
            if name not in row:
                raise SupportError(f"A row has no {name!r}; it has {', '.join(map(str, row)) or 'nothing'}.")
        sign = _sign(row["candidates"])
        return cls(
            as_titles(row["history"], sign),
            as_titles(row["candidates"], sign),
            None if chosen is None else _title(chosen),
            as_text(row.get("user")),
        )

    @property
    def answer(self) -> int:
        """Position of the chosen candidate."""
        return self.candidates.index(str(self.chosen))


def as_choices(X: Iterable[Mapping[str, Any] | Choice], y: Sequence[Any] | None = None) -> list[Choice]:
    """Choices of rows, each with what was chosen where `y` says so; rows whose answer is missing are left out.

    Raises:
        SupportError: a row is unusable; the message says which and why.
    """
    rows = table_rows(X) if is_table(X) else list(X)
    answers = None if y is None else [as_text(value) for value in column_values(y)]
    if answers is not None and len(answers) != len(rows):
        raise SupportError(f"There are {len(rows)} choices but {len(answers)} answers. Give one for each.")
    choices = []
    for position, row in enumerate(rows):
        if answers is not None and not answers[position].strip():
            continue
        try:
            choices.append(Choice.of(row, None if answers is None else answers[position]))
        except SupportError as error:
            raise SupportError(f"Row {position}: {error}") from error
    return choices


def as_titles(value: Any, sign: str = r"\|") -> tuple[str, ...]:
    """The titles in a cell: a list, a JSON list, or titles between signs; white space is collapsed, empty ones go.

    Args:
        value: the cell.
        sign: what stands between titles, as a regular expression.

    >>> as_titles("tea  cup|saucer")
    ('tea cup', 'saucer')
    """
    if is_missing(value):
        return ()
    parts = value
    if isinstance(value, str):
        listed = json_list(value)
        parts = re.split(sign, value) if listed is None else listed
    return tuple(title for part in parts if (title := _title(as_text(part))))


def _sign(candidates: Any) -> str:
    """What stands between titles: the first of `|`, `;` and `、` that a row's candidates hold, of which are two."""
    signs = (r"\|", "[;；]", "、")
    return next((sign for sign in signs if isinstance(candidates, str) and re.search(sign, candidates)), signs[0])


def _title(text: str) -> str:
    return " ".join(readable_text(text).split())
