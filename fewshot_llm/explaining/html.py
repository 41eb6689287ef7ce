"""An explanation as a piece of a page: highlighted text and the demonstrations with their effects.

Styles stand on the elements, so that the piece looks the same wherever it is put. Blue speaks for the label and orange
against it (told apart also by people who do not tell red from green); the figure is in each word's title. Both are laid
over the page's own background, light or dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from fewshot_llm.explaining.explain import Explanation, Word
from fewshot_llm.types import Text

__all__ = ["explanation_html"]

FOR, AGAINST = "37, 99, 235", "234, 88, 12"
STRONGEST = 0.55
"""Opacity of the strongest colour: text on it is still easy to read."""

LONGEST = 120
"""Characters of a demonstration's text that are shown."""


DECISION = Text("{label} rather than {other}: {odds:+.2f} nats", "判为“{label}”而不是“{other}”：{odds:+.2f} nats")
SPEAKS_FOR = Text("speaks for {label}", "支持“{label}”")
SPEAKS_AGAINST = Text("speaks against it", "反对")
DEMONSTRATIONS = Text("What each demonstration adds (leaving it out)", "每个示例的影响（去掉它再打分）")
NONE_SHOWN = Text("There are no demonstrations to leave out.", "没有可去掉的示例。")
ROW = Text("row {row}", "第 {row} 行")


def explanation_html(explanation: Explanation, language: str) -> str:
    """The explanation as an HTML fragment; everything that comes from texts or labels is escaped.

    Args:
        explanation: what to draw.
        language: of the captions; Chinese for `zh…`, English for anything else.

    Returns:
        One `<div class="explanation">` without scripts, images or links.
    """

    def say(text: Text, **values: object) -> str:
        return escape(text.fill(**values).say(language))

    label, other = explanation.label, explanation.runner_up
    decision = say(DECISION, label=label, other=other, odds=explanation.log_odds)
    legend = (
        f'<span style="{_colour(1.0)}">{say(SPEAKS_FOR, label=label)}</span> '
        f'<span style="{_colour(-1.0)}">{say(SPEAKS_AGAINST)}</span>'
    )
    pieces = [passage.pieces() for passage in explanation.passages]
    strongest = _largest(piece.effect for passage in pieces for piece in passage)
    texts = "".join(
        f'<p style="white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.9; margin: .5em 0">'
        f"{''.join(_piece(piece, strongest) for piece in passage)}</p>"
        for passage in pieces
    )
    return (
        f'<div class="explanation"><p style="margin: .3em 0"><strong>{decision}</strong> '
        f'<small style="white-space: nowrap">{legend}</small></p>{texts}{_demonstrations(explanation, say)}</div>'
    )


def _piece(piece: Word, strongest: float) -> str:
    if not piece.effect:
        return escape(piece.text)
    title = f"{piece.effect:+.3f}"
    return f'<span title="{title}" style="{_colour(piece.effect / strongest)}">{escape(piece.text)}</span>'


def _demonstrations(explanation: Explanation, say: Callable[..., str]) -> str:
    if not explanation.demonstrations:
        return f"<p><small>{say(NONE_SHOWN)}</small></p>"
    strongest = _largest(shown.effect for shown in explanation.demonstrations)
    rows = "".join(
        f'<tr><td style="text-align: right; padding: .1em .6em; {_colour(shown.effect / strongest)}">'
        f"{shown.effect:+.2f}</td>"
        f'<td style="padding: .1em .6em; white-space: nowrap">{escape(shown.label)}</td>'
        f'<td style="padding: .1em .6em; overflow-wrap: anywhere" '
        f'title="{say(ROW, row=shown.row + 1)}">{escape(_shortened(shown.text))}</td></tr>'
        for shown in explanation.demonstrations
    )
    return (
        f'<p style="margin: .8em 0 .2em"><small>{say(DEMONSTRATIONS)}</small></p>'
        f'<table style="border-collapse: collapse; font-size: .9em">{rows}</table>'
    )


def _largest(effects: Iterable[float]) -> float:
    return max((abs(effect) for effect in effects), default=0.0) or 1.0


def _colour(share: float) -> str:
    """A background between nothing (0) and the strongest blue (1) or orange (-1)."""
    colour = FOR if share > 0 else AGAINST
    return f"background: rgba({colour}, {STRONGEST * abs(share):.2f}); border-radius: .2em"


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
