"""A report as Markdown: the same blocks and numbers as the page; charts are their tables."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import assert_never

from fewshot_llm.evaluation.report.document import (
    Block,
    Cell,
    Chart,
    Code,
    Document,
    Explained,
    Hero,
    Hint,
    Quote,
    Side,
    Table,
    Text,
    spans,
)
from fewshot_llm.explaining import Explanation

__all__ = ["escaped", "to_markdown"]

SPECIAL = re.compile(r"([\\`*_\[\]|~#!$])")
STRONGEST, SHORT = 5, 60
"""Words of a text, and characters of a demonstration, that are shown."""
FENCE = re.compile(r"`{3,}")


def to_markdown(document: Document) -> str:
    """The report in GitHub's Markdown."""
    parts = [f"# {escaped(document.title)}", escaped(document.subtitle)]
    for section in document.sections:
        parts.append(f"## {escaped(section.title)}")
        parts += [_block(block) for block in section.blocks]
    parts += ["---", escaped(document.footer)]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    r"""Text that Markdown shows as it is, on one line: no markup, no HTML, no invisible control characters.

    >>> escaped("<b> **x** | y")
    '&lt;b&gt; \\*\\*x\\*\\* \\| y'
    """
    line = visible(re.sub(r"\s+", " ", text))
    line = SPECIAL.sub(r"\\\1", line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def visible(text: str) -> str:
    r"""The text with characters that reorder or hide others written out; joiners inside emoji stay.

    >>> visible("a\u202eb")
    'a\\u202eb'
    """
    return "".join(
        f"\\u{ord(sign):04x}" if unicodedata.category(sign) in ("Cf", "Cc") and sign not in "\n\t\u200d" else sign
        for sign in text
    )


def _block(block: Block) -> str:
    match block:
        case Text():
            return _paragraph(block.text)
        case Hint():
            return f"> {_paragraph(block.text)}"
        case Code():
            longest = max((len(fence) for fence in FENCE.findall(block.text)), default=2)
            fence = "`" * (longest + 1)
            return f"{fence}text\n{visible(block.text)}\n{fence}"
        case Table():
            return _table(block)
        case Side():
            return "\n\n".join(_table(item) if isinstance(item, Table) else _chart(item) for item in block.items)
        case Hero():
            return f"**{escaped(block.value)}** {escaped(block.interval)}\n\n{escaped(block.verdict)}"
        case Explained():
            return _explained(block.explanation)
    assert_never(block)


def _explained(explanation: Explanation) -> str:
    """The decision, the text, and the effects of its strongest words and of the demonstrations."""
    head = f"**{explanation.label} / {explanation.runner_up}: {explanation.log_odds:+.2f} nats**"
    texts = [f"> {escaped(passage.text)}" for passage in explanation.passages]
    strongest = [word for passage in explanation.passages for word in passage.strongest(STRONGEST)]
    effects = [(word.text, word.effect) for word in strongest]
    effects += [(f"{shown.label}: {shown.text[:SHORT]}", shown.effect) for shown in explanation.demonstrations]
    lines = [f"- {effect:+.2f} {escaped(text)}" for text, effect in effects]
    return "\n\n".join([head, *texts, "\n".join(lines)])


def _chart(chart: Chart) -> str:
    return f"**{escaped(chart.title)}**\n\n{_table(chart.table)}"


def _paragraph(text: str) -> str:
    parts = [f"`{visible(part)}`" if is_command else escaped(part) for part, is_command in spans(text)]
    return "".join(parts)


def _table(table: Table) -> str:
    ruler = " | ".join("---:" if column.numeric else "---" for column in table.columns)
    lines = [_line([column.title for column in table.columns]), f"| {ruler} |", *(_line(row) for row in table.rows)]
    caption = [escaped(table.caption), ""] if table.caption else []
    return "\n".join([*caption, *lines])


def _line(cells: Sequence[Cell]) -> str:
    shown = (escaped(cell.text if isinstance(cell, Quote) else cell) for cell in cells)
    return f"| {' | '.join(shown)} |"
