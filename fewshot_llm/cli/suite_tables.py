"""Tables of suites and of their differences, on standard output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Column, Table
from rich.text import Text

from fewshot_llm.cli.tables import about_intervals, console

if TYPE_CHECKING:
    from fewshot_llm.evaluation.compare import Difference
    from fewshot_llm.evaluation.suite.result import Group, SuiteResult

__all__ = ["show_differences", "show_suite"]

COLOURS = {"better": "green", "worse": "red", "noise": "dim", "same": "dim"}


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
    numbers = [Column(name, justify="right") for name in ("first", "second", "difference", "log loss")]
    table = Table("first", "second", Column("seeds", justify="right"), *numbers, "verdict")
    other_rows, differences = False, list(differences)
    for one in differences:
        other_rows = other_rows or not one.same_support
        table.add_row(
            _name(one.first),
            _name(one.second),
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


def _name(group: Group) -> str:
    method, model, shots = group
    return " ".join(part for part in (method, model, f"k={shots}") if part)
