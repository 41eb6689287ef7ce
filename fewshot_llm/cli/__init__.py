"""`fewshot-llm`: a thin Typer layer over the library. No logic lives here.

One file per command. A command is a plain function whose parameters are taken from `options`; its body
imports what it needs, so that `fewshot-llm --help` answers at once. Here each one is given its name and its
help panel.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any

import typer

from fewshot_llm.cli.attack import attack
from fewshot_llm.cli.batch import batch
from fewshot_llm.cli.check import check
from fewshot_llm.cli.classify import classify
from fewshot_llm.cli.compare import compare
from fewshot_llm.cli.demo import demo
from fewshot_llm.cli.evaluate import evaluate
from fewshot_llm.cli.explain import explain
from fewshot_llm.cli.export import export, verify
from fewshot_llm.cli.facts import facts
from fewshot_llm.cli.failure import INTERRUPTED, TERMINATED, FailureGroup
from fewshot_llm.cli.lint import lint
from fewshot_llm.cli.models import models
from fewshot_llm.cli.optional_value import VerifyCommand
from fewshot_llm.cli.play import play
from fewshot_llm.cli.rank import rank
from fewshot_llm.cli.regress import regress
from fewshot_llm.cli.render import render
from fewshot_llm.cli.reply import reply
from fewshot_llm.cli.report import report
from fewshot_llm.cli.suggest import suggest
from fewshot_llm.cli.suite import suite
from fewshot_llm.cli.tag import tag
from fewshot_llm.cli.tune import tune
from fewshot_llm.errors import FewshotWarning

__all__ = ["app", "main"]

LABEL = "Label and measure"
LOOK = "Look before you label"
SERVE = "Serve elsewhere"
MODELS = "Models"

app = typer.Typer(
    name="fewshot-llm",
    cls=FailureGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 bad use, 130 stopped by Ctrl-C, 143 by SIGTERM.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("fewshot-llm"))
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the whole traceback of an error. May stand anywhere.")
    ] = False,
) -> None:
    """Few-shot text work for online shops: a few labelled texts in, labels with probabilities out.

    Labels are scored by a causal language model on this machine, never generated and parsed.
    """


app.command("demo", rich_help_panel=LABEL)(demo)
app.command("classify", rich_help_panel=LABEL)(classify)
app.command("regress", rich_help_panel=LABEL)(regress)
app.command("tag", rich_help_panel=LABEL)(tag)
app.command("rank", rich_help_panel=LABEL)(rank)
app.command("reply", rich_help_panel=LABEL)(reply)
app.command("batch", rich_help_panel=LABEL)(batch)
app.command("evaluate", rich_help_panel=LABEL)(evaluate)
app.command("attack", rich_help_panel=LABEL)(attack)
app.command("suite", rich_help_panel=LABEL)(suite)
app.command("report", rich_help_panel=LABEL)(report)
app.command("compare", rich_help_panel=LABEL)(compare)
app.command("explain", rich_help_panel=LABEL)(explain)
app.command("suggest", rich_help_panel=LABEL)(suggest)
app.command("tune", rich_help_panel=LABEL)(tune)
app.command("play", rich_help_panel=LOOK)(play)
app.command("facts", rich_help_panel=LOOK)(facts)
app.command("check", rich_help_panel=LOOK)(check)
app.command("render", rich_help_panel=LOOK)(render)
app.command("export", cls=VerifyCommand, rich_help_panel=SERVE)(export)
app.command("verify", rich_help_panel=SERVE)(verify)
app.command("lint", rich_help_panel=SERVE)(lint)
app.add_typer(models, name="models", rich_help_panel=MODELS)


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
