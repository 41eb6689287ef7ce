"""`fewshot-llm`: a thin layer of typer over the library. No logic lives here.

A command is a function whose parameters are option groups (`options`); its body imports what it needs, so that
`fewshot-llm --help` answers at once. Help texts are in `help.toml`, and `command` puts the program together.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot_llm.cli import batch, demo, label, look, measure, models, play, serve, tune
from fewshot_llm.cli.command import build_app, flag, help_language, read_catalogue
from fewshot_llm.cli.failure import INTERRUPTED, TERMINATED, FailureGroup
from fewshot_llm.errors import FewshotWarning

if TYPE_CHECKING:
    from fewshot_llm.types import Language

__all__ = ["app", "main", "make_app"]


DEFINING = (batch, demo, label, look, measure, models, play, serve, tune)
"""The modules whose commands the program has; a command is known once its module is imported."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("fewshot-llm"))
        raise typer.Exit


def _common(
    version: Annotated[bool, flag(callback=_print_version, is_eager=True)] = False,
    debug: bool = False,
) -> None:
    """The program's own options; `FailureGroup` reads `--debug`."""


def make_app(language: Language) -> typer.Typer:
    """The whole command line, with help in a language."""
    return build_app(
        _common,
        read_catalogue(language),
        FailureGroup,
        name="fewshot-llm",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = make_app(help_language())


_SHOW = warnings.showwarning


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Ours without the place in the code, which says nothing to who runs a command."""
    if issubclass(category, FewshotWarning):
        typer.echo(f"warning: {message}", err=True)
    else:
        _SHOW(message, category, *where, **more)


def main() -> None:
    """Run the command line; the entry point of `fewshot-llm` and `python -m fewshot_llm`."""
    warnings.showwarning = _show_warning
    try:
        app(prog_name="fewshot-llm")
    except SystemExit as end:
        if end.code not in (INTERRUPTED, TERMINATED):
            raise
        # Everything was left in order when the command ended. Taking a model apart would take seconds, and a thread
        # that waits for a server would be waited for.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)
