"""Which demonstrations stand in the prompt, and in what order.

`Balanced` and `RandomOrder` look at labels and chance only. `Nearest`, `NearestHidden` and `Diverse` choose for the
query: the most similar rows, or similar ones that differ from each other; they put the most useful one last, next to
the query.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from threading import Lock
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np

from fewshot_llm.data.example import Example
from fewshot_llm.data.language import UNSPACED, normalise_text
from fewshot_llm.data.support_set import SupportSet
from fewshot_llm.errors import SupportError
from fewshot_llm.types import FloatArray

__all__ = [
    "Balanced",
    "Bm25",
    "Diverse",
    "IdentityLRU",
    "Nearest",
    "NearestHidden",
    "RandomOrder",
    "Selection",
    "own_rows",
    "terms",
]

V = TypeVar("V")


class IdentityLRU(Generic[V]):
    """Keeps the values of the `size` keys that were asked for last.

    A value may belong to an object that is costly to hash (a support set): give it as `owner`; it is then told apart
    by identity and kept alive as long as the value is, so that its id cannot be taken by another.

    Example:
        >>> squares = IdentityLRU[int](size=2)
        >>> squares.get(3, lambda: 9)
        9
        >>> squares.get(3, lambda: 0)
        9
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, tuple[object, V]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], V], owner: object = None) -> V:
        """The value of `key` (of this `owner`), made on first use."""
        full = (id(owner), key)
        with self._lock:
            found = self._values.get(full)
            if found is not None and found[0] is owner:
                self._values.move_to_end(full)
                return found[1]
        made = make()
        with self._lock:
            self._values[full] = owner, made
            self._values.move_to_end(full)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return made

    def __reduce__(self) -> tuple[type[IdentityLRU[V]], tuple[int]]:
        # A copy in another process begins empty: identities mean nothing there.
        return IdentityLRU, (self._size,)


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


_KEYS: IdentityLRU[_Keys] = IdentityLRU(size=64)


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


_K1 = 1.2
_B = 0.75
_RUN = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+(?:'\w+)?")
_STARTS_UNSPACED = re.compile(f"[{UNSPACED}]")


def terms(text: str) -> list[str]:
    """Words of spaced scripts in lower case; overlapping character pairs of Chinese, Japanese and Korean.

    Pairs need no word list and find most Chinese words, which are two characters long.

    Example:
        >>> terms("Great 物流快 don't")
        ['great', '物流', '流快', "don't"]
    """
    found: list[str] = []
    for run in _RUN.findall(text.lower()):
        if _STARTS_UNSPACED.match(run):
            found.extend(run[i : i + 2] for i in range(max(1, len(run) - 1)))
        else:
            found.append(run)
    return found


class Bm25:
    """An index of a few thousand short texts: which of them share the query's rare words.

    Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the
    non-negative inverse document frequency log(1 + (N - n + 0.5) / (n + 0.5)).

    Example:
        >>> index = Bm25(["fast delivery", "broken box"])
        >>> scores = index.scores("the box came broken")
        >>> bool(scores[1] > scores[0])
        True
    """

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(terms(text)) for text in texts]
        lengths = [sum(count.values()) for count in counts]
        mean = sum(lengths) / max(1, len(lengths)) or 1.0
        frequency = Counter(term for count in counts for term in count)
        rows: dict[str, list[int]] = {term: [] for term in frequency}
        weights: dict[str, list[float]] = {term: [] for term in frequency}
        for row, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            for term, times in count.items():
                idf = math.log(1 + (len(texts) - frequency[term] + 0.5) / (frequency[term] + 0.5))
                norm = times + _K1 * (1 - _B + _B * length / mean)
                rows[term].append(row)
                weights[term].append(idf * times * (_K1 + 1) / norm)
        self._size = len(texts)
        self._postings = {term: (np.array(rows[term]), np.array(weights[term])) for term in frequency}

    def scores(self, query: str) -> FloatArray:
        """How well each text answers `query`, shape [texts]; 0 where no term is shared."""
        total = np.zeros(self._size)
        for term, times in Counter(terms(query)).items():
            if term in self._postings:
                rows, weights = self._postings[term]
                total[rows] += times * weights
        return total


_INDEX: IdentityLRU[Bm25] = IdentityLRU(size=16)
_VECTORS: IdentityLRU[FloatArray] = IdentityLRU(size=16)
_LIKENESS: IdentityLRU[FloatArray] = IdentityLRU(size=4096)

_CANDIDATES = 64


def _best_last(scores: FloatArray, own: Sequence[int], shots: int) -> tuple[int, ...]:
    """The `shots` rows with the highest scores, ascending; of equals the earlier row counts as better."""
    order = np.argsort(-scores, kind="stable")
    return tuple(int(row) for row in order if row not in own)[:shots][::-1]


def _need(query: Example | None, selection: object) -> Example:
    if query is None:
        raise SupportError(f"{type(selection).__name__} chooses demonstrations for a query, and none was given.")
    return query


def _index(support: SupportSet) -> Bm25:
    return _INDEX.get("bm25", lambda: Bm25([example.text for example in support.examples]), owner=support)


@dataclass(frozen=True)
class Nearest:
    """The `shots` examples (in all) that share the most telling words with the query, by BM25.

    Chinese is compared by pairs of characters, so no word list is needed.

    Example:
        >>> support = SupportSet.from_lists(["物流太慢", "质量很好", "快递慢"], ["差评", "好评", "差评"])
        >>> Nearest().select(support, Example.of("物流快"), shots=1, seed=0)
        (0,)
    """

    depends_on_query: ClassVar[bool] = True

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        """See `Selection.select`; `shots` is in all, `seed` is not used."""
        query = _need(query, self)
        return _best_last(_index(support).scores(query.text), own_rows(support, query), shots)


@dataclass(frozen=True)
class NearestHidden:
    """The `shots` examples (in all) whose vectors have the highest cosine with the query's.

    Attributes:
        embed: texts → vectors, shape [texts, width]; for example a model's mean hidden state. The support set is
            embedded once, each query by itself.
    """

    embed: Callable[[Sequence[str]], FloatArray] = field(repr=False)

    depends_on_query: ClassVar[bool] = True

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        """See `Selection.select`; `shots` is in all, `seed` is not used."""
        query = _need(query, self)
        known = _VECTORS.get(
            self.embed, lambda: _unit(self.embed([example.text for example in support.examples])), owner=support
        )
        scores = known @ _unit(self.embed([query.text]))[0]
        return _best_last(scores, own_rows(support, query), shots)


def _unit(vectors: FloatArray) -> FloatArray:
    vectors = np.array(vectors, dtype=np.float64)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise SupportError(
            f"The embedding gave an array of shape {vectors.shape}; expected finite numbers of shape [texts, width]."
        )
    lengths: FloatArray = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = vectors / np.maximum(lengths, 1e-12)
    return unit


@dataclass(frozen=True)
class Diverse:
    """`shots` examples (in all) that are near the query and unlike each other: maximal marginal relevance.

    Carbonell and Goldstein, "The Use of MMR" (1998): one after the other, the example with the highest
    relevance · nearness to the query − (1 − relevance) · likeness to the nearest one chosen before. Both are BM25:
    nearness as a share of the nearest example's, likeness as a share of an example's likeness to itself.

    Attributes:
        relevance: from 0 (only unlike each other) to 1 (as `Nearest`).
    """

    relevance: float = 0.7

    depends_on_query: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.relevance <= 1:
            raise SupportError(f"The relevance of Diverse is {self.relevance}; expected a number from 0 to 1.")

    def select(self, support: SupportSet, query: Example | None, shots: int, seed: int) -> tuple[int, ...]:
        """See `Selection.select`; `shots` is in all, `seed` is not used."""
        query = _need(query, self)
        scores = _index(support).scores(query.text)
        pool = list(_best_last(scores, own_rows(support, query), max(_CANDIDATES, 2 * shots)))[::-1]
        nearness = scores / max(float(scores[pool].max(initial=0.0)), 1e-12)
        likeness = np.zeros(len(support))
        chosen: list[int] = []
        while pool and len(chosen) < shots:
            best = max(pool, key=lambda row: self.relevance * nearness[row] - (1 - self.relevance) * likeness[row])
            pool.remove(best)
            chosen.append(best)
            likeness = np.maximum(likeness, _likeness(support, best))
        return tuple(reversed(chosen))


def _likeness(support: SupportSet, row: int) -> FloatArray:
    """How much of `row` each example of the support set shares, from 0 to 1."""

    def make() -> FloatArray:
        scores = _index(support).scores(support[row].text)
        return scores / max(float(scores[row]), 1e-12)

    return np.minimum(_LIKENESS.get(row, make, owner=support), 1.0)
