"""Commands that take an adapter to a server: `export`, `verify` and `lint`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand

from fewshot_llm.cli.command import Only, Without, argument, command, flag
from fewshot_llm.cli.failure import FAILED
from fewshot_llm.cli.options import BundleOptions, Json, ServerOptions, ThereMayBe, TrustOptions
from fewshot_llm.export.servers import Server

if TYPE_CHECKING:
    from fewshot_llm.export.adapter import BaseModel
    from fewshot_llm.export.lint import LintFinding

__all__ = ["HERE", "VerifyCommand", "export", "lint", "verify"]

ThereFolder: TypeAlias = Annotated[Path, argument(exists=True, file_okay=False)]

HERE = "here"
"""What a bare `--verify` stands for: start the bundle's own server."""


class VerifyCommand(TyperCommand):
    """A command whose `--verify` takes an address or nothing; Typer has no such option by itself."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts `here` behind a bare `--verify`."""
        filled: list[str] = []
        for at, one in enumerate(args):
            filled.append(one)
            following = args[at + 1] if at + 1 < len(args) else ""
            if one == "--verify" and not following.startswith(("http://", "https://")):
                filled.append(HERE)
        return super().parse_args(ctx, filled)


@command(parser=VerifyCommand)
def export(
    adapter: ThereFolder,
    bundle: BundleOptions,
    *,
    model: str | None = None,
    support: ThereMayBe = None,
    verify_at: Annotated[str | None, flag("--verify")] = None,
    server: ServerOptions,
    trust: Annotated[TrustOptions, Without({"allow_scripts"})],
) -> None:
    """Write an adapter as what a server loads."""
    from fewshot_llm.data import SupportSet
    from fewshot_llm.export.bundle import write_bundle
    from fewshot_llm.export.source import read_source

    out = bundle.out
    source = read_source(
        adapter, model, allow_base_mismatch=bundle.allow_base_mismatch, allow_download=trust.allow_download
    )
    examples = SupportSet.from_file(support, source.record.task) if support is not None else ()
    record = write_bundle(source, bundle.to, out, rows=examples, storage=bundle.gguf_type, overwrite=bundle.overwrite)
    for sentence in record.mended:
        typer.echo(f"mended: {sentence}")
    for sentence in record.left_out:
        typer.echo(f"left out: {sentence}")
    typer.echo(f"{out}: {record.name} for {bundle.to}; start it with: sh {out / 'serve.sh'}")
    if verify_at is not None:
        verify(out, url=None if verify_at == HERE else verify_at, model=model, server=server, trust=trust)


@command()
def verify(
    bundle: ThereFolder,
    *,
    url: str | None = None,
    model: str | None = None,
    server: ServerOptions,
    trust: TrustOptions,
) -> None:
    """Check that a bundle's server answers as the toolkit does."""
    from fewshot_llm.export.certificate import QUANTISED, require
    from fewshot_llm.export.verify import verify as examine

    certificate = examine(
        bundle,
        url,
        server=server.server,
        tolerance=QUANTISED if server.quantised else None,
        base=model,
        allow_download=trust.allow_download,
        allow_scripts=trust.allow_scripts,
        insecure=trust.insecure,
    )
    typer.echo(
        f"{certificate.server}: labels agree on {certificate.agreement:.1%} of {certificate.rows} texts; "
        f"log-probabilities differ by {certificate.mean:.2g} nats on average, {certificate.largest:.2g} at most"
    )
    require(certificate)


@command()
def lint(
    adapter: ThereFolder,
    *,
    model: str | None = None,
    trust: Annotated[TrustOptions, Only({"allow_download"})],
    servers: Annotated[list[Server] | None, flag("--server")] = None,
    as_json: Json = False,
) -> None:
    """Show what each server would do with an adapter."""
    from fewshot_llm.export.lint import Status, lint as examine, worst

    findings = examine(adapter, _base(adapter, model, trust.allow_download), servers or Server)
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

    from fewshot_llm.cli.output import console
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
