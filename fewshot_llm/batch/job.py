"""A batch job: what it is, where its output goes, and how one finished shard is written down."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from fewshot_llm.batch.drift import SupportProfile, drift_warnings
from fewshot_llm.batch.labeller import Labeller
from fewshot_llm.batch.manifest import ERRORS, MANIFEST, Disk, Journal, ShardEntry
from fewshot_llm.batch.progress import Snapshot
from fewshot_llm.batch.shards import Format, ShardSchema, encode_shard, input_schema, output_names, written_schema
from fewshot_llm.batch.sources import InputRow, RowSource
from fewshot_llm.batch.work import Finished, Settings
from fewshot_llm.errors import BatchError
from fewshot_llm.files.atomic import sole_writer
from fewshot_llm.files.values import json_line
from fewshot_llm.types import Text

__all__ = [
    "BatchReport",
    "Job",
    "Output",
    "finish_job",
    "how_far",
    "job_lock",
    "model_fingerprint",
    "open_job",
    "shards_of",
    "write_shard",
]

ROWS_PER_SHARD = 1000
LOCK = ".lock"


@dataclass(frozen=True)
class Output:
    """Where and how results are written.

    Attributes:
        folder: empty or new; with `resume`, one that holds the same job.
        form: of the shards.
        rows_per_shard: input rows per shard: what a crash can cost, and what is scored together.
        resume: go on with the folder's job.
    """

    folder: Path
    form: Format = "parquet"
    rows_per_shard: int = ROWS_PER_SHARD
    resume: bool = False

    def __post_init__(self) -> None:
        if self.rows_per_shard < 1:
            raise BatchError(f"A shard must have at least one row; rows_per_shard={self.rows_per_shard} was given.")


@dataclass(frozen=True)
class BatchReport:
    """What became of a job.

    Attributes:
        rows: rows of the input; equals labelled + sum of errors (checked).
        labelled: rows with a label.
        errors: rows in `errors.jsonl`, by kind.
        labels: how often each label was predicted.
        redacted: pieces of personal data replaced, by kind.
        warnings: what the drift check found.
        last: the last snapshot: speed, reuse.
        manifest: path of `manifest.json`.
        columns: what the job's own columns are called, by their usual names.
        changed: a sentence for each input file that changed while the job ran; the manifest says so too.
    """

    rows: int
    labelled: int
    errors: Mapping[str, int]
    labels: Mapping[str, int]
    redacted: Mapping[str, int]
    warnings: tuple[Text, ...]
    last: Snapshot
    manifest: Path
    columns: Mapping[str, str]
    changed: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Job:
    """A job that is begun or gone on with.

    Attributes:
        source: its input.
        output: where it writes.
        journal: how far it is.
        schema: of its shards.
    """

    source: RowSource
    output: Output
    journal: Journal
    schema: ShardSchema


@contextmanager
def job_lock(folder: Path) -> Iterator[None]:
    """Within it, no other process writes the output folder, which is made where it is not there. May be nested.

    Raises:
        BusyError: another job is at it; the message names its process.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with sole_writer(folder / LOCK, f"the output folder {folder}"):
            yield
    finally:
        if made:
            with suppress(OSError):  # a job that began has files there
                folder.rmdir()


def how_far(job: Job, rows: int, kept: int = 0) -> Text:
    """For somebody who has stopped the job: what is finished, and how to go on.

    Args:
        job: the job.
        rows: of its input.
        kept: prompts of unfinished shards that need not be scored again.
    """
    done = sum(entry.rows for entry in job.journal.entries)
    template = HOW_FAR_KEPT if kept else HOW_FAR
    return template.fill(done=done, rows=rows, folder=job.output.folder, kept=kept)


HOW_FAR = Text(
    "{done:,} of {rows:,} rows are finished in {folder}. Go on with the same command and --resume.",
    "{folder} 中已完成 {rows:,} 行中的 {done:,} 行。用同一命令加 --resume 继续。",
)
HOW_FAR_KEPT = Text(
    "{done:,} of {rows:,} rows are finished in {folder}, and {kept:,} prompts of the next ones are scored and kept. "
    "Go on with the same command and --resume.",
    "{folder} 中已完成 {rows:,} 行中的 {done:,} 行，后面的 {kept:,} 条提示也已打分并保存。用同一命令加 --resume 继续。",
)


def _describe_job(
    labeller: Labeller,
    source: RowSource,
    output: Output,
    settings: Settings,
    engine: str,
    result_columns: Mapping[str, str],
) -> dict[str, Any]:
    """Everything that may change the output, JSON-able: two jobs with equal descriptions give equal bytes."""
    redactor = settings.redactor
    return {
        "labeller": dict(labeller.fingerprint),
        "labels": list(labeller.labels),
        "input": source.identity(),
        "columns": dict(settings.columns),
        "result_columns": dict(result_columns),
        "long_text": settings.long_text.value,
        "redacted": None
        if redactor is None
        else {"kinds": sorted(kind.value for kind in redactor.kinds), "regions": sorted(redactor.regions)},
        "shards": {"format": output.form, "rows": output.rows_per_shard},
        "engine": engine,
    }


def model_fingerprint(labeller: Labeller) -> str:
    """16 hex digits that stand for all of `labeller.fingerprint`."""
    material = json.dumps(dict(labeller.fingerprint), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(material.encode("utf-8")).hexdigest()[:16]


def shards_of(source: RowSource, rows_per_shard: int) -> Iterator[tuple[int, list[InputRow]]]:
    """The source's rows in shards: number, rows."""
    rows = source.rows()
    number = 0
    while part := list(islice(rows, rows_per_shard)):
        yield number, part
        number += 1


def write_shard(job: Job, finished: Finished, disk: Disk) -> ShardEntry:
    """Errors, then the shard, then the journal: each on the disk before the next begins."""
    journal, output = job.journal, job.output
    lines = b"".join(map(json_line, finished.errors))
    errors_end = disk.append(output.folder / ERRORS, lines, at=journal.errors_end)
    data = encode_shard(finished.labelled, job.schema, output.form)
    name = f"shard-{finished.shard:05d}.{output.form}"
    disk.replace_file(output.folder / name, data)
    margins = [row.margin for row in finished.labelled]
    entry = ShardEntry(
        shard=finished.shard,
        file=name,
        sha256=hashlib.sha256(data).hexdigest(),
        first_row=finished.first_row,
        rows=len(finished.labelled) + len(finished.errors),
        labelled=len(finished.labelled),
        errors=_counted(error["kind"] for error in finished.errors),
        errors_end=errors_end,
        labels=_counted(row.label for row in finished.labelled),
        mean_margin=round(sum(margins) / len(margins), 6) if margins else None,
        redacted=dict(sorted(finished.redacted.items())),
    )
    journal.add(entry)
    return entry


def open_job(labeller: Labeller, source: RowSource, output: Output, settings: Settings, engine: str, disk: Disk) -> Job:
    """Check the settings against the input's beginning, and begin the job's journal or go on with it.

    Raises:
        BatchError: there are no rows, a field has no column, or the folder's job is another one.
    """
    required = [name for name in labeller.fields if name not in labeller.optional_fields]
    if missing := [name for name in required if name not in settings.columns]:
        raise BatchError(f"No input column is given for the task's field {', '.join(missing)}.")
    first = list(islice(source.rows(), output.rows_per_shard))
    if not first:
        raise BatchError("The input has no rows.")
    columns = _columns(source, first, settings)
    # Names of columns that stand only in other rows are taken too: what is known of them is what the first shard shows.
    seen = dict.fromkeys(name for row in first for name in row.values)
    names = output_names([*columns.names, *seen])
    described = _describe_job(labeller, source, output, settings, engine, names)
    begin = Journal.resume if output.resume else Journal.start
    journal = begin(output.folder, described, disk)
    return Job(source, output, journal, ShardSchema(columns, labeller.labels, names))


def _columns(source: RowSource, first: Sequence[InputRow], settings: Settings) -> Any:
    declared = source.schema()
    if declared is not None and settings.redactor is not None:
        names = settings.redactor.row(dict.fromkeys(declared.names))
        return pa.schema([column.with_name(name) for column, name in zip(declared, names, strict=True)])
    if declared is not None:
        return written_schema(declared)
    rows = [row.values for row in first if row.problem is None]
    if settings.redactor is not None:
        rows = [settings.redactor.row(dict(row)) for row in rows]
    return input_schema(rows)


def finish_job(job: Job, last: Snapshot, support: SupportProfile | None) -> BatchReport:
    """Check that no row was lost and whether the input changed, and write `manifest.json`.

    Raises:
        BatchError: the shards do not account for every row of the input.
    """
    changed = job.source.changes()
    manifest = job.journal.finish(last.total, changed)
    return BatchReport(
        rows=manifest["rows"]["in"],
        labelled=manifest["rows"]["labelled"],
        errors=manifest["errors"],
        labels=manifest["labels"],
        redacted=manifest["redacted"],
        warnings=tuple(drift_warnings(job.journal.entries, support)),
        last=last,
        manifest=job.output.folder / MANIFEST,
        columns=manifest["job"]["result_columns"],
        changed=tuple(change.said for change in changed),
    )


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
