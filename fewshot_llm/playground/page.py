"""The page: gradio components and which function each button calls. What they do is in `session` and `views`."""

from __future__ import annotations

from typing import Any

from fewshot_llm.playground import views
from fewshot_llm.playground.frame import Page
from fewshot_llm.playground.session import Session
from fewshot_llm.playground.side_tabs import prompt_tab, support_tab, tune_tab
from fewshot_llm.playground.try_tab import try_tab
from fewshot_llm.playground.words import words_of

__all__ = ["STYLE", "build_page", "theme"]

STYLE = """
.mono textarea { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .85rem; }
#status { flex-grow: 1; align-self: center; }
#language .wrap { flex-wrap: nowrap; }
#language label { white-space: nowrap; }
#predictions *, #support *, #history * { font-family: var(--font); }
#correct, #undo { align-self: end; }
#why .explanation :is(table, tr, td) { border: none !important; }
"""


def theme() -> Any:
    """Fonts that every system has; gradio's own would be fetched from a font service."""
    import gradio as gr

    return gr.themes.Default(
        font=[
            "system-ui",
            "-apple-system",
            "Segoe UI",
            "PingFang SC",
            "Microsoft YaHei",
            "Noto Sans CJK SC",
            "sans-serif",
        ],
        font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    )


def build_page(session: Session, language: str) -> Any:
    """The page of a session as `gradio.Blocks`.

    Args:
        session: what it works on; all visitors share it.
        language: at first; a switch on the page changes it.
    """
    import gradio as gr

    with gr.Blocks(analytics_enabled=False, title="fewshot-llm") as blocks:
        page = Page(session, words_of(language))
        with gr.Row():
            page.status = page.add(gr.Markdown, lambda w: {"value": views.status_line(session, w)}, elem_id="status")
            page.language = gr.Radio(
                [("中文", "zh"), ("English", "en")],
                value=page.words.language,
                show_label=False,
                container=False,
                min_width=220,
                scale=0,
                elem_id="language",
            )
        with gr.Tabs():
            connect = try_tab(page)
            support_tab(page)
            prompt_tab(page)
            tune_tab(page)
        connect()
        page.language.change(page.translate, page.language, page.captioned)
    return blocks
