"""Options of `fewshot-llm batch` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from fewshot_llm.cli.options import DATA, RESULT

JOB = "Job"

Inputs: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--input",
        metavar="PATH",
        help="Rows to label: JSONL, JSON, CSV or TSV (also .gz, .zst), Excel, Parquet, a folder, a glob, or "
        "hub:NAME[@REVISION][#CONFIG][:SPLIT]. May be given several times.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
OutputFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="DIR",
        file_okay=False,
        help="Folder for the shards, errors.jsonl and manifest.json; empty, new, or with --resume.",
        rich_help_panel=RESULT,
        show_default=False,
    ),
]
Form: TypeAlias = Annotated[
    Literal["parquet", "jsonl"], typer.Option("--format", help="Of the shards.", rich_help_panel=RESULT)
]
RowsPerShard: TypeAlias = Annotated[
    int,
    typer.Option("--rows-per-shard", metavar="N", min=1, help="What a crash costs at most.", rich_help_panel=RESULT),
]
Resume: TypeAlias = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the job in --output, or begin it.", rich_help_panel=JOB),
]
Limit: TypeAlias = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Only the first rows.", rich_help_panel=JOB, show_default=False),
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Count rows, measure a sample, print time and price; label nothing.", rich_help_panel=JOB
    ),
]
Price: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--price-per-million-tokens",
        metavar="P",
        min=0.0,
        help="For --dry-run.",
        rich_help_panel=JOB,
        show_default=False,
    ),
]
Tolerate: TypeAlias = Annotated[
    int,
    typer.Option(
        "--tolerate", metavar="N", min=0, help="Exit code 0 with up to so many rows in error.", rich_help_panel=JOB
    ),
]
LongTextName: TypeAlias = Annotated[
    Literal["error", "truncate-middle", "chunk"],
    typer.Option(
        "--long-text",
        help="A text that does not fit: report it, cut its middle out, or average over pieces.",
        rich_help_panel=JOB,
    ),
]
Cache: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FILE",
        dir_okay=False,
        help="SQLite file of answers, shared between jobs. [default: one of the job's own, deleted at its end]",
        rich_help_panel=JOB,
        show_default=False,
    ),
]
Engine: TypeAlias = Annotated[
    Literal["local", "ray"], typer.Option("--engine", help="This process, or a Ray cluster.", rich_help_panel=JOB)
]
Workers: TypeAlias = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help="Shards in work at once: threads (for a remote model), or Ray actors, each with a model.",
        rich_help_panel=JOB,
    ),
]
RayAddress: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="A",
        help="Of a running cluster; auto finds this machine's. [default: start one here]",
        rich_help_panel=JOB,
        show_default=False,
    ),
]
GpusPerWorker: TypeAlias = Annotated[
    float,
    typer.Option(
        "--gpus-per-worker", metavar="F", min=0.0, help="Per Ray actor; may be a fraction.", rich_help_panel=JOB
    ),
]
Prometheus: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--prometheus",
        metavar="FILE",
        dir_okay=False,
        help="Keep gauges there, for the node exporter's textfile collector.",
        rich_help_panel=RESULT,
        show_default=False,
    ),
]
