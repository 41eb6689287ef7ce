"""`fewshot-llm lint`: what each server would do with an adapter."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewshot_llm.cli import options
from fewshot_llm.cli.failure import FAILED
from fewshot_llm.export.servers import Server

if TYPE_CHECKING:
    from fewshot_llm.export.adapter import BaseModel
    from fewshot_llm.export.lint import LintFinding

__all__ = ["lint"]


def lint(
    adapter: Annotated[
        Path,
        typer.Argument(
            metavar="ADAPTER", exists=True, file_okay=False, help="A peft adapter folder.", show_default=False
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="M",
            help="The base model, to check that the adapter fits it and covers every layer. [default: as recorded]",
            show_default=False,
        ),
    ] = None,
    servers: Annotated[
        list[Server] | None,
        typer.Option("--server", help="Only these servers; may be given several times.", show_default=False),
    ] = None,
    allow_download: options.AllowDownload = False,
    as_json: options.Json = False,
) -> None:
    """Show, server by server, which traits of an adapter are refused, ignored or served wrong.

    Each row says what export mends by itself and what has to be mended by hand, with a link to the server's source.
    Exit code 1 where something has to be mended by hand for a server that was asked for with --server.
    """
    from fewshot_llm.export.lint import Status, lint as examine, worst

    findings = examine(adapter, _base(adapter, model, allow_download), servers or Server)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _show(findings)
    if servers and worst(findings) is Status.MEND:
        raise typer.Exit(FAILED)


def _base(adapter: Path, model: str | None, allow_download: bool) -> BaseModel | None:
    from fewshot_llm.errors import ModelError
    from fewshot_llm.export.adapter import read_base
    from fewshot_llm.models.load import recorded_base

    if model is not None:
        return read_base(model)
    try:
        recorded = recorded_base(adapter, allow_download=allow_download)
        return read_base(recorded) if recorded else None
    except ModelError as error:
        typer.echo(f"Fit and layers are unchecked: {error}", err=True)
        return None


def _show(findings: tuple[LintFinding, ...]) -> None:
    from rich.table import Table

    from fewshot_llm.cli.tables import console
    from fewshot_llm.export.lint import Status

    wrong = [finding for finding in findings if finding.status is not Status.PASS]
    if wrong:
        table = Table("rule", "server", "status", "what", "how it is mended", show_lines=True)
        for finding in wrong:
            detail = f"{finding.detail}\n[dim]{finding.source}[/dim]"
            style = "red" if finding.status is Status.MEND else "yellow"
            table.add_row(finding.rule, finding.server, f"[{style}]{finding.status}[/{style}]", detail, finding.remedy)
        console().print(table)
    typer.echo(f"{len(findings) - len(wrong)} of {len(findings)} checks pass.")
