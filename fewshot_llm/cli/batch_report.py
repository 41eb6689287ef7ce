"""What `fewshot-llm batch` shows: a bar while it runs, and what came out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from fewshot_llm.batch.job import BatchReport
from fewshot_llm.batch.progress import Estimate, ProgressReport, Snapshot, json_lines, prometheus_textfile
from fewshot_llm.cli.failure import say_columns

__all__ = ["print_estimate", "print_outcome", "shown_progress"]


@contextmanager
def shown_progress(*, as_json: bool, prometheus: Path | None) -> Iterator[ProgressReport]:
    """Yields where snapshots go: JSON lines on standard output or a bar on a terminal, and the textfile."""
    reports: list[ProgressReport] = [] if prometheus is None else [prometheus_textfile(prometheus)]

    def report(at: Snapshot) -> None:
        for one in reports:
            one(at)

    if as_json:
        reports.append(json_lines(sys.stdout))
        yield report
        return
    with _bar() as bar:
        reports.append(bar)
        yield report


@contextmanager
def _bar() -> Iterator[ProgressReport]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("Labelling"), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting")

        def report(at: Snapshot) -> None:
            scoring = min(at.scoring, at.total - at.done)
            bar.update(task, completed=at.done + scoring, total=at.total, description=_line(at))

        yield report


def _line(at: Snapshot) -> str:
    left = at.seconds_left
    labels = ", ".join(f"{label} {count}" for label, count in sorted(at.labels.items(), key=lambda one: -one[1])[:4])
    parts = [
        f"{at.done}/{at.total}",
        f"{at.rows_per_second:.1f} rows/s",
        f"{at.tokens_per_second:,.0f} tokens/s",
        f"reuse {at.reuse:.1f}×",
        f"{_duration(left)} left" if left is not None else "",
        f"{at.errors} in error" if at.errors else "",
        labels,
    ]
    return " · ".join(part for part in parts if part)


def print_outcome(outcome: BatchReport, output: Path, *, as_json: bool, shots: Mapping[str, Any]) -> None:
    """The totals; what changed under the job and warnings of the drift check go to standard error."""
    for sentence in outcome.changed:
        typer.echo(f"Error: {sentence}", err=True)
    for warning in outcome.warnings:
        typer.echo(f"warning: {warning}", err=True)
    say_columns(outcome.columns)
    if as_json:
        summary = {
            "rows": outcome.rows,
            "labelled": outcome.labelled,
            "errors": dict(outcome.errors),
            "labels": dict(outcome.labels),
            "redacted": dict(outcome.redacted),
            "warnings": list(map(str, outcome.warnings)),
            "columns": dict(outcome.columns),
            "input_changed": list(map(str, outcome.changed)),
            "shots": dict(shots),
            "output": str(output),
        }
        typer.echo(json.dumps(summary, ensure_ascii=False))
        return
    labels = ", ".join(f"{label} {count}" for label, count in outcome.labels.items()) or "no labels"
    at = outcome.last
    typer.echo(
        f"{outcome.rows} rows in, {outcome.labelled} labelled ({labels}), {outcome.rows - outcome.labelled} in error; "
        f"{at.seconds:.1f} s, {at.rows_per_second:.1f} rows/s → {output}"
    )
    if outcome.errors:
        kinds = ", ".join(f"{kind} {count}" for kind, count in outcome.errors.items())
        typer.echo(f"in error ({output / 'errors.jsonl'}): {kinds}")
    if outcome.redacted:
        kinds = ", ".join(f"{kind} {count}" for kind, count in outcome.redacted.items())
        typer.echo(f"redacted: {kinds}")


def print_estimate(forecast: Estimate, *, as_json: bool) -> None:
    """The forecast of `--dry-run`."""
    if as_json:
        typer.echo(json.dumps(asdict(forecast)))
        return
    margin = f" ± {forecast.tokens_margin:,}" if forecast.tokens_margin else ""
    price = "" if forecast.price is None else f", price {forecast.price:,.2f}"
    typer.echo(
        f"{forecast.rows:,} rows, {forecast.tokens:,}{margin} prompt tokens, at most {_duration(forecast.seconds)}"
        f"{price}. Of {forecast.sampled:,} sampled rows {forecast.bad:,} would be in error."
    )


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
