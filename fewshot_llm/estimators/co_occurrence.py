"""Counts from baskets: how often a product is bought, and how often beside those of a history."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.choice import Choice, as_titles
from fewshot_llm.files import read_rows
from fewshot_llm.scoring.base import FloatArray
from fewshot_llm.support.example import as_text

__all__ = ["Basket", "BasketCounts", "read_baskets"]


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
