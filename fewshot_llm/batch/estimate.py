"""What a job will take, before it runs: rows are counted, tokens and time are measured on a sample."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fewshot_llm.batch.labeller import Labeller
from fewshot_llm.batch.rows import InputRow
from fewshot_llm.batch.sources import RowSource
from fewshot_llm.batch.work import Settings, answer_new, prepare
from fewshot_llm.errors import BatchError

__all__ = ["Estimate", "estimate_job"]

TIMED = 64
"""Sampled rows that are scored for the time."""


@dataclass(frozen=True)
class Estimate:
    """A forecast. Repeated texts, which a job scores once, are not foreseen: it takes this long at most.

    Attributes:
        rows: of the input, counted.
        sampled: rows that were looked at.
        bad: of those, rows that will be in error.
        tokens: prompt tokens of all rows.
        tokens_margin: half the width of the 95 % interval of `tokens`.
        seconds: for scoring all rows.
        price: of `tokens` at the given price; `None` without one.
    """

    rows: int
    sampled: int
    bad: int
    tokens: int
    tokens_margin: int
    seconds: float
    price: float | None


def estimate_job(
    labeller: Labeller,
    source: RowSource,
    settings: Settings,
    *,
    rows_per_shard: int = 1000,
    sample: int = 1000,
    seed: int = 0,
    price_per_million_tokens: float | None = None,
) -> Estimate:
    """Count the rows, and measure a sample of them.

    Args:
        labeller: scores the timed rows.
        source: read once, from beginning to end.
        settings: as the job will have them.
        rows_per_shard: what shards share (instruction, demonstrations) is paid once per shard.
        sample: how many rows are looked at, drawn evenly from all.
        seed: of the draw.
        price_per_million_tokens: for `price`, in any currency.

    Raises:
        BatchError: the input has no rows.
    """
    rows, drawn = _draw(source, sample, random.Random(seed))
    if not drawn:
        raise BatchError("The input has no rows.")
    shared = labeller.ruler.shared
    sizes: list[int] = []
    for row in drawn:
        prepared = prepare(0, [row], labeller, settings)
        sizes.append(prepared.row_tokens + shared * len(prepared.rendered))
    mean = sum(sizes) / len(sizes)
    spread = math.sqrt(sum((size - mean) ** 2 for size in sizes) / max(1, len(sizes) - 1))
    tokens = round(mean * rows)
    return Estimate(
        rows=rows,
        sampled=len(drawn),
        bad=sum(size == 0 for size in sizes),
        tokens=tokens,
        # All rows were looked at: nothing is guessed.
        tokens_margin=0 if rows == len(drawn) else round(1.96 * spread / math.sqrt(len(sizes)) * rows),
        seconds=_seconds(labeller, drawn[:TIMED], settings, rows, rows_per_shard),
        price=None if price_per_million_tokens is None else tokens * price_per_million_tokens / 1e6,
    )


def _draw(source: RowSource, size: int, dice: random.Random) -> tuple[int, list[InputRow]]:
    """How many rows there are, and some of them in random order (Vitter's algorithm R)."""
    drawn: list[InputRow] = []
    count = 0
    for count, row in enumerate(source.rows(), start=1):
        if len(drawn) < size:
            drawn.append(row)
        elif (place := dice.randrange(count)) < size:
            drawn[place] = row
    dice.shuffle(drawn)
    return count, drawn


def _seconds(
    labeller: Labeller, drawn: Sequence[InputRow], settings: Settings, rows: int, rows_per_shard: int
) -> float:
    """A few rows and many are timed: the difference is what a row takes, the rest what a shard takes."""
    few, many = max(1, len(drawn) // 8), len(drawn)
    _time(labeller, drawn[:few], settings)  # the first call also pays for warming up
    short = _time(labeller, drawn[:few], settings)
    if few == many:
        return short / few * rows
    long = _time(labeller, drawn, settings)
    each = max(0.0, (long - short) / (many - few))
    start = max(0.0, short - each * few)
    return each * rows + start * math.ceil(rows / rows_per_shard)


def _time(labeller: Labeller, rows: Sequence[InputRow], settings: Settings) -> float:
    began = time.perf_counter()
    answer_new(labeller, list(prepare(0, rows, labeller, settings).rendered.values()))
    return time.perf_counter() - began
