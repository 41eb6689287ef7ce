"""A report as one HTML file and as Markdown with the same blocks and numbers, and from a result to both.

Charts of the page are drawn beforehand, so that it runs no script and asks nobody; in Markdown charts are their tables.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, assert_never
from xml.etree import ElementTree

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from fewshot_llm.errors import DataFileError
from fewshot_llm.evaluation.result import Evaluation, read_evaluation
from fewshot_llm.evaluation.suite.result import SuiteResult, read_result
from fewshot_llm.explaining import Explanation, explanation_html
from fewshot_llm.files import atomic_write_text
from fewshot_llm.report.document import (
    Block,
    Cell,
    Chart,
    Code,
    Document,
    Explained,
    Hero,
    Hint,
    Paragraph,
    Quote,
    Side,
    Table,
    spans,
)
from fewshot_llm.report.evaluation import evaluation_document
from fewshot_llm.report.suite import suite_document

__all__ = [
    "HTML",
    "document_of",
    "draw",
    "escaped",
    "read_any_result",
    "to_html",
    "to_markdown",
    "write_report",
]


PAGE = Path(__file__).with_name("page.html.jinja")
SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {f"{SVG}{name}" for name in ("svg", "g", "path", "line", "rect", "text", "tspan", "defs", "clipPath")}


def to_html(document: Document) -> str:
    """The page. Everything that comes from data is escaped; a policy in its head forbids scripts and requests.

    Raises:
        DataFileError: the charts' packages are not installed.
    """
    page: str = _page().render(
        document=document,
        draw=draw,
        spans=spans,
        block_kind=lambda block: type(block).__name__,
        # Escapes every text and label itself.
        explained=lambda block: Markup(explanation_html(block.explanation, document.language)),
    )
    return page


def draw(spec: dict[str, Any], title: str) -> Markup:
    """A Vega-Lite chart as SVG markup that scales with its column.

    Args:
        spec: the chart.
        title: what it shows, for those who cannot see it.

    Raises:
        DataFileError: vl-convert is not installed, or it drew what a chart does not need.
    """
    try:
        import vl_convert
    except ImportError:
        raise DataFileError(
            "The report's charts need vl-convert-python. Run: pip install 'fewshot-llm[report]'"
        ) from None
    root = ElementTree.fromstring(vl_convert.vegalite_to_svg(json.dumps(spec)))
    for element in root.iter():
        if element.tag not in DRAWN or any(name.startswith("on") or "href" in name for name in element.attrib):
            raise DataFileError(f"The chart {title!r} holds {element.tag}, which a chart does not need.")
        for name in [name for name in element.attrib if name.startswith("aria-") or name == "role"]:
            del element.attrib[name]  # the picture is named as a whole; its numbers are in the table below it
    width = root.attrib.pop("width")
    root.attrib.pop("height", None)
    root.attrib |= {"role": "img", "aria-label": title, "style": f"max-width:{float(width):.0f}px"}
    ElementTree.register_namespace("", SVG[1:-1])
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # checked above, element by element


@lru_cache(maxsize=1)
def _page() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(PAGE.read_text(encoding="utf-8"))


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
        case Paragraph():
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


HTML, MARKDOWN = "report.html", "report.md"


def read_any_result(path: Path) -> Evaluation | SuiteResult:
    """Read what `fewshot-llm evaluate --output FILE` or `fewshot-llm suite` wrote.

    Raises:
        DataFileError: there is no such file, or it is something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataFileError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise DataFileError(f"{path} is not JSON: {error}") from None
    if isinstance(document, dict) and "suite" in document:
        return read_result(path)
    return read_evaluation(path)


def document_of(result: Evaluation | SuiteResult, language: str | None = None, price: float | None = None) -> Document:
    """The report as blocks.

    Args:
        result: what was measured.
        language: `zh` or `en`; by default that of the prompts.
        price: of a million tokens, in any currency; a suite's report does not use it.
    """
    if isinstance(result, SuiteResult):
        return suite_document(result, language)
    return evaluation_document(result, language, price)


def write_report(document: Document, folder: Path) -> Path:
    """Write `report.html` and `report.md`, each whole or not at all.

    Args:
        document: the report.
        folder: made if it is not there.

    Returns:
        The page's path.

    Raises:
        DataFileError: the folder cannot be written, or the charts' packages are not installed.
    """
    page = to_html(document)
    atomic_write_text(folder / MARKDOWN, to_markdown(document))
    atomic_write_text(folder / HTML, page)
    return folder / HTML
