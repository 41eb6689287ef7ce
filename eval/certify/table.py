"""The results as the table of docs/serving.md: `python -m eval.certify.table` puts it there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BASELINES, DOCUMENT = ROOT / "eval" / "baselines", ROOT / "docs" / "serving.md"
COLUMNS = (
    "base model, test rows",
    "server",
    "export",
    "base weights",
    "certificate",
    "labels agree",
    "Δ log P: largest",
    "mean",
)


def results() -> list[dict[str, Any]]:
    """The committed documents, by name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(BASELINES.glob("serving-*.json"))]


def table(documents: list[dict[str, Any]]) -> str:
    """One line for each server and export."""
    lines = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    for document in documents:
        for asked, found in document["servers"].items():
            server, target, *_ = asked.split(":")
            name = f"{document['base']}, {found['rows']} of `{document['suite']}`"
            lines.append(_line([name, server, f"`{target}`", found["base"], *_figures(found)]))
    return "\n".join(lines)


def _figures(found: dict[str, Any]) -> tuple[str, ...]:
    if "certificate" not in found:
        return "no log-probabilities", f"{found['texts_agree']:.1%} of texts", "–", "–"
    passed = "passed" if found["certificate"]["passed"] else f"failed: {found['certificate']['broken']}"
    differences = (found["largest_difference"], found["mean_difference"])
    return passed, f"{found['labels_agree']:.1%}", *(f"{difference:.2g}" for difference in differences)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def with_table(text: str, new: str) -> str:
    """The document with its table of results replaced: the one whose head is this table's."""
    lines = text.splitlines()
    first = lines.index(_line(COLUMNS))
    past = next(at for at in range(first, len(lines)) if not lines[at].startswith("|"))
    return "\n".join([*lines[:first], *new.splitlines(), *lines[past:]]) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8"), table(results())), encoding="utf-8")
