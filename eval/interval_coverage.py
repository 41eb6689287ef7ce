"""How often the intervals of `fewshot_llm.stats.intervals` hold what they say they estimate.

    python -m eval.interval_coverage [--repeats N] [--only accuracy] [--rows 4,30] [--draws 1,5] [--seed N]

Made answers with a known truth: each answer is right where a latent difficulty (normal; `shared` is the part of its
variance that belongs to the row and is the same for every draw, from 0: draws err independently, to 1: they err on the
same rows) stays below a bar that moves from draw to draw (`spread`, in standard deviations of the difficulty: at 95 %
accuracy, .5 makes the draws' accuracies differ by about seven points). For one to four draws the truth is the mean
accuracy of these very draws over all rows, from five on that over all draws.

Printed: coverage and mean width of nominal 95 % intervals by rows and draws, the worst cell, and the same of the method
that they replaced, the pigeonhole bootstrap, on a twentieth of the repeats.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.special import ndtr, ndtri

from fewshot_llm.stats import Bounds, estimand, mean_bounds, share_bounds
from fewshot_llm.types import FloatArray

__all__ = ["Cell", "Covered", "covered", "differences", "pigeonhole", "shares", "simulate"]

ACCURACIES = (0.5, 0.7, 0.9, 0.95, 0.97, 0.99, 1.0)
PAIRS = ((0.5, 0.5), (0.9, 0.9), (0.98, 0.98), (0.5, 0.8), (0.9, 0.95), (0.9, 1.0))


@dataclass(frozen=True)
class Cell:
    """One situation.

    Attributes:
        rows: test rows.
        draws: support sets.
        accuracy: true accuracy over all draws; of the first side of a pair.
        shared: part of the difficulty's variance that draws share.
        spread: how much the draws' bars differ.
        second: true accuracy of the second side of a pair; None for a single figure.
        alike: part of the difficulty that both sides of a pair share.
    """

    rows: int
    draws: int
    accuracy: float
    shared: float
    spread: float
    second: float | None = None
    alike: float = 0.0


@dataclass(frozen=True)
class Covered:
    """What intervals did in a cell: how often they held the truth, their mean width and the smallest one."""

    cell: Cell
    coverage: float
    width: float
    narrowest: float


def shares(rows: Sequence[int], draws: Sequence[int], accuracies: Sequence[float] = ACCURACIES) -> Iterator[Cell]:
    """Cells of single figures."""
    for n, d, accuracy in itertools.product(rows, draws, accuracies):
        for shared, spread in _kinds(d):
            yield Cell(n, d, accuracy, shared, spread)


def differences(
    rows: Sequence[int], draws: Sequence[int], pairs: Sequence[tuple[float, float]] = PAIRS
) -> Iterator[Cell]:
    """Cells of paired differences, from sides that err independently to sides that hardly ever differ."""
    for n, d, (first, second), alike in itertools.product(rows, draws, pairs, (0.0, 0.99)):
        for shared, spread in _kinds(d):
            yield Cell(n, d, first, shared, spread, second, alike)


def _kinds(draws: int) -> Iterable[tuple[float, float]]:
    return ((0.0, 0.0),) if draws == 1 else ((0.0, 0.0), (0.0, 0.5), (0.5, 0.2), (1.0, 0.5))


def simulate(cell: Cell, repeats: int, generator: Generator) -> tuple[FloatArray, FloatArray]:
    """Answers (or differences of answers) of shape [repeats, draws, rows], and what they estimate, shape [repeats]."""
    common = _difficulty(cell, repeats, generator) if cell.second is not None else 0.0
    right, truth = _side(cell, cell.accuracy, repeats, common, generator)
    if cell.second is None:
        return right, truth
    second, second_truth = _side(cell, cell.second, repeats, common, generator)
    return second - right, second_truth - truth


def _side(
    cell: Cell, accuracy: float, repeats: int, common: FloatArray | float, generator: Generator
) -> tuple[FloatArray, FloatArray]:
    if accuracy == 1:
        return np.ones((repeats, cell.draws, cell.rows)), np.ones(repeats)
    bars = ndtri(accuracy) * np.hypot(1, cell.spread) + cell.spread * generator.normal(size=(repeats, cell.draws, 1))
    own = _difficulty(cell, repeats, generator)
    difficulty = float(np.sqrt(cell.alike)) * common + float(np.sqrt(1 - cell.alike)) * own
    fixed = estimand(cell.draws) == "rows"
    return (difficulty < bars).astype(float), ndtr(bars).mean(axis=(1, 2)) if fixed else np.full(repeats, accuracy)


def _difficulty(cell: Cell, repeats: int, generator: Generator) -> FloatArray:
    of_rows = generator.standard_normal((repeats, 1, cell.rows), dtype=np.float32)
    of_answers = generator.standard_normal((repeats, cell.draws, cell.rows), dtype=np.float32)
    difficulty: FloatArray = float(np.sqrt(cell.shared)) * of_rows + float(np.sqrt(1 - cell.shared)) * of_answers
    return difficulty


def covered(cell: Cell, repeats: int, generator: Generator, *, replaced: bool = False) -> Covered:
    """Simulate a cell; `replaced` uses the method of earlier versions."""
    values, truth = simulate(cell, repeats, generator)
    if replaced:
        _, low, high = pigeonhole(values, generator)
    elif cell.second is None:
        _, low, high = share_bounds(values)
    else:
        _, low, high = mean_bounds(values, reach=1.0, least=-1.0, most=1.0)
    held = (low <= truth + 1e-12) & (truth - 1e-12 <= high)
    width = high - low
    return Covered(cell, float(held.mean()), float(width.mean()), float(width.min()))


def pigeonhole(values: FloatArray, generator: Generator, resamples: int = 300) -> Bounds:
    """The bootstrap of seeds and rows, crossed (Owen 2007), with percentiles: what earlier versions used."""
    _, draws, rows = values.shape
    found = []
    for table in values:
        of_draws = generator.multinomial(draws, np.full(draws, 1 / draws), size=resamples) / draws
        of_rows = generator.multinomial(rows, np.full(rows, 1 / rows), size=resamples) / rows
        figures = np.einsum("ds,sr,dr->d", of_draws, table, of_rows, optimize=True)
        found.append((table.mean(), *np.quantile(figures, [0.025, 0.975])))
    value, low, high = np.array(found).T
    return value, low, high


def _table(
    title: str, cells: Iterable[Cell], repeats: int, seed: int, rows: Sequence[int], draws: Sequence[int]
) -> list[str]:
    new: dict[tuple[int, int], list[Covered]] = {}
    old: dict[tuple[int, int], list[Covered]] = {}
    for number, cell in enumerate(cells):
        key = cell.rows, cell.draws
        new.setdefault(key, []).append(covered(cell, repeats, np.random.default_rng((seed, number))))
        few = max(repeats // 20, 20)
        old.setdefault(key, []).append(covered(cell, few, np.random.default_rng((seed, number)), replaced=True))
    lines = [
        f"| {title}: rows | draws | estimates | covers, mean | worst cell | mean width | narrowest "
        "| before: mean | worst | narrowest |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for n, d in itertools.product(rows, draws):
        now, then = new[n, d], old[n, d]
        figures = (
            np.mean([one.coverage for one in now]),
            min(one.coverage for one in now),
            np.mean([one.width for one in now]),
            min(one.narrowest for one in now),
            np.mean([one.coverage for one in then]),
            min(one.coverage for one in then),
            min(one.narrowest for one in then),
        )
        lines.append(f"| {n} | {d} | {estimand(d)} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")
    everything = [one for found in new.values() for one in found]
    worst = min(everything, key=lambda one: one.coverage)
    low = sum(one.coverage < 0.93 for one in everything)
    lines.append(f"\n{len(everything)} cells, {low} below .93; the worst covers {worst.coverage:.4f}: {worst.cell}")
    return lines


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=1000, help="simulated results per cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("accuracy", "difference"), help="one of the two tables")
    parser.add_argument("--rows", type=_numbers, default=(4, 10, 30, 100, 300), help="test rows, separated by commas")
    parser.add_argument("--draws", type=_numbers, default=(1, 2, 4, 5, 8), help="draws, separated by commas")
    options = parser.parse_args()
    rows, draws = options.rows, options.draws
    for title, cells in (("accuracy", shares(rows, draws)), ("difference", differences(rows, draws))):
        if options.only in (None, title):
            lines = _table(title, cells, options.repeats, options.seed, rows, draws)
            print("\n".join(lines), end="\n\n", flush=True)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    main()
