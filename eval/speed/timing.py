"""Times two ways of doing the same work in turn, so that a machine whose speed drifts still gives a fair ratio."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

__all__ = ["Ratio", "paired", "seconds"]


@dataclass(frozen=True)
class Ratio:
    """Seconds of one way over seconds of the other, round by round."""

    rounds: tuple[tuple[float, float], ...]

    @property
    def values(self) -> list[float]:
        return sorted(first / second for first, second in self.rounds)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def as_json(self) -> dict[str, object]:
        first, second = (statistics.median(column) for column in zip(*self.rounds, strict=True))
        low, *_, high = (*self.values, self.values[-1])
        return {"ratio": self.median, "lowest": low, "highest": high, "seconds": first, "compared_seconds": second}


def seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def paired(first: Callable[[], object], second: Callable[[], object], rounds: int) -> Ratio:
    """Both in turn, `rounds` times after one warm-up of each. A callable may return its own seconds."""

    def timed(work: Callable[[], object]) -> float:
        began = perf_counter()
        own = work()
        return own if isinstance(own, float) else perf_counter() - began

    first(), second()
    return Ratio(tuple((timed(first), timed(second)) for _ in range(rounds)))
