"""Which demonstrations stand in the prompt, and in what order: the choices that look at labels and chance only.

`Nearest`, `NearestHidden` and `Diverse`, which look at the query, are in `similarity.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar, Protocol

from fewshot_llm.language import normalise_text
from fewshot_llm.prompting.recent import Recent
from fewshot_llm.support.example import Example
from fewshot_llm.support.supportset import SupportSet

__all__ = ["Balanced", "RandomOrder", "Selection", "own_rows"]


class Selection(Protocol):
    """Chooses demonstrations; the objects are frozen and know nothing of templates or models."""

    @property
    def depends_on_query(self) -> bool:
        """Whether another query may get other demonstrations. Only where it is false can prefixes be shared."""
        ...

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        """Positions in `support`, in prompt order, never one whose text is the query's.

        Args:
            support: the labelled examples.
            query: the text to label; `None` where the choice does not depend on it.
            shots: examples per class where classes are balanced, examples in all where they are not.
            seed: the only source of chance.
        """
        ...


@dataclass(frozen=True)
class _Keys:
    texts: tuple[str, ...]
    rows: dict[str, tuple[int, ...]]


_KEYS: Recent[_Keys] = Recent(size=64)


def own_rows(support: SupportSet, query: Example | None) -> tuple[int, ...]:
    """Positions of the examples whose text is the query's, compared as `normalise_text` gives them."""
    if query is None:
        return ()
    return _keys(support).rows.get(normalise_text(query.text), ())


def _keys(support: SupportSet) -> _Keys:
    def make() -> _Keys:
        texts = tuple(normalise_text(example.text) for example in support.examples)
        rows: dict[str, tuple[int, ...]] = {}
        for row, text in enumerate(texts):
            rows[text] = (*rows.get(text, ()), row)
        return _Keys(texts, rows)

    return _KEYS.get("keys", make, owner=support)


def _chance(seed: int, text: str) -> bytes:
    """A lot drawn by each text for itself: taking one row away leaves the order of the others as it is."""
    return hashlib.blake2b(f"{seed}\0{text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _classes(support: SupportSet, query: Example | None, shots: int, seed: int) -> list[list[int]]:
    """For each class with an example, `shots` rows drawn by chance; classes in an order drawn by chance."""
    own, texts = own_rows(support, query), _keys(support).texts
    drawn = {
        label: sorted((row for row in rows if row not in own), key=lambda row: _chance(seed, texts[row]))[:shots]
        for label, rows in support.by_label().items()
    }
    return [drawn[label] for label in sorted(drawn, key=lambda label: _chance(seed, label)) if drawn[label]]


@dataclass(frozen=True)
class Balanced:
    """`shots` examples of each class, the classes taking turns; chance decides which, and whose turn is first.

    Small models favour the label they read last (Zhao et al., "Calibrate Before Use", 2021); taking turns keeps
    every class near the end, and other seeds give the other orders, which can be averaged.

    Example:
        >>> support = SupportSet.from_lists(["a", "b", "c", "d"], ["x", "x", "y", "y"])
        >>> [support[row].label for row in Balanced().select(support, None, shots=2, seed=0)] in (
        ...     ["x", "y", "x", "y"], ["y", "x", "y", "x"])
        True
    """

    depends_on_query: ClassVar[bool] = False

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        """See `Selection.select`; `shots` is per class, and a class with fewer gives all it has."""
        turns = zip_longest(*_classes(support, query, shots, seed))
        return tuple(row for turn in turns for row in turn if row is not None)


@dataclass(frozen=True)
class RandomOrder:
    """The same examples as `Balanced`, in an order that heeds no class."""

    depends_on_query: ClassVar[bool] = False

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        """See `Selection.select`; `shots` is per class."""
        texts = _keys(support).texts
        drawn = [row for rows in _classes(support, query, shots, seed) for row in rows]
        return tuple(sorted(drawn, key=lambda row: _chance(seed, "order\0" + texts[row])))
