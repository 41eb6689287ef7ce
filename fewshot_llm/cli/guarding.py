"""Options that keep answers back, or weigh what errors cost, and the guard that they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from fewshot_llm.risk_guard import FittedGuard, Guard
    from fewshot_llm.task import Task

__all__ = [
    "CalibrationRows",
    "Confidence",
    "CostsFile",
    "MaxError",
    "OutOfScope",
    "guard_summary",
    "print_guard",
    "take_guard",
]

GUARD = "What is kept back"

MaxError: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--max-error",
        metavar="E",
        help="Label only rows of which at most this share is wrong (0.05), and say why the others get no label.",
        rich_help_panel=GUARD,
        show_default=False,
    ),
]
Confidence: TypeAlias = Annotated[
    float, typer.Option("--confidence", metavar="C", help="With which --max-error holds.", rich_help_panel=GUARD)
]
CalibrationRows: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--calibration-rows",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Labelled rows that --max-error is fitted on, none of them in the support set; nothing is trained again. "
        "[default: the support rows, out of fold]",
        rich_help_panel=GUARD,
        show_default=False,
    ),
]
CostsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--costs",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="TOML with the cost of each kind of error; the label with the least expected cost is given.",
        rich_help_panel=GUARD,
        show_default=False,
    ),
]
OutOfScope: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--out-of-scope",
        metavar="F",
        help="Give no label to rows unlike the labelled ones, with at most this share of false alarms (0.05).",
        rich_help_panel=GUARD,
        show_default=False,
    ),
]


def take_guard(
    described: Task,
    columns: dict[str, str],
    *,
    max_error: float | None,
    confidence: float,
    calibration_rows: Path | None,
    costs: Path | None,
    out_of_scope: float | None,
) -> Guard | None:
    """The guard that the options ask for; `None` where they ask for nothing."""
    from fewshot_llm.risk_guard import Guard
    from fewshot_llm.support import SupportSet

    if max_error is None and calibration_rows is not None:
        raise typer.BadParameter("only --max-error is fitted on rows of their own", param_hint="--calibration-rows")
    for option, share in (("--max-error", max_error), ("--confidence", confidence), ("--out-of-scope", out_of_scope)):
        if share is not None and not 0 < share < 1:
            raise typer.BadParameter(f"{share:g} is no share between 0 and 1", param_hint=option)
    if max_error is None and costs is None and out_of_scope is None:
        return None
    rows = None if calibration_rows is None else SupportSet.from_file(calibration_rows, described, columns)
    return Guard(max_error, confidence, costs, out_of_scope, rows)


def guard_summary(guard: FittedGuard, reasons: dict[str, int]) -> dict[str, Any]:
    """What was fitted and how many rows were kept back, as plain values.

    Args:
        guard: fitted.
        reasons: why rows were kept back, and how many.
    """
    summary: dict[str, Any] = {"kept_back": reasons}
    if (contract := guard.contract) is not None:
        summary["contract"] = {
            "max_error": contract.max_error,
            "confidence": contract.confidence,
            "threshold": contract.threshold,
            "rows": contract.rows,
            "coverage": round(contract.coverage, 4),
            "errors": contract.errors,
        }
    if (scope := guard.scope) is not None:
        summary["out_of_scope"] = {
            "score": scope.score,
            "threshold": scope.threshold,
            "false_alarms": scope.false_alarms,
            "areas": {name: round(area, 4) for name, area in scope.areas.items()},
        }
    return summary


def print_guard(guard: FittedGuard) -> None:
    """What was fitted, on standard error."""
    if (contract := guard.contract) is not None:
        if contract.threshold is None:
            found = f"no threshold keeps that on {contract.rows} labelled rows, so that no row gets a label"
        else:
            found = f"labels from probability {contract.threshold:.3f} on, {contract.coverage:.0%} of the rows"
        typer.echo(
            f"at most {contract.max_error:.1%} errors with {contract.confidence:.0%} confidence: {found}", err=True
        )
    if (scope := guard.scope) is not None:
        area = f", AUROC {scope.areas[scope.score]:.2f} where classes were left out" if scope.areas else ""
        typer.echo(f"out of scope by the score “{scope.score}”{area}; {scope.false_alarms:.0%} false alarms", err=True)
