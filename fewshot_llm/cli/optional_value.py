"""An option whose value may be left out: `--verify` and `--verify URL`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

__all__ = ["HERE", "VerifyCommand"]

HERE = "here"
"""What a bare `--verify` stands for: start the bundle's own server."""


class VerifyCommand(TyperCommand):
    """A command whose `--verify` takes an address or nothing; Typer has no such option by itself."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts `here` behind a bare `--verify`."""
        filled: list[str] = []
        for at, argument in enumerate(args):
            filled.append(argument)
            following = args[at + 1] if at + 1 < len(args) else ""
            if argument == "--verify" and not following.startswith(("http://", "https://")):
                filled.append(HERE)
        return super().parse_args(ctx, filled)
