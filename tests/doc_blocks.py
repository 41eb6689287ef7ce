"""The code blocks of a page, and two ways to hold them to the truth: run them, or check each command's options.

A block in `sh` or `python` is run; one in `bash` needs a server, a GPU or a network and is only checked; anything else
shows the content of a file.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from typer.main import get_command
from typer.testing import CliRunner

from fewshot_llm.cli import app

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEREDOC = re.compile(r"<<'(\w+)'\n.*?^\1$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"[\w./-]+\.(csv|jsonl|json|toml|parquet|gz|txt)")

PROGRAM = "fewshot-llm"


@dataclass(frozen=True)
class Block:
    """One fenced block: its language and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a Markdown file, in order."""
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def statements(shell: str) -> list[str]:
    r"""A shell block cut into commands: here-documents stay whole, and lines that end in \ are joined.

    >>> statements("cat > a <<'END'\nx\nEND\necho \\\n  y\n# z\n")
    ["cat > a <<'END'\nx\nEND", 'echo    y']
    """
    kept: list[str] = []
    shell = HEREDOC.sub(lambda found: kept.append(found[0]) or f"\0{len(kept) - 1}\0", shell)
    lines = [line for line in shell.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    return [re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], line) for line in lines]


def arguments(statement: str) -> list[str] | None:
    """What follows `fewshot-llm` in a command, without comment and redirections; None for other commands.

    >>> arguments("fewshot-llm models list  # all")
    ['models', 'list']
    """
    words = shlex.split(statement, comments=True)
    if "-m" in words and "fewshot_llm" in words:  # accelerate launch -m fewshot_llm …
        words = [PROGRAM, *words[words.index("fewshot_llm") + 1 :]]
    if not words or words[0] != PROGRAM:
        return None
    ends = [place for place, word in enumerate(words) if word in {"|", "<", ">", "&&", "&"}]
    return words[1 : min(ends, default=len(words))]


def check_options(given: list[str], folder: Path) -> None:
    """Parse a command as the program does, in a folder where every file that it names is there.

    Raises:
        typer's usage error: an unknown command, option or choice, or something that is required and missing.
    """
    for word in given:
        if FILE.fullmatch(word):
            (folder / word).parent.mkdir(parents=True, exist_ok=True)
            (folder / word).touch()
        elif re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", word) and ("/" in word or word == "served"):
            (folder / word).mkdir(parents=True, exist_ok=True)
    command, rest = get_command(app), list(given)
    while hasattr(command, "commands"):
        name = rest.pop(0)
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    command.make_context(" ".join([PROGRAM, *given]), rest)


def run_page(page: Path, folder: Path) -> None:
    """Run the `sh` and `python` blocks of a page in order, in one folder, as a reader would; Python in one session."""
    session: dict[str, object] = {"__name__": "__main__"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with chdir(folder), patch.dict(os.environ, PATH=path, HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1"):
        for block in blocks(page):
            if block.language == "sh":
                run_shell(block.text)
            elif block.language == "python":
                exec(compile(block.text, page.name, "exec"), session)


def run_shell(shell: str) -> None:
    """Run a shell block in the working folder.

    `fewshot-llm` runs in this process, whose imports are done; all other commands, pipes and redirections run in bash.
    `make` is not run.
    """
    for statement in statements(shell):
        given = arguments(statement)
        if statement.startswith("make "):
            continue
        if given is None or {"<", ">", "|"} & set(shlex.split(statement, comments=True)):
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", statement], capture_output=True, text=True)
            assert done.returncode == 0, f"{statement}\n{done.stdout}\n{done.stderr}"
        else:
            result = CliRunner().invoke(app, given)
            assert result.exit_code == 0, f"{statement}\n{result.output}\n{result.exception!r}"
