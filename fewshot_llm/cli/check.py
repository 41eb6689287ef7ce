"""`fewshot-llm check`: the support set's doctor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fewshot_llm.cli import options

__all__ = ["check"]


def check(
    task: options.Task,
    support: options.Support,
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Labelled rows that results will be measured on; a text that is in both files is a leak.",
            rich_help_panel=options.DATA,
            show_default=False,
        ),
    ] = None,
    merge_labels: options.MergeLabels = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    report_language: Annotated[
        str, typer.Option("--report-lang", metavar="L", help="Language of the report: en or zh.")
    ] = "en",
    as_json: options.Json = False,
) -> None:
    """Examine labelled rows before they are used.

    Says what cleaning left out (empty texts, duplicates, one text under two labels, unknown labels), which classes
    are thin, and which test rows leak. Exit code 1 where something will make results wrong.
    """
    from fewshot_llm.cli.parts import Told
    from fewshot_llm.data import doctor

    told = Told(text_column, label_column, delimiter, encoding, merge_labels)
    described, rows = told.support(task, support)
    measured = None if test is None else told.labelled_set(described, test)
    told.require_found()
    report = doctor(rows, described, measured)
    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(report.lines(report_language)))
    if not report.healthy:
        raise typer.Exit(1)
