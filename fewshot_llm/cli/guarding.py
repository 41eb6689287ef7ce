"""Options that keep answers back, or weigh what errors cost, and the policy that they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from fewshot_llm.cli.parts import Told
    from fewshot_llm.data import SupportSet
    from fewshot_llm.data.task import Task
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.selective.policy import FittedPolicy, SelectivePolicy

__all__ = [
    "CalibrationRows",
    "Confidence",
    "CostsFile",
    "MaxError",
    "OutOfScope",
    "fit_policy",
    "policy_summary",
    "take_policy",
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


def take_policy(
    described: Task,
    told: Told,
    examples: SupportSet,
    adapter: Path | None,
    *,
    max_error: float | None,
    confidence: float,
    calibration_rows: Path | None,
    costs: Path | None,
    out_of_scope: float | None,
) -> SelectivePolicy | None:
    """The policy that the options ask for; `None` where they ask for nothing. Refuses what cannot be fitted.

    Args:
        described: the task.
        told: how `calibration_rows` is read.
        examples: the labelled rows that the classifier is fitted on.
        adapter: the folder of one that may have been trained on them.
        max_error: as the option of that name, like all that follow.
        confidence: likewise.
        calibration_rows: likewise.
        costs: likewise.
        out_of_scope: likewise.

    Raises:
        typer.BadParameter: options that contradict each other, or no share where one is due.
        FewshotError: a file is unusable, or the adapter has seen the rows that the policy would be fitted on.
    """
    from fewshot_llm.artifacts.folder import trained_on
    from fewshot_llm.selective.policy import SelectivePolicy, require_unseen

    if max_error is None and calibration_rows is not None:
        raise typer.BadParameter("only --max-error is fitted on rows of their own", param_hint="--calibration-rows")
    for option, share in (("--max-error", max_error), ("--confidence", confidence), ("--out-of-scope", out_of_scope)):
        if share is not None and not 0 < share < 1:
            raise typer.BadParameter(f"{share:g} is no share between 0 and 1", param_hint=option)
    if max_error is None and costs is None and out_of_scope is None:
        return None
    rows = None if calibration_rows is None else told.labelled_set(described, calibration_rows)
    if rows is None:
        require_unseen(trained_on(adapter), examples)
    return SelectivePolicy(max_error, confidence, costs, out_of_scope, rows)


def fit_policy(classifier: FewShotClassifier, policy: SelectivePolicy, *, quiet: bool) -> None:
    """Fit the policy of a fitted classifier, and say on standard error what was found unless `quiet`."""
    from fewshot_llm.cli.progress import waiting

    with waiting("Fitting what is kept back"):
        classifier.set_policy(policy)
    if not quiet:
        _print_guard(classifier.policy_)


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


def _print_guard(policy: FittedPolicy) -> None:
    """What was fitted, on standard error."""
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
