"""`Choice`: a history and candidates, one of which comes next; and what speaks for a candidate without a model.

Counts from baskets: how often a product is bought, and how often beside those of a history. Similarity of titles: what
a shop without a single count knows already.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from fewshot_llm.data.columns import column_values, is_table, table_rows
from fewshot_llm.data.example import as_text, readable_text
from fewshot_llm.data.language import normalise_text
from fewshot_llm.errors import SupportError
from fewshot_llm.files import json_list, read_rows
from fewshot_llm.files.values import is_missing
from fewshot_llm.prompting.selection import terms
from fewshot_llm.types import FloatArray

__all__ = ["Basket", "BasketCounts", "Choice", "TextSimilarity", "as_choices", "as_titles", "read_baskets"]


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
        separator = _separator(row["candidates"])
        return cls(
            as_titles(row["history"], separator),
            as_titles(row["candidates"], separator),
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


def as_titles(value: Any, separator: str = r"\|") -> tuple[str, ...]:
    """The titles in a cell: a list, a JSON list, or titles in one text; white space is collapsed, empty ones go.

    Args:
        value: the cell.
        separator: what stands between titles, as a regular expression.

    >>> as_titles("tea  cup|saucer")
    ('tea cup', 'saucer')
    """
    if is_missing(value):
        return ()
    parts = value
    if isinstance(value, str):
        listed = json_list(value)
        parts = re.split(separator, value) if listed is None else listed
    return tuple(title for part in parts if (title := _title(as_text(part))))


def _separator(candidates: Any) -> str:
    """What stands between titles: the first of `|`, `;` and `、` that a row's candidates hold, of which are two."""
    known = (r"\|", "[;；]", "、")
    return next((one for one in known if isinstance(candidates, str) and re.search(one, candidates)), known[0])


def _title(text: str) -> str:
    return " ".join(readable_text(text).split())


@dataclass(frozen=True)
class Basket:
    """Titles that were bought together.

    Attributes:
        titles: the products.
        user: whose basket; it says nothing about that user's own choices.
    """

    titles: frozenset[str]
    user: str = ""


@dataclass(frozen=True, eq=False)
class BasketCounts:
    """In which baskets each title is.

    Attributes:
        users: the owner of each basket.
        holding: title → numbers of the baskets that hold it.
    """

    users: tuple[str, ...]
    holding: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, baskets: Iterable[Basket]) -> BasketCounts:
        """Count baskets."""
        users, holding = [], defaultdict(list)
        for number, basket in enumerate(baskets):
            users.append(basket.user)
            for title in sorted(basket.titles):
                holding[title].append(number)
        return cls(tuple(users), {title: tuple(numbers) for title, numbers in holding.items()})

    def baskets(self) -> list[Basket]:
        """The baskets that were counted, in order."""
        titles: list[set[str]] = [set() for _ in self.users]
        for title, numbers in self.holding.items():
            for number in numbers:
                titles[number].add(title)
        return [Basket(frozenset(held), user) for held, user in zip(titles, self.users, strict=True)]

    def features(self, choice: Choice) -> FloatArray:
        r"""Log popularity and log co-occurrence of each candidate, shape [candidates, 2].

        Popularity is the number of others' baskets that hold it. Co-occurrence is the mean over the history of the
        cosine \(n_{ch} / \sqrt{n_c n_h}\) of the two titles' baskets; both are smoothed, so that what was never seen is
        unlikely and not impossible.
        """
        history = [self._others(title, choice.user) for title in choice.history]
        return np.array([self._candidate(self._others(title, choice.user), history) for title in choice.candidates])

    def _candidate(self, baskets: frozenset[int], history: Sequence[frozenset[int]]) -> tuple[float, float]:
        cosines = [len(both) / math.sqrt(len(baskets) * len(other)) for other in history if (both := baskets & other)]
        return math.log(len(baskets) + 0.5), math.log(sum(cosines) / len(history) + 0.02)

    def _others(self, title: str, user: str) -> frozenset[int]:
        numbers = self.holding.get(title, ())
        return frozenset(number for number in numbers if not user or self.users[number] != user)


def read_baskets(path: Path) -> list[Basket]:
    """Baskets from a file whose rows have `titles` (a list, or titles between `|`) and maybe `user`.

    Raises:
        SupportError: a row has no titles.
    """
    baskets = []
    for position, row in enumerate(read_rows(path)):
        titles = as_titles(row.get("titles"))
        if not titles:
            raise SupportError(f"Row {position} of {path} has no titles. Give a column “titles”, a list or A|B|C.")
        baskets.append(Basket(frozenset(titles), as_text(row.get("user"))))
    return baskets


@dataclass(frozen=True, eq=False)
class TextSimilarity:
    """Cosine of two short texts' sets of words with TF-IDF weights: shared words, the rare ones first.

    Attributes:
        texts: from which it is learned which words are rare.

    Example:
        >>> similarity = TextSimilarity(("RED MUG", "RED PLATE", "BLUE MUG", "RED LAMP"))
        >>> similarity.between("BLUE MUG", "MUG RED") > similarity.between("RED LAMP", "RED PLATE")
        True
    """

    texts: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, texts: Iterable[str]) -> TextSimilarity:
        """From texts, each counted once."""
        return cls(tuple(sorted(set(texts))))

    @cached_property
    def _frequency(self) -> Counter[str]:
        return Counter(term for text in self.texts for term in set(terms(text)))

    def between(self, one: str, other: str) -> float:
        """From 0, no word shared, to 1, the same words."""
        left, right = set(terms(one)), set(terms(other))
        size = self._weight(left) * self._weight(right)
        return self._weight(left & right) / math.sqrt(size) if size else 0.0

    def features(self, choice: Choice) -> FloatArray:
        """Similarity of each candidate to the most similar title of the history, shape [candidates, 1]."""
        return np.array([[max(self.between(new, old) for old in choice.history)] for new in choice.candidates])

    def _weight(self, words: set[str]) -> float:
        return sum(math.log((len(self.texts) + 1) / (self._frequency[word] + 0.5)) ** 2 for word in words)
