"""`fewshot-llm export` and `fewshot-llm verify`: an adapter for a server, and whether the server answers alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewshot_llm.cli import options
from fewshot_llm.cli.optional_value import HERE
from fewshot_llm.export.servers import Storage, Target

if TYPE_CHECKING:
    from fewshot_llm.export.certificate import Certificate

__all__ = ["export", "verify"]

AdapterFolder = Annotated[
    Path,
    typer.Argument(
        metavar="ADAPTER", exists=True, file_okay=False, help="An adapter folder that tune wrote.", show_default=False
    ),
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="S", help="Which of the bundle's servers to start. [default: the first]", show_default=False
    ),
]
Quantised = Annotated[
    bool, typer.Option("--quantised", help="Allow what quantised or half-precision base weights change.")
]


def export(
    adapter: AdapterFolder,
    to: Annotated[Target, typer.Option("--to", help="What for.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", file_okay=False, help="The bundle to write.", show_default=False)
    ],
    verify_at: Annotated[
        str | None,
        typer.Option(
            "--verify",
            metavar="[URL]",
            help="Compare a server's answers with transformers and peft: the one at URL, or without URL one that is "
            "started here and stopped again.",
            show_default=False,
        ),
    ] = None,
    server: Server = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            "--support",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Texts of the task to compare on, beside the built-in adversarial ones.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="M",
            help="The base model, where it is not found under the recorded name.",
            show_default=False,
        ),
    ] = None,
    gguf_type: Annotated[Storage, typer.Option("--gguf-type", help="Number format of GGUF matrices.")] = Storage.F32,
    quantised: Quantised = False,
    allow_base_mismatch: Annotated[
        bool, typer.Option("--allow-base-mismatch", help="Take a base model with other weights than the recorded.")
    ] = False,
    allow_download: options.AllowDownload = False,
    insecure: options.Insecure = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle at --out.")] = False,
) -> None:
    """Write an adapter as what a server loads, with everything that belongs to it.

    The bundle holds the weights, task, template, label words, calibration, golden prompts, checksums, a model card and
    serve.sh. With --verify a certificate says whether the server answers as the toolkit does; exit code 1 where not.
    """
    from fewshot_llm.data import SupportSet
    from fewshot_llm.export.bundle import write_bundle
    from fewshot_llm.export.source import read_source

    source = read_source(adapter, model, allow_base_mismatch=allow_base_mismatch, allow_download=allow_download)
    examples = SupportSet.from_file(rows, source.record.task) if rows is not None else ()
    record = write_bundle(source, to, out, rows=examples, storage=gguf_type, overwrite=overwrite)
    for sentence in record.mended:
        typer.echo(f"mended: {sentence}")
    typer.echo(f"{out}: {record.name} for {to}; start it with: sh {out / 'serve.sh'}")
    if verify_at is not None:
        verify(
            out, None if verify_at == HERE else verify_at, server, model, quantised, allow_download, insecure=insecure
        )


def verify(
    bundle: Annotated[
        Path,
        typer.Argument(
            metavar="BUNDLE", exists=True, file_okay=False, help="A folder that export wrote.", show_default=False
        ),
    ],
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="A running server, http://HOST:PORT/v1#NAME. [default: serve.sh is started and stopped]",
            show_default=False,
        ),
    ] = None,
    server: Server = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="M",
            help="The base model, whose tokenizer is needed. [default: as recorded]",
            show_default=False,
        ),
    ] = None,
    quantised: Quantised = False,
    allow_download: options.AllowDownload = False,
    allow_scripts: options.AllowScripts = False,
    insecure: options.Insecure = False,
) -> None:
    """Check again that a bundle's server answers as the toolkit does, and write its certificate.

    Exit code 1 where it does not; the message names the broken link: tokenizer, bos, template, adapter ignored,
    scale, weights or precision.
    """
    from fewshot_llm.export.certificate import QUANTISED, require
    from fewshot_llm.export.verify import verify as check

    certificate = check(
        bundle,
        url,
        server=server,
        tolerance=QUANTISED if quantised else None,
        base=model,
        allow_download=allow_download,
        allow_scripts=allow_scripts,
        insecure=insecure,
    )
    _show(certificate)
    require(certificate)


def _show(certificate: Certificate) -> None:
    typer.echo(
        f"{certificate.server}: labels agree on {certificate.agreement:.1%} of {certificate.rows} texts; "
        f"log-probabilities differ by {certificate.mean:.2g} nats on average, {certificate.largest:.2g} at most"
    )
