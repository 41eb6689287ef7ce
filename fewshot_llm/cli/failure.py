"""Errors as one readable paragraph, the exit codes, and what Ctrl-C does.

0 done · 1 failed · 2 bad use (what the command line alone shows to be wrong) · 130 stopped by Ctrl-C (SIGINT) · 143
stopped by SIGTERM: 128 + the signal's number, as shells count.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from fewshot_llm.errors import DataFileError, FewshotError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fewshot_llm.cli.options import ResultFile
    from fewshot_llm.files.writing import Excel

__all__ = ["FAILED", "INTERRUPTED", "TERMINATED", "FailureGroup", "refuse_output", "rows_output", "say_columns"]

FAILED = 1
INTERRUPTED = 130
TERMINATED = 143


class _TerminatedError(KeyboardInterrupt):
    """SIGTERM: ends a command in the same way as Ctrl-C."""


class FailureGroup(TyperGroup):
    """The root command: an exception of any command becomes a paragraph and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Lets `--debug` stand anywhere: people add it to the end of the command that failed."""
        options = args[: args.index("--")] if "--" in args else args
        if "--debug" in options:
            args.remove("--debug")
            args.insert(0, "--debug")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; with `--debug` exceptions pass through untouched."""
        with _stopped_by_signals():
            return super().invoke(ctx) if ctx.params.get("debug") else self._invoke(ctx)

    def _invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise  # Typer's own: a quiet end when the reader has gone, for example
        except typer.TyperException as error:
            command = (getattr(error, "ctx", None) or ctx).command_path
            message = error.format_message().rstrip(".")
            _say(f"Error: {message}{'' if message.endswith('?') else '.'} See `{command} --help`.")
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt as stop:
            by, code = ("SIGTERM", TERMINATED) if isinstance(stop, _TerminatedError) else ("Ctrl-C", INTERRUPTED)
            notes = getattr(stop, "__notes__", ["A file that was not finished has not been written."])
            _say(f"Stopped by {by}. {' '.join(notes)}")
            raise typer.Exit(code) from None
        except FewshotError as error:
            _say(f"Error: {error}")
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            _say(f"Error: {where}{error.strerror or error}. Nothing was left half-written.")
        except Exception as error:
            _say(
                f"Error: this should not happen ({type(error).__name__}: {error}). Run the same command with "
                "--debug and report the traceback."
            )
        raise typer.Exit(FAILED)


def refuse_output(output: Path | None, inputs: tuple[Path | None, ...], *, overwrite: bool) -> None:
    """Refuses an output file that would destroy something, before any work is done; a None is an input not given.

    Raises:
        typer.BadParameter: `output` is one of the inputs, or exists and `overwrite` is not set.
    """
    if output is None or str(output) == "-":
        return
    for path in inputs:
        if path is not None and str(path) != "-" and path.exists() and output.exists() and path.samefile(output):
            raise typer.BadParameter(
                f"{output} is also an input and would be lost. Choose another file.", param_hint="--output"
            )
    if output.is_dir():
        raise typer.BadParameter(f"{output} is a folder; a file name is expected.", param_hint="--output")
    if output.exists() and not overwrite:
        raise typer.BadParameter(
            f"{output} exists. Choose another name, or replace it with --overwrite.", param_hint="--output"
        )


def rows_output(result: ResultFile, *inputs: Path | None) -> Excel:
    """As `refuse_output`, for a file of rows: its ending has to be one that rows are written in.

    Returns:
        How the file is written for a spreadsheet, for `write_rows`.
    """
    from fewshot_llm.files.writing import written_form

    try:
        kind, _ = written_form(result.output)
    except DataFileError as error:
        raise typer.BadParameter(str(error), param_hint="--output") from error
    if (result.excel or result.semicolon) and kind not in ("csv", "tsv", "xlsx"):
        raise typer.BadParameter(
            f"{result.output} is no table for a spreadsheet; name a .csv, .tsv or .xlsx file.", param_hint="--excel"
        )
    refuse_output(result.output, inputs, overwrite=result.overwrite)
    return "semicolon" if result.semicolon else result.excel


def say_columns(written: Mapping[str, str]) -> None:
    """Says what the added columns are called, where the input has columns of their usual names."""
    if any(name != column for name, column in written.items()):
        _say(f"The input has columns of our names already: the results are in {', '.join(written.values())}.")


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Within it, SIGINT and SIGTERM interrupt the command, and a second one ends the process at once.

    A signal that the process was told to ignore (`nohup`, a job in a shell's background) stays ignored.
    """
    ours: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    alone = threading.current_thread() is threading.main_thread()
    taken = [number for number, usual in ours.items() if alone and signal.getsignal(number) == usual]

    def stop(number: int, _: FrameType | None) -> None:
        for one in taken:
            signal.signal(one, signal.SIG_DFL)
        if sys.stderr.isatty():  # the cursor may be hidden by a bar that nobody will end
            os.write(sys.stderr.fileno(), b"\x1b[?25h\nStopping. Ctrl-C again ends at once.\n")
        raise _TerminatedError if number == signal.SIGTERM else KeyboardInterrupt

    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, ours[number])


def _say(paragraph: str) -> None:
    """One paragraph on standard error: wrapped by words on a terminal, a single line in a log."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    text = Text(paragraph.encode("utf-8", "backslashreplace").decode())
    if paragraph.startswith("Error:"):
        text.stylize("bold red", 0, len("Error:"))
    console.print(text, soft_wrap=not console.is_terminal)
