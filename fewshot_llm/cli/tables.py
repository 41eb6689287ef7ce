"""Tables for people, on standard output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

__all__ = ["console", "show_facts", "show_models", "show_rows"]

WIDE = 160
"""Characters a line in a file or a pipe."""


def console() -> Console:
    """Standard output; where that is not a terminal, wide enough that little is folded."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=WIDE)


def show_models(described: Iterable[Mapping[str, Any]]) -> None:
    """One line per embedded model."""
    name, size = Column("name", no_wrap=True), Column("download", justify="right")
    table = Table(name, "languages", size, "licence", "in the cache")
    for model in described:
        languages = "many" if "*" in model["languages"] else ", ".join(model["languages"])
        cached = Text("yes", style="green") if model["cached"] else Text("no", style="dim")
        table.add_row(model["name"], languages, f"{model['download_mb']} MB", model["licence"], cached)
    console().print(table)


def show_facts(facts: Mapping[str, Any]) -> None:
    """Name and value, a line each; empty ones are left out."""
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value not in (None, "", []):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            table.add_row(Text(name.replace("_", " "), style="bold"), Text(shown, overflow="fold"))
    console().print(table)


def show_rows(columns: Sequence[str | Column], rows: Iterable[Sequence[object]]) -> None:
    """A plain table; cells that are not `Text` are written as they print, markup in them included."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    console().print(table)
