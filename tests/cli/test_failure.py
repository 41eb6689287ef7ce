"""Exit codes, and errors as one paragraph."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fewshot_llm.cli.failure import FailureGroup, refuse_output
from fewshot_llm.errors import TaskError

app = typer.Typer(cls=FailureGroup, pretty_exceptions_enable=False)


@app.callback()
def common(debug: bool = False) -> None:
    """A root command as the real one's."""


@app.command()
def fail(how: str) -> None:
    """Fail in one of the ways a command can."""
    failures: dict[str, BaseException] = {
        "known": TaskError("There is no task [bold]x[/bold]. Did you mean y?"),
        "system": OSError(28, "No space left on device", "out.csv"),
        "bug": ZeroDivisionError("division by zero"),
        "stop": KeyboardInterrupt(),
        "usage": typer.BadParameter("that will not do"),
        "surrogate": TaskError("bad \udcff byte"),
    }
    raise failures[how]


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("known", 1, "Error: There is no task [bold]x[/bold]. Did you mean y?\n"),
        ("system", 1, "Error: out.csv: No space left on device. Nothing was left half-written.\n"),
        ("stop", 130, "Stopped by Ctrl-C."),
        ("bug", 1, "ZeroDivisionError: division by zero). Run the same command with --debug"),
        ("usage", 2, "that will not do"),
        ("surrogate", 1, "bad \\udcff byte"),
    ],
)
def test_failure_is_one_paragraph(how: str, code: int, said: str) -> None:
    result = CliRunner().invoke(app, ["fail", how])
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.output


@pytest.mark.parametrize("arguments", [["--debug", "fail", "known"], ["fail", "known", "--debug"]])
def test_debug_anywhere_lets_the_exception_through(arguments: list[str]) -> None:
    assert isinstance(CliRunner().invoke(app, arguments).exception, TaskError)


def test_debug_after_two_dashes_is_a_value() -> None:
    assert isinstance(CliRunner().invoke(app, ["fail", "--", "--debug"]).exception, SystemExit)


class TestRefuseOutput:
    def test_standard_output_and_new_files_pass(self, tmp_path: Path) -> None:
        refuse_output(Path("-"), (Path("-"),), overwrite=False)
        refuse_output(tmp_path / "new.csv", (tmp_path,), overwrite=False)
        refuse_output(None, (), overwrite=False)

    def test_input_is_never_replaced(self, tmp_path: Path) -> None:
        rows = tmp_path / "rows.csv"
        rows.touch()
        (tmp_path / "link.csv").symlink_to(rows)
        os.link(rows, tmp_path / "hard.csv")
        for name in ("rows.csv", "link.csv", "hard.csv"):
            with pytest.raises(typer.BadParameter, match="also an input"):
                refuse_output(tmp_path / name, (rows,), overwrite=True)

    def test_existing_file_needs_overwrite(self, tmp_path: Path) -> None:
        out = tmp_path / "out.csv"
        out.touch()
        with pytest.raises(typer.BadParameter, match="--overwrite"):
            refuse_output(out, (), overwrite=False)
        refuse_output(out, (), overwrite=True)

    def test_folder_is_not_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(typer.BadParameter, match="folder"):
            refuse_output(tmp_path, (), overwrite=True)


def test_help_loads_nothing_heavy() -> None:
    """What `--help` loads decides how fast the command line feels."""
    code = (
        "import sys; from fewshot_llm.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('torch', 'transformers', 'sklearn', 'numpy', 'pandas', 'datasets', 'peft')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_module_and_command_are_the_same() -> None:
    done = subprocess.run([sys.executable, "-m", "fewshot_llm", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Usage: fewshot-llm" in done.stdout


WAITING = """
import sys, time, typer
from fewshot_llm.cli.failure import FailureGroup
app = typer.Typer(cls=FailureGroup)

@app.callback()
def common(debug: bool = False) -> None: ...

@app.command()
def wait(stubborn: bool = False) -> None:
    try:
        print("begun", flush=True)
        time.sleep(60)
    except KeyboardInterrupt as stop:
        stop.add_note("3 of 5 rows are finished.")
        if not stubborn:
            raise
        print("asked", flush=True)
        time.sleep(60)

app()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
class TestSignals:
    @pytest.fixture
    def start(self) -> Iterator[Callable[..., subprocess.Popen[str]]]:
        """Starts a command that waits; it is waiting when this returns."""
        begun: list[subprocess.Popen[str]] = []

        def start(*arguments: str, ignored: bool = False) -> subprocess.Popen[str]:
            # A job in a shell's background ignores Ctrl-C; pytest may be one.
            usual = signal.SIG_IGN if ignored else signal.SIG_DFL
            process = subprocess.Popen(
                [sys.executable, "-c", WAITING, "wait", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, usual),
            )
            begun.append(process)
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            return process

        yield start
        for process in begun:
            process.kill()
            process.communicate()

    @pytest.mark.parametrize(("name", "code", "by"), [("SIGINT", 130, "Ctrl-C"), ("SIGTERM", 143, "SIGTERM")])
    def test_a_signal_ends_the_command_with_a_line(self, start, name, code, by):  # type: ignore[no-untyped-def]
        process = start()
        process.send_signal(getattr(signal, name))
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (code, f"Stopped by {by}. 3 of 5 rows are finished.\n")

    @pytest.mark.parametrize("second", ["SIGINT", "SIGTERM"])
    def test_a_second_signal_ends_the_process_at_once(self, start, second):  # type: ignore[no-untyped-def]
        process = start("--stubborn")
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "asked\n"
        number = getattr(signal, second)
        process.send_signal(number)
        assert process.wait(timeout=20) == -number

    def test_what_the_process_was_told_to_ignore_stays_ignored(self, start):  # type: ignore[no-untyped-def]
        process = start(ignored=True)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)

    def test_handlers_are_as_before_afterwards(self) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        CliRunner().invoke(app, ["fail", "known"])
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
