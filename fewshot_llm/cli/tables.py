"""Tables for people, on standard output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from fewshot_llm.evaluation.result import Evaluation
    from fewshot_llm.models.catalog import ModelStatus

__all__ = ["console", "show_evaluation", "show_facts", "show_models", "show_reviews"]

WIDE = 160
"""Characters a line in a file or a pipe."""

OTHER_COLUMNS = 42
"""What a table of reviews needs beside the reviews, characters."""


def console() -> Console:
    """Standard output; where that is not a terminal, wide enough that little is folded."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=WIDE)


def show_models(statuses: Iterable[ModelStatus]) -> None:
    """One line per embedded model."""
    name, size = Column("name", no_wrap=True), Column("download", justify="right")
    table = Table(name, "languages", size, "licence", "in the cache")
    for status in statuses:
        model = status.model
        languages = "many" if "*" in model.languages else ", ".join(model.languages)
        cached = Text("yes", style="green") if status.cached else Text("no", style="dim")
        table.add_row(model.name, languages, f"{model.size / 1e6:.0f} MB", model.licence.name, cached)
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


def _plain(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_plain, value))
        case dict():
            return "\n".join(f"{name}: {_plain(part)}" for name, part in value.items() if part is not None)
    return str(value)
