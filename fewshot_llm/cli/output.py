"""What people see: progress on standard error, tables and summaries on standard output."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from fewshot_llm.cli.failure import say_columns

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress as Bar, Task

    from fewshot_llm.batch.job import BatchReport
    from fewshot_llm.batch.progress import Estimate, ProgressReport, Snapshot
    from fewshot_llm.cli.options import ResultFile
    from fewshot_llm.evaluation.compare import Difference
    from fewshot_llm.evaluation.result import Evaluation
    from fewshot_llm.evaluation.suite.result import SuiteResult
    from fewshot_llm.files import Excel, Rows
    from fewshot_llm.ladder.decision import Decision
    from fewshot_llm.models.listing import ModelStatus
    from fewshot_llm.models.pull import PullProgress
    from fewshot_llm.selective.policy import FittedPolicy
    from fewshot_llm.types import Progress

__all__ = [
    "console",
    "policy_summary",
    "print_estimate",
    "print_outcome",
    "row_progress",
    "save_rows",
    "say_decision",
    "say_policy",
    "show_attacks",
    "show_differences",
    "show_evaluation",
    "show_facts",
    "show_models",
    "show_reviews",
    "show_suite",
    "shown_progress",
    "step_progress",
    "waiting",
]

WIDE = 160
"""Characters a line in a file or a pipe."""

OTHER_COLUMNS = 42
"""What a table of reviews needs beside the reviews, characters."""

COLOURS = {"better": "green", "worse": "red", "noise": "dim", "same": "dim"}


# Progress on a terminal: rows, rows per second, time left. Elsewhere nothing is printed.


@contextmanager
def row_progress(what: str, unit: str = "rows") -> Iterator[Progress | None]:
    """Yields a callback for (done, total), or None where standard error is not a terminal.

    Args:
        what: what is going on, for example `Labelling`.
        unit: what is counted; speed is shown as `unit/s`.
    """
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} {unit}/s" if task.speed else f"-- {unit}/s", style="green")

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    bar: Bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        Speed(),
        TextColumn("time left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task(what, total=0)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def step_progress(what: str) -> Iterator[PullProgress | None]:
    """Yields a callback for (what is being done, done, total): a bar on a terminal, else None.

    The bar appears with the first step: what comes before it may be a question (a model's terms), which a bar
    would draw over.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
    task = bar.add_task(what, total=None)

    def show(message: str, done: int, total: int) -> None:
        bar.start()
        bar.update(task, description=f"{what}: {message}", completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Shows a spinner while something of unknown length runs, for example `Loading gemma3-270m`."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


# Tables.


def console() -> Console:
    """Standard output; where that is not a terminal, wide enough that little is folded."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=WIDE)


def show_models(statuses: Iterable[ModelStatus]) -> None:
    """One line per embedded model."""
    name, size = Column("name", no_wrap=True), Column("download", justify="right")
    table = Table(name, "kind", "languages", size, "licence", "in the cache")
    for status in statuses:
        model = status.model
        languages = "many" if "*" in model.languages else ", ".join(model.languages)
        cached = Text("yes", style="green") if status.cached else Text("no", style="dim")
        kind = model.kind.replace("-", " ")
        table.add_row(model.name, kind, languages, f"{model.size / 1e6:.0f} MB", model.licence.name, cached)
    console().print(table)


def show_facts(facts: Mapping[str, Any]) -> None:
    """Name and value, a line each; empty ones are left out."""
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value not in (None, "", [], {}):
            shown = _plain(value)
            table.add_row(Text(name.replace("_", " "), style="bold"), Text(shown, overflow="fold"))
    console().print(table)


def show_reviews(rows: Iterable[Mapping[str, Any]]) -> None:
    """Reviews with the label found, its probability, and the right label where that is another."""
    out = console()
    table = Table("review", "label", Column("probability", justify="right"), "in truth")
    for row in rows:
        right = row["label"] == row["predicted_label"]
        review = Text(row["text"])
        review.truncate(out.width - OTHER_COLUMNS, overflow="ellipsis")
        label = Text(row["predicted_label"], style="green" if right else "red")
        table.add_row(review, label, f"{row['probability']:.2f}", "" if right else row["label"])
    out.print(table)


def about_intervals(estimands: Iterable[str | None]) -> str:
    """What the intervals of a table are for."""
    match sorted(map(str, set(estimands))):
        case ["rows and draws"]:
            return "Intervals: for new test rows and new draws of the support set."
        case ["rows"]:
            return "Intervals: for these support sets on new test rows; from five seeds on, for new draws too."
    return "Intervals: for new test rows; with five seeds or more for new draws of the support set too."


def show_evaluation(result: Evaluation) -> None:
    """One line per number of shots: means over seeds, with intervals where there are some."""
    numbers = [Column(name, justify="right") for name in ("accuracy", "log loss", "macro-F1", "AUC", "rows/s")]
    table = Table(Column("shots", justify="right"), "seeds", *numbers)
    for mean in result.summaries:
        table.add_row(
            str(mean.shots),
            ", ".join(map(str, mean.seeds)),
            str(mean.accuracy),
            str(mean.log_loss),
            f"{mean.macro_f1:.3f}",
            "" if mean.auc is None else f"{mean.auc:.3f}",
            f"{mean.rows_per_second:.1f}",
        )
    out, rows = console(), result.test
    out.print(table)
    left_out = [(rows.leaked, "are in the support set"), (rows.unknown_label, "have another label")]
    reasons = "".join(f"; {count} left out because they {why}" for count, why in left_out if count)
    out.print(Text(f"{rows.kept} test rows{reasons}. {result.model.get('name', '')}, {result.language}."))
    out.print(Text(about_intervals(mean.accuracy.estimand for mean in result.summaries)))
    words = [f"{mean.words} with {mean.shots} rows a class" for mean in result.summaries if mean.words is not None]
    if words:
        out.print(Text(f"Words alone (n-grams with logistic regression on the same rows) reach {', '.join(words)}."))


def show_attacks(section: Mapping[str, Any]) -> None:
    """One line per attack, then the whole and its halves.

    Args:
        section: as `AttackReport.to_json` gives it.
    """
    numbers = [Column(name, justify="right") for name in ("labels flipped", f"with {section['defence']}")]
    table = Table("attack", "kind", "half", *numbers)
    for row in section["by_attack"]:
        table.add_row(row["name"], row["kind"], row["half"], _rate(row), f"{row['defended_flip_rate']:.3f}")
    table.add_section()
    for name, side in section["halves"].items():
        table.add_row(Text(f"all {name}", style="bold"), "", "", _rate(side["undefended"]), _rate(side["defended"]))
    table.add_row(Text("all", style="bold"), "", "", _rate(section["undefended"]), _rate(section["defended"]))
    out = console()
    out.print(table)
    before, after = section["undefended"], section["defended"]
    change = section["clean_accuracy_change"]
    out.print(
        Text(
            f"{section['rows']} rows. Accuracy on clean rows {before['accuracy_clean']['value']:.3f}, with the defence "
            f"{after['accuracy_clean']['value']:.3f} (change {change['value']:+.3f} [{change['low']:+.3f}, "
            f"{change['high']:+.3f}]); under attack {before['accuracy_attacked']['value']:.3f} and "
            f"{after['accuracy_attacked']['value']:.3f}."
        )
    )
    out.print(Text(about_intervals([section["estimand"]])))


def _rate(figures: Mapping[str, float]) -> str:
    return f"{figures['flip_rate']:.3f} [{figures['low']:.3f}, {figures['high']:.3f}]"


def show_suite(result: SuiteResult) -> None:
    """One line per method, model and shots: means over seeds."""
    numbers = [Column(name, justify="right") for name in ("accuracy", "balanced", "log loss", "learn s", "answer s")]
    table = Table("method", "model", Column("shots", justify="right"), "seeds", *numbers, title=result.suite["name"])
    for mean in result.summaries:
        kept = ", ".join(f"{rung} ×{times}" for rung, times in Counter(mean.rungs).items())
        table.add_row(
            f"{mean.method} ({kept})" if mean.method == "ladder" else mean.method,
            mean.model,
            str(mean.shots),
            ", ".join(map(str, mean.seeds)),
            str(mean.accuracy),
            f"{mean.balanced_accuracy.value:.3f}",
            f"{mean.log_loss.value:.3f}",
            f"{mean.fit_seconds:.1f}",
            f"{mean.predict_seconds:.1f}",
        )
    out = console()
    out.print(table)
    out.print(Text(f"{result.rows['test']} test rows, {len(result.labels)} labels; means over seeds, 95 % intervals."))
    out.print(Text(about_intervals(one.estimand for one in result.summaries)))
    for cell, reason in result.failures.items():
        out.print(Text(f"{cell}: not measured. {reason}", style="red"))


def show_differences(differences: Iterable[Difference]) -> None:
    """One line per pair."""
    from fewshot_llm.evaluation.compare import group_name

    numbers = [Column(name, justify="right") for name in ("first", "second", "difference", "log loss")]
    table = Table("first", "second", Column("seeds", justify="right"), *numbers, "verdict")
    other_rows, differences = False, list(differences)
    for one in differences:
        other_rows = other_rows or not one.same_support
        table.add_row(
            group_name(one.first),
            group_name(one.second),
            f"{one.seeds}{'' if one.same_support else '*'}",
            f"{one.first_accuracy:.3f}",
            f"{one.second_accuracy:.3f}",
            f"{one.accuracy.value:+.3f} [{one.accuracy.low:+.3f}, {one.accuracy.high:+.3f}]",
            f"{one.log_loss.value:+.3f}",
            Text(one.verdict, style=COLOURS[one.verdict]),
        )
    out = console()
    out.print(table)
    out.print(Text("Accuracy, second minus first, on the same test rows; noise: the 95 % interval covers zero."))
    out.print(Text(about_intervals(one.accuracy.estimand for one in differences)))
    if other_rows:
        out.print(Text("* The two learned from other labelled rows, so that the draw is part of the difference."))


def _plain(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_plain, value))
        case dict():
            return "\n".join(f"{name}: {_plain(part)}" for name, part in value.items() if part is not None)
    return str(value)


# Rows of a file.


def save_rows(
    found: Iterable[Mapping[str, Any]], rows: Rows, result: ResultFile, form: Excel, columns: Sequence[str]
) -> Mapping[str, str]:
    """Writes rows with their results; says which columns have other names than usual, and which rows got nothing.

    Args:
        found: what is written.
        rows: as they were read.
        result: where it goes.
        form: as `rows_output` gave it.
        columns: the usual names of what was added.

    Returns:
        Usual name → name in the file.
    """
    from fewshot_llm.cli.build import warn_unreadable
    from fewshot_llm.files import columns_of, result_names, write_rows

    written = result_names(columns_of(rows), columns)
    say_columns(written)
    write_rows(result.output, found, result.overwrite, excel=form, results=tuple(written.values()))
    warn_unreadable(rows)
    return written


# What is kept back.


def policy_summary(policy: FittedPolicy, reasons: dict[str, int]) -> dict[str, Any]:
    """What was fitted and how many rows were kept back, as plain values.

    Args:
        policy: fitted.
        reasons: why rows were kept back, and how many.
    """
    summary: dict[str, Any] = {"kept_back": reasons}
    if (contract := policy.contract) is not None:
        summary["contract"] = {
            "max_error": contract.max_error,
            "confidence": contract.confidence,
            "threshold": contract.threshold,
            "rows": contract.rows,
            "coverage": round(contract.coverage, 4),
            "errors": contract.errors,
        }
    if (scope := policy.scope) is not None:
        summary["out_of_scope"] = {
            "score": scope.score,
            "threshold": scope.threshold,
            "false_alarms": scope.false_alarms,
            "areas": {name: round(area, 4) for name, area in scope.areas.items()},
        }
    return summary


def say_decision(decision: Decision | None, *, whole: bool = False) -> None:
    """What answers, how well, and what words alone would reach, on standard error.

    Args:
        decision: the ladder's; None where none was climbed.
        whole: with every sentence of it, in both languages.
    """
    from fewshot_llm.cli.command import help_language

    if decision is None:
        return
    if whole:
        typer.echo(f"{decision.reason}\n{decision.reason_zh}", err=True)
        return
    typer.echo(decision.headline.say(help_language()), err=True)


def say_policy(policy: FittedPolicy) -> None:
    """What was fitted to keep answers back, on standard error."""
    if (contract := policy.contract) is not None:
        if contract.threshold is None:
            found = f"no threshold keeps that on {contract.rows} labelled rows, so that no row gets a label"
        else:
            found = f"labels from probability {contract.threshold:.3f} on, {contract.coverage:.0%} of the rows"
        typer.echo(
            f"at most {contract.max_error:.1%} errors with {contract.confidence:.0%} confidence: {found}", err=True
        )
    if (scope := policy.scope) is not None:
        area = f", AUROC {scope.areas[scope.score]:.2f} where classes were left out" if scope.areas else ""
        typer.echo(f"out of scope by the score “{scope.score}”{area}; {scope.false_alarms:.0%} false alarms", err=True)


# Batch jobs.


@contextmanager
def shown_progress(*, as_json: bool, prometheus: Path | None) -> Iterator[ProgressReport]:
    """Yields where snapshots go: JSON lines on standard output or a bar on a terminal, and the textfile."""
    from fewshot_llm.batch.progress import json_lines, prometheus_textfile

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


def print_outcome(
    outcome: BatchReport,
    output: Path,
    *,
    as_json: bool,
    shots: Mapping[str, Any] | None,
    decision: Decision | None = None,
) -> None:
    """The totals; what changed under the job and warnings of the drift check go to standard error.

    Args:
        outcome: what the job did.
        output: where its results are.
        as_json: the totals as JSON.
        shots: what a prompt shows; None where none is asked.
        decision: of the ladder, where one was climbed.
    """
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
            "shots": None if shots is None else dict(shots),
            "output": str(output),
            **({} if decision is None else {"rung": decision.rung, "reason": decision.reason}),
        }
        typer.echo(json.dumps(summary, ensure_ascii=False))
        return
    labels = ", ".join(f"{label} {count}" for label, count in outcome.labels.items()) or "no labels"
    at = outcome.last
    speed = f"{at.seconds:.1f} s, {at.rows_per_second:.1f} rows/s"
    if at.found_done and at.found_done == at.done:
        speed = "nothing was left to do"
    typer.echo(
        f"{outcome.rows} rows in, {outcome.labelled} labelled ({labels}), {outcome.rows - outcome.labelled} in error; "
        f"{speed} → {output}"
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
