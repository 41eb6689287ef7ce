"""How long a job takes: a forecast before it runs, and while it runs how far it has come.

A forecast counts the rows and measures tokens and time on a sample. Progress is one frozen snapshot, shown as a bar, as
JSON lines, or as a Prometheus textfile.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TypeAlias

from fewshot_llm.batch.labeller import Labeller
from fewshot_llm.batch.manifest import Disk, ShardEntry, total
from fewshot_llm.batch.sources import InputRow, RowSource
from fewshot_llm.batch.work import Settings, answer_new, prepare
from fewshot_llm.errors import BatchError
from fewshot_llm.types import Progress

__all__ = [
    "Estimate",
    "Meter",
    "ProgressReport",
    "Snapshot",
    "estimate_job",
    "json_lines",
    "prometheus_textfile",
]


OFTEN = 2.0
"""Seconds between two snapshots of one shard."""


@dataclass(frozen=True)
class Snapshot:
    """A moment of a job. Speeds are of this run alone: what a resumed job found finished is not counted in them.

    Attributes:
        total: rows of the input.
        done: rows labelled or in error, from the beginning.
        errors: those in error.
        found_done: rows that were finished when this run began.
        tokens: of the prompts of this run's rows.
        computed_tokens: of those, the tokens that the model had to read: shared prefixes count once a shard,
            repeated prompts not at all.
        scoring: prompts of the shard in work that are scored already.
        seconds: since this run began.
        labels: how often each label was predicted, from the beginning.
    """

    total: int
    done: int = 0
    errors: int = 0
    found_done: int = 0
    tokens: int = 0
    computed_tokens: int = 0
    scoring: int = 0
    seconds: float = 0.0
    labels: Mapping[str, int] = field(default_factory=Counter)

    @property
    def rows_per_second(self) -> float:
        """Of this run."""
        return (self.done - self.found_done) / self.seconds if self.seconds > 0 else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Prompt tokens answered per second, reused ones included."""
        return self.tokens / self.seconds if self.seconds > 0 else 0.0

    @property
    def reuse(self) -> float:
        """How many times the model's work was saved: prompt tokens ÷ tokens it had to read."""
        return self.tokens / self.computed_tokens if self.computed_tokens else 1.0

    @property
    def seconds_left(self) -> float | None:
        """At this run's speed; `None` before the first rows are done."""
        return (self.total - self.done) / self.rows_per_second if self.rows_per_second else None


ProgressReport: TypeAlias = Callable[[Snapshot], None]
"""Called with each new snapshot."""


class Meter:
    """Counts while a job runs.

    Attributes:
        at: the last snapshot.
    """

    def __init__(self, at: Snapshot, report: ProgressReport | None) -> None:
        self.at = at
        self._report = report
        self._began = self._told = time.monotonic()

    @classmethod
    def begin(cls, rows: int, entries: Sequence[ShardEntry], report: ProgressReport | None) -> Meter:
        """For a job of `rows` rows of which some shards are finished already."""
        done = sum(entry.rows for entry in entries)
        errors = done - sum(entry.labelled for entry in entries)
        labels = total(entry.labels for entry in entries)
        return cls(Snapshot(rows, done, errors, done, labels=labels), report)

    def shard_done(self, entry: ShardEntry, tokens: int, computed: int) -> None:
        """A shard was written; `tokens` and `computed` as in `Snapshot`."""
        labels = Counter(self.at.labels)
        labels.update(entry.labels)
        self.at = replace(
            self.at,
            done=self.at.done + entry.rows,
            errors=self.at.errors + entry.rows - entry.labelled,
            tokens=self.at.tokens + tokens,
            computed_tokens=self.at.computed_tokens + computed,
            labels=labels,
        )
        self._tell()

    def scoring(self) -> Progress | None:
        """For the scorer: a long shard shows signs of life every `OFTEN` seconds."""
        if self._report is None:
            return None

        def scored(done: int, of: int) -> None:
            if time.monotonic() - self._told >= OFTEN:
                self._tell(scoring=done)

        return scored

    def _tell(self, scoring: int = 0) -> None:
        self._told = time.monotonic()
        self.at = replace(self.at, scoring=scoring, seconds=self._told - self._began)
        if self._report is not None:
            self._report(self.at)


def _numbers(at: Snapshot) -> dict[str, float | int | None]:
    left = at.seconds_left
    return {
        "rows": at.done,
        "rows_total": at.total,
        "errors": at.errors,
        "scoring": at.scoring,
        "seconds": round(at.seconds, 3),
        "rows_per_second": round(at.rows_per_second, 3),
        "tokens_per_second": round(at.tokens_per_second, 1),
        "reuse_factor": round(at.reuse, 2),
        "seconds_left": None if left is None else round(left, 1),
    }


def json_lines(stream: IO[str]) -> ProgressReport:
    """One JSON object a snapshot, for schedulers.

    >>> import sys
    >>> json_lines(sys.stdout)(Snapshot(total=10, done=5, seconds=1.0))
    {"rows": 5, "rows_total": 10, "errors": 0, "scoring": 0, "seconds": 1.0, "rows_per_second": 5.0, \
"tokens_per_second": 0.0, "reuse_factor": 1.0, "seconds_left": 1.0, "labels": {}}
    """

    def report(at: Snapshot) -> None:
        line = {**_numbers(at), "labels": dict(at.labels)}
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        stream.flush()

    return report


def prometheus_textfile(path: Path, disk: Disk | None = None) -> ProgressReport:
    """Gauges in Prometheus' text format, replaced whole each time, for the node exporter's textfile collector."""
    disk = disk or Disk()

    def report(at: Snapshot) -> None:
        lines = []
        for name, value in _numbers(at).items():
            if value is not None:
                lines += [f"# TYPE fewshot_batch_{name} gauge", f"fewshot_batch_{name} {value}"]
        lines.append("# TYPE fewshot_batch_label_rows gauge")
        for label, count in sorted(at.labels.items()):
            escaped = label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
            lines.append(f'fewshot_batch_label_rows{{label="{escaped}"}} {count}')
        disk.replace_file(path, ("\n".join(lines) + "\n").encode("utf-8"))

    return report


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
