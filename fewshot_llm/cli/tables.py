"""Tables for people, on standard output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

__all__ = ["show_facts", "show_models", "show_rows"]


def show_models(described: Iterable[Mapping[str, Any]]) -> None:
    """One line per embedded model."""
    size = Column("download", justify="right")
    table = Table("name", "languages", size, "licence", "in the cache", "what it is")
    for model in described:
        languages = "many" if "*" in model["languages"] else ", ".join(model["languages"])
        cached = Text("yes", style="green") if model["cached"] else Text("no", style="dim")
        table.add_row(
            model["name"], languages, f"{model['download_mb']} MB", model["licence"], cached, model["summary"]
        )
    Console().print(table)


def show_facts(facts: Mapping[str, Any]) -> None:
    """Name and value, a line each; empty ones are left out."""
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value not in (None, "", []):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            table.add_row(Text(name.replace("_", " "), style="bold"), Text(shown, overflow="fold"))
    Console().print(table)


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A plain table; cells that are not text already are written as they print."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    Console().print(table)
