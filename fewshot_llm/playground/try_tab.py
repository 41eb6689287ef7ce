"""The first tab: label texts, see why, correct a label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fewshot_llm.explaining import explanation_html
from fewshot_llm.playground import views
from fewshot_llm.playground.frame import Page, readable, table
from fewshot_llm.playground.words import words_of

__all__ = ["try_tab"]

Rows = list[list[str]]


def try_tab(page: Page) -> Callable[[], None]:
    """Lays the tab out; what comes back connects its buttons, once the other tabs' tables are there."""
    import gradio as gr

    session = page.session
    with page.add(gr.Tab, lambda w: {"label": w.try_tab}), gr.Row():
        with gr.Column():
            pasted = page.add(
                gr.Textbox, lambda w: {"label": w.texts, "placeholder": w.texts_hint}, lines=6, elem_id="texts"
            )
            label = page.add(gr.Button, lambda w: {"value": w.label_button}, variant="primary", elem_id="label")
            labelled = page.add(
                gr.Dataframe,
                lambda w: {"headers": list(w.columns)},
                type="array",
                interactive=False,
                wrap=True,
                show_label=False,
                elem_id="predictions",
                column_widths=["52%", "27%", "21%"],
            )
            download = page.add(gr.DownloadButton, lambda w: {"label": w.download}, visible=False, elem_id="download")
        with gr.Column():
            pick = page.add(gr.Dropdown, lambda w: {"label": w.pick}, choices=[], elem_id="pick")
            why = gr.HTML(page.words.nothing_yet, elem_id="why", min_height=120)
            with gr.Row():
                right = page.add(
                    gr.Dropdown,
                    lambda w: {"label": w.right_label},
                    choices=list(session.labels),
                    value=None,
                    elem_id="right",
                )
                correct = page.add(gr.Button, lambda w: {"value": w.correct_button}, elem_id="correct")
                undo = page.add(gr.Button, lambda w: {"value": w.undo_button}, elem_id="undo")
            notice = gr.Markdown(elem_id="notice")

    def predict(texts: list[str]) -> Rows:
        return views.prediction_rows(texts, session.label(texts)) if texts else []

    def explained(text: str | None, language: str) -> str:
        return explanation_html(session.explain(text), language) if text else words_of(language).nothing_yet

    def on_label(pasted: str, language: str) -> list[Any]:
        texts = views.pasted_texts(pasted)
        rows, words = predict(texts), words_of(language)
        first = texts[0] if texts else None
        return [
            table(words.columns, rows),
            gr.update(choices=texts, value=first),
            explained(first, language),
            gr.update(value=views.predictions_file(rows, words) if rows else None, visible=bool(rows)),
        ]

    def on_pick(text: str | None, language: str) -> str:
        return explained(text, language)

    def again(pasted: str, text: str | None, before: Rows, language: str) -> tuple[list[Any], int, int]:
        """The predictions and the explanation under the changed support set, and how many labels changed."""
        words = words_of(language)
        rows = predict(views.pasted_texts(pasted))
        labels = {row[0]: row[1] for row in before}
        changed = sum(labels.get(row[0], row[1]) != row[1] for row in rows)
        return [table(words.columns, rows), explained(text, language), *page.state(words)], changed, len(rows)

    def on_correct(pasted: str, text: str | None, label: str | None, before: Rows, language: str) -> list[Any]:
        words = words_of(language)
        if not text or not label:
            raise gr.Error(words.nothing_yet, print_exception=False)
        was = session.history[-1].out_of_fold.value
        session.correct(text, label)
        values, changed, rows = again(pasted, text, before, language)
        said = words.corrected.format(
            label=label,
            file=session.file.path.name,
            changed=changed,
            all=rows,
            before=f"{was:.2f}",
            after=f"{session.history[-1].out_of_fold.value:.2f}",
        )
        return [said, *values]

    def on_undo(pasted: str, text: str | None, before: Rows, language: str) -> list[Any]:
        words, was = words_of(language), session.history[-1].out_of_fold.value
        if not session.undo():
            return [words.nothing_to_undo, *(gr.skip() for _ in range(5))]
        values, _, _ = again(pasted, text, before, language)
        return [words.undone.format(before=f"{was:.2f}", after=f"{session.history[-1].out_of_fold.value:.2f}"), *values]

    def on_row(event: Any, pasted: str) -> str:
        row: int = event.index[0]
        return views.pasted_texts(pasted)[row]

    on_row.__annotations__["event"] = gr.SelectData  # gradio goes by the class; here it is only known inside

    def on_language(text: str | None, before: Rows, language: str) -> list[Any]:
        return [table(words_of(language).columns, before), explained(text, language)]

    def connect() -> None:
        after = [notice, labelled, why, page.status, page.support, page.history]
        page.language.change(readable(on_language), [pick, labelled, page.language], [labelled, why])
        label.click(readable(on_label), [pasted, page.language], [labelled, pick, why, download])
        pick.select(readable(on_pick), [pick, page.language], why)
        labelled.select(on_row, pasted, pick).then(readable(on_pick), [pick, page.language], why)
        correct.click(readable(on_correct), [pasted, pick, right, labelled, page.language], after)
        undo.click(readable(on_undo), [pasted, pick, labelled, page.language], after)

    return connect
