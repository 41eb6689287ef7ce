"""`fewshot-llm compare`: two results of a suite, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fewshot_llm.cli import options

__all__ = ["compare"]


def compare(
    first: Annotated[
        Path,
        typer.Argument(
            metavar="A.json", exists=True, dir_okay=False, help="A result of `fewshot-llm suite`.", show_default=False
        ),
    ],
    second: Annotated[
        Path | None,
        typer.Argument(
            metavar="[B.json]",
            exists=True,
            dir_okay=False,
            help="Another one; differences are B minus A.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="M",
            help="With one file: the method that is compared with all others in it.",
            rich_help_panel=options.RESULT,
        ),
    ] = "ladder",
    as_json: options.Json = False,
) -> None:
    """Paired differences with 95 % intervals, and which of them are noise: the interval covers zero.

    With two files, each method in both: did a change make anything better or worse? With one file, one of its methods
    against all others: is the ladder above every peer?
    """
    from dataclasses import asdict

    from fewshot_llm.evaluation.compare import compare_methods, compare_results
    from fewshot_llm.evaluation.suite.result import read_result

    result = read_result(first)
    found = compare_methods(result, method) if second is None else compare_results(result, read_result(second))
    if as_json:
        typer.echo(json.dumps([{**asdict(one), "verdict": one.verdict} for one in found], ensure_ascii=False))
        return
    from fewshot_llm.cli.suite_tables import show_differences

    show_differences(found)
