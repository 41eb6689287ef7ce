"""`fewshot-llm report`: a result as a page for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fewshot_llm.cli import options, report_options

__all__ = ["report"]


def report(
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT.json",
            exists=True,
            dir_okay=False,
            help="What `evaluate --output` or `suite` wrote.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            help="Where report.html and report.md go; what is there is replaced.",
            rich_help_panel=options.RESULT,
            show_default=False,
        ),
    ],
    tuned: Annotated[
        Path | None,
        typer.Option(
            "--tuned",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="A folder that `tune` wrote; its decision is shown.",
            rich_help_panel=options.DATA,
            show_default=False,
        ),
    ] = None,
    language: report_options.ReportLanguage = None,
    target: report_options.OtherTarget = None,
    price: report_options.Price = None,
) -> None:
    """Make a page of a result: one HTML file that needs no network, and Markdown with the same numbers.

    Accuracy against the target, the ladder's decision, weak labels, what more labelled rows would bring, whether the
    probabilities can be trusted, rows worth reading, the labelled rows' check, the prompt, time and cost. Of a suite's
    result: its methods with their intervals.
    """
    from dataclasses import replace

    from fewshot_llm.artifacts.folder import read_decision
    from fewshot_llm.evaluation.result import Evaluation
    from fewshot_llm.ladder.base import check_target
    from fewshot_llm.report.render import document_of, read_any_result, write_report

    found = read_any_result(result)
    if isinstance(found, Evaluation):
        decision = None if tuned is None else read_decision(tuned)
        if tuned is not None and decision is None:
            raise typer.BadParameter(f"{tuned} holds no decision.json of `fewshot-llm tune`.", param_hint="--tuned")
        found = replace(
            found,
            decision=decision or found.decision,
            target=found.target if target is None else check_target(target),
        )
    elif tuned is not None or target is not None:
        raise typer.BadParameter("a suite has its own target and decisions", param_hint="--tuned, --target")
    page = write_report(document_of(found, language, price), out)
    typer.echo(f"→ {page}")
