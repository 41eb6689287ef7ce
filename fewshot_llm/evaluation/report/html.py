"""A report as one HTML file: charts are drawn beforehand, so that the page runs no script and asks nobody."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from fewshot_llm.errors import DataFileError
from fewshot_llm.evaluation.report.document import Document, spans
from fewshot_llm.explaining import explanation_html

__all__ = ["draw", "to_html"]

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
