"""What attacks did, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from fewshot_llm.cli.tables import about_intervals, console

__all__ = ["show_attacks"]


def show_attacks(section: Mapping[str, Any]) -> None:
    """One line per attack, then the whole and its halves.

    Args:
        section: as `AttackReport.to_json` gives it.
    """
    numbers = [Column(name, justify="right") for name in ("labels flipped", f"with {section['defence']}")]
    table = Table("attack", "kind", "half", *numbers)
    for row in section["by_attack"]:
        table.add_row(row["name"], row["kind"], row["half"], _rate(row), f"{row['defended_flip_rate']:.3f}")
    table.add_section()
    for name, side in section["halves"].items():
        table.add_row(Text(f"all {name}", style="bold"), "", "", _rate(side["undefended"]), _rate(side["defended"]))
    table.add_row(Text("all", style="bold"), "", "", _rate(section["undefended"]), _rate(section["defended"]))
    out = console()
    out.print(table)
    before, after = section["undefended"], section["defended"]
    change = section["clean_accuracy_change"]
    out.print(
        Text(
            f"{section['rows']} rows. Accuracy on clean rows {before['accuracy_clean']['value']:.3f}, with the defence "
            f"{after['accuracy_clean']['value']:.3f} (change {change['value']:+.3f} [{change['low']:+.3f}, "
            f"{change['high']:+.3f}]); under attack {before['accuracy_attacked']['value']:.3f} and "
            f"{after['accuracy_attacked']['value']:.3f}."
        )
    )
    out.print(Text(about_intervals([section["estimand"]])))


def _rate(figures: Mapping[str, float]) -> str:
    return f"{figures['flip_rate']:.3f} [{figures['low']:.3f}, {figures['high']:.3f}]"
