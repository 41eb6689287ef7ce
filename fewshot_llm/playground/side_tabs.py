"""The other tabs: the labelled rows with the accuracy so far, the prompt, tuning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fewshot_llm.errors import FewshotError
from fewshot_llm.playground import views
from fewshot_llm.playground.frame import Page, readable, table
from fewshot_llm.playground.words import words_of

__all__ = ["prompt_tab", "support_tab", "tune_tab"]


def support_tab(page: Page) -> None:
    """The labelled rows, the accuracy after each change, and the measurement on the test file."""
    import gradio as gr

    session = page.session
    with page.add(gr.Tab, lambda w: {"label": w.support_tab}), gr.Row():
        with gr.Column(scale=3):
            page.support = page.add(
                gr.Dataframe,
                lambda w: {"value": table(w.support_columns, views.support_rows(session))},
                interactive=False,
                wrap=True,
                show_label=False,
                elem_id="support",
                column_widths=["10%", "20%", "70%"],
            )
        with gr.Column(scale=2):
            page.history = page.add(
                gr.Dataframe,
                lambda w: {"value": table(w.history_columns, views.history_rows(session, w)), "label": w.history},
                interactive=False,
                elem_id="history",
            )
            if session.test is not None:
                measure = page.add(gr.Button, lambda w: {"value": w.measure_button}, elem_id="measure")

                def on_measure(language: str) -> list[Any]:
                    session.measure()
                    return page.state(words_of(language))

                measure.click(readable(on_measure), page.language, page.state_of)


def prompt_tab(page: Page) -> None:
    """The template to edit, beside the prompt that it gives."""
    import gradio as gr

    session = page.session

    def rendered(text: str, source: str) -> str:
        try:
            return session.prompt(text or "…", source)
        except FewshotError as error:
            return str(error)

    with page.add(gr.Tab, lambda w: {"label": w.prompt_tab}):
        text = page.add(gr.Textbox, lambda w: {"label": w.prompt_text}, value="…", elem_id="prompt-text")
        with gr.Row():
            with gr.Column():
                source = page.add(
                    gr.Textbox,
                    lambda w: {"label": w.template},
                    value=session.template.source,
                    lines=20,
                    max_lines=20,
                    elem_id="template",
                    elem_classes="mono",
                )
                with gr.Row():
                    use = page.add(gr.Button, lambda w: {"value": w.use_button}, variant="primary", elem_id="use")
                    reset = page.add(gr.Button, lambda w: {"value": w.reset_button}, elem_id="reset")
                notice = gr.Markdown(elem_id="template-notice")
            with gr.Column():
                prompt = page.add(
                    gr.Textbox,
                    lambda w: {"label": w.rendered},
                    value=session.prompt("…"),
                    lines=20,
                    max_lines=20,
                    interactive=False,
                    elem_id="prompt",
                    elem_classes="mono",
                )

    def on_use(chosen: str | None, text: str, language: str) -> list[Any]:
        words, was = words_of(language), session.history[-1].out_of_fold.value
        session.use_template(chosen)
        said = words.using.format(before=f"{was:.2f}", after=f"{session.history[-1].out_of_fold.value:.2f}")
        return [said, session.template.source, session.prompt(text or "…"), *page.state(words)]

    def on_reset(text: str, language: str) -> list[Any]:
        return on_use(None, text, language)

    after = [notice, source, prompt, *page.state_of]
    for edited in (text, source):
        edited.change(rendered, [text, source], prompt, show_progress="hidden")
    use.click(readable(on_use), [source, text, page.language], after)
    reset.click(readable(on_reset), [text, page.language], after)


def tune_tab(page: Page) -> None:
    """The ladder with its progress."""
    import gradio as gr

    session = page.session
    with page.add(gr.Tab, lambda w: {"label": w.tune_tab}):
        page.add(gr.Markdown, lambda w: {"value": w.tune_about.format(folder=session.tuned)})
        target = page.add(
            gr.Slider, lambda w: {"label": w.target}, minimum=0.5, maximum=1.0, step=0.01, value=0.9, elem_id="target"
        )
        start = page.add(gr.Button, lambda w: {"value": w.tune_button}, variant="primary", elem_id="tune")
        log = page.add(
            gr.Textbox, lambda w: {"label": w.log}, lines=12, interactive=False, elem_id="log", elem_classes="mono"
        )

    def on_tune(target: float, language: str) -> Iterator[str]:
        yield from views.training_log(session, target, words_of(language))

    start.click(on_tune, [target, page.language], log)
