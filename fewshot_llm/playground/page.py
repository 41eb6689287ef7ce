"""The page: gradio components and which function each button calls. What they do is in `session`.

Four tabs: label texts, see why and correct a label; the labelled rows with the accuracy so far; the prompt; tuning.
All of them follow the language and the support set.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from fewshot_llm.errors import FewshotError
from fewshot_llm.explaining import explanation_html
from fewshot_llm.files import write_rows
from fewshot_llm.playground import words as t
from fewshot_llm.playground.session import PlaygroundSession
from fewshot_llm.playground.words import PageWords, words_of

if TYPE_CHECKING:
    from fewshot_llm.ladder.base import LadderCallbacks, Measured
    from fewshot_llm.predictors.base import Prediction
    from fewshot_llm.training.cross_fit import FoldReport
    from fewshot_llm.training.trainer import EpochReport

__all__ = [
    "STYLE",
    "Page",
    "build_page",
    "history_rows",
    "pasted_texts",
    "prediction_rows",
    "predictions_file",
    "readable",
    "status_line",
    "support_rows",
    "table",
    "template_source",
    "theme",
    "training_log",
]

Captions = Callable[[PageWords], dict[str, Any]]
Rows = list[list[str]]


@dataclass
class Page:
    """The components that several tabs need, and every captioned one with its caption.

    Attributes:
        session: what the page works on.
        words: of the language at first.
        captions: components, and what makes their captions.
        status, language, support, history: components; set while the page is laid out.
    """

    session: PlaygroundSession
    words: PageWords
    captions: list[tuple[Any, Captions]] = field(default_factory=list)
    status: Any = None
    language: Any = None
    support: Any = None
    history: Any = None

    def add(self, make: Callable[..., Any], caption: Captions, **settings: Any) -> Any:
        """A component whose caption follows the language."""
        component = make(**caption(self.words), **settings)
        self.captions.append((component, caption))
        return component

    @property
    def captioned(self) -> list[Any]:
        """What `translate` gives new captions, in its order."""
        return [component for component, _ in self.captions]

    def translate(self, language: str) -> list[Any]:
        """The captions in another language."""
        import gradio as gr

        return [gr.update(**caption(words_of(language))) for _, caption in self.captions]

    def state(self, words: PageWords) -> list[Any]:
        """New values of status, support rows and history, in this order; see `state_of`."""
        return [
            status_line(self.session, words),
            table(words.columns(t.SUPPORT_COLUMNS), support_rows(self.session)),
            table(words.columns(t.HISTORY_COLUMNS), history_rows(self.session, words)),
        ]

    @property
    def state_of(self) -> list[Any]:
        """The components that `state` gives new values."""
        return [self.status, self.support, self.history]


def table(headers: tuple[str, ...], rows: Rows) -> dict[str, Any]:
    """A value for a `gradio.Dataframe`."""
    return {"headers": list(headers), "data": rows}


def readable(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A user's error becomes a message on the page instead of a crash."""

    @wraps(handler)
    def call(*arguments: Any) -> Any:
        import gradio as gr

        try:
            return handler(*arguments)
        except FewshotError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return call


def _support_tab(page: Page) -> None:
    """The labelled rows, the accuracy after each change, and the measurement on the test file."""
    import gradio as gr

    session = page.session
    with page.add(gr.Tab, lambda w: {"label": w(t.SUPPORT_TAB)}), gr.Row():
        with gr.Column(scale=3):
            page.support = page.add(
                gr.Dataframe,
                lambda w: {"value": table(w.columns(t.SUPPORT_COLUMNS), support_rows(session))},
                interactive=False,
                wrap=True,
                show_label=False,
                elem_id="support",
                column_widths=["10%", "20%", "70%"],
            )
        with gr.Column(scale=2):
            page.history = page.add(
                gr.Dataframe,
                lambda w: {
                    "value": table(w.columns(t.HISTORY_COLUMNS), history_rows(session, w)),
                    "label": w(t.HISTORY),
                },
                interactive=False,
                elem_id="history",
            )
            if session.test is not None:
                measure = page.add(gr.Button, lambda w: {"value": w(t.MEASURE_BUTTON)}, elem_id="measure")

                def on_measure(language: str) -> list[Any]:
                    session.measure()
                    return page.state(words_of(language))

                measure.click(readable(on_measure), page.language, page.state_of)


def template_source(session: PlaygroundSession) -> str:
    """The source of the template in use; empty where no prompt is asked."""
    return "" if session.template is None else session.template.source


def _prompt_tab(page: Page) -> None:
    """The template to edit, beside the prompt that it gives."""
    import gradio as gr

    session = page.session

    def rendered(text: str, source: str) -> str:
        try:
            return session.prompt(text or "…", source)
        except FewshotError as error:
            return str(error)

    with page.add(gr.Tab, lambda w: {"label": w(t.PROMPT_TAB)}):
        text = page.add(gr.Textbox, lambda w: {"label": w(t.PROMPT_TEXT)}, value="…", elem_id="prompt-text")
        with gr.Row():
            with gr.Column():
                source = page.add(
                    gr.Textbox,
                    lambda w: {"label": w(t.TEMPLATE)},
                    value=template_source(session),
                    lines=20,
                    max_lines=20,
                    elem_id="template",
                    elem_classes="mono",
                )
                with gr.Row():
                    use = page.add(gr.Button, lambda w: {"value": w(t.USE_BUTTON)}, variant="primary", elem_id="use")
                    reset = page.add(gr.Button, lambda w: {"value": w(t.RESET_BUTTON)}, elem_id="reset")
                notice = gr.Markdown(elem_id="template-notice")
            with gr.Column():
                prompt = page.add(
                    gr.Textbox,
                    lambda w: {"label": w(t.RENDERED)},
                    value=rendered("…", template_source(session)),
                    lines=20,
                    max_lines=20,
                    interactive=False,
                    elem_id="prompt",
                    elem_classes="mono",
                )

    def on_use(chosen: str | None, text: str, language: str) -> list[Any]:
        words, was = words_of(language), session.history[-1].out_of_fold.value
        session.use_template(chosen)
        said = words(t.USING, before=f"{was:.2f}", after=f"{session.history[-1].out_of_fold.value:.2f}")
        source = template_source(session)
        return [said, source, rendered(text, source), *page.state(words)]

    def on_reset(text: str, language: str) -> list[Any]:
        return on_use(None, text, language)

    after = [notice, source, prompt, *page.state_of]
    for edited in (text, source):
        edited.change(rendered, [text, source], prompt, show_progress="hidden")
    use.click(readable(on_use), [source, text, page.language], after)
    reset.click(readable(on_reset), [text, page.language], after)


def _tune_tab(page: Page) -> None:
    """The ladder with its progress."""
    import gradio as gr

    session = page.session
    with page.add(gr.Tab, lambda w: {"label": w(t.TUNE_TAB)}):
        page.add(gr.Markdown, lambda w: {"value": w(t.TUNE_ABOUT, folder=session.tuned)})
        target = page.add(
            gr.Slider,
            lambda w: {"label": w(t.TARGET)},
            minimum=0.5,
            maximum=1.0,
            step=0.01,
            value=0.9,
            elem_id="target",
        )
        start = page.add(gr.Button, lambda w: {"value": w(t.TUNE_BUTTON)}, variant="primary", elem_id="tune")
        log = page.add(
            gr.Textbox, lambda w: {"label": w(t.LOG)}, lines=12, interactive=False, elem_id="log", elem_classes="mono"
        )

    def on_tune(target: float, language: str) -> Iterator[str]:
        yield from training_log(session, target, words_of(language))

    start.click(on_tune, [target, page.language], log)


def _try_tab(page: Page) -> Callable[[], None]:
    """Lays the tab out; what comes back connects its buttons, once the other tabs' tables are there."""
    import gradio as gr

    session = page.session
    with page.add(gr.Tab, lambda w: {"label": w(t.TRY_TAB)}), gr.Row():
        with gr.Column():
            pasted = page.add(
                gr.Textbox, lambda w: {"label": w(t.TEXTS), "placeholder": w(t.TEXTS_HINT)}, lines=6, elem_id="texts"
            )
            label = page.add(gr.Button, lambda w: {"value": w(t.LABEL_BUTTON)}, variant="primary", elem_id="label")
            labelled = page.add(
                gr.Dataframe,
                lambda w: {"headers": list(w.columns(t.LABEL_COLUMNS))},
                type="array",
                interactive=False,
                wrap=True,
                show_label=False,
                elem_id="predictions",
                column_widths=["52%", "27%", "21%"],
            )
            download = page.add(
                gr.DownloadButton, lambda w: {"label": w(t.DOWNLOAD)}, visible=False, elem_id="download"
            )
        with gr.Column():
            pick = page.add(gr.Dropdown, lambda w: {"label": w(t.PICK)}, choices=[], elem_id="pick")
            why = gr.HTML(page.words(t.NOTHING_YET), elem_id="why", min_height=120)
            with gr.Row():
                right = page.add(
                    gr.Dropdown,
                    lambda w: {"label": w(t.RIGHT_LABEL)},
                    choices=list(session.labels),
                    value=None,
                    elem_id="right",
                )
                correct = page.add(gr.Button, lambda w: {"value": w(t.CORRECT_BUTTON)}, elem_id="correct")
                undo = page.add(gr.Button, lambda w: {"value": w(t.UNDO_BUTTON)}, elem_id="undo")
            notice = gr.Markdown(elem_id="notice")

    def predict(texts: list[str]) -> Rows:
        return prediction_rows(texts, session.label(texts)) if texts else []

    def explained(text: str | None, language: str) -> str:
        return explanation_html(session.explain(text), language) if text else words_of(language)(t.NOTHING_YET)

    def on_label(pasted: str, language: str) -> list[Any]:
        texts = pasted_texts(pasted)
        rows, words = predict(texts), words_of(language)
        first = texts[0] if texts else None
        return [
            table(words.columns(t.LABEL_COLUMNS), rows),
            gr.update(choices=texts, value=first),
            explained(first, language),
            gr.update(value=predictions_file(rows, words) if rows else None, visible=bool(rows)),
        ]

    def on_pick(text: str | None, language: str) -> str:
        return explained(text, language)

    def again(pasted: str, text: str | None, before: Rows, language: str) -> tuple[list[Any], int, int]:
        """The predictions and the explanation under the changed support set, and how many labels changed."""
        words = words_of(language)
        rows = predict(pasted_texts(pasted))
        labels = {row[0]: row[1] for row in before}
        changed = sum(labels.get(row[0], row[1]) != row[1] for row in rows)
        return (
            [table(words.columns(t.LABEL_COLUMNS), rows), explained(text, language), *page.state(words)],
            changed,
            len(rows),
        )

    def on_correct(pasted: str, text: str | None, label: str | None, before: Rows, language: str) -> list[Any]:
        words = words_of(language)
        if not text or not label:
            raise gr.Error(words(t.NOTHING_YET), print_exception=False)
        was = session.history[-1].out_of_fold.value
        session.correct(text, label)
        values, changed, rows = again(pasted, text, before, language)
        said = words(
            t.CORRECTED,
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
            return [words(t.NOTHING_TO_UNDO), *(gr.skip() for _ in range(5))]
        values, _, _ = again(pasted, text, before, language)
        return [words(t.UNDONE, before=f"{was:.2f}", after=f"{session.history[-1].out_of_fold.value:.2f}"), *values]

    def on_row(event: Any, pasted: str) -> str:
        row: int = event.index[0]
        return pasted_texts(pasted)[row]

    on_row.__annotations__["event"] = gr.SelectData  # gradio goes by the class; here it is only known inside

    def on_language(text: str | None, before: Rows, language: str) -> list[Any]:
        return [table(words_of(language).columns(t.LABEL_COLUMNS), before), explained(text, language)]

    def connect() -> None:
        after = [notice, labelled, why, page.status, page.support, page.history]
        page.language.change(readable(on_language), [pick, labelled, page.language], [labelled, why])
        label.click(readable(on_label), [pasted, page.language], [labelled, pick, why, download])
        pick.select(readable(on_pick), [pick, page.language], why)
        labelled.select(on_row, pasted, pick).then(readable(on_pick), [pick, page.language], why)
        correct.click(readable(on_correct), [pasted, pick, right, labelled, page.language], after)
        undo.click(readable(on_undo), [pasted, pick, labelled, page.language], after)

    return connect


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


def build_page(session: PlaygroundSession, language: str) -> Any:
    """The page of a session as `gradio.Blocks`.

    Args:
        session: what it works on; all visitors share it.
        language: at first; a switch on the page changes it.
    """
    import gradio as gr

    with gr.Blocks(analytics_enabled=False, title="fewshot-llm") as blocks:
        page = Page(session, words_of(language))
        with gr.Row():
            page.status = page.add(gr.Markdown, lambda w: {"value": status_line(session, w)}, elem_id="status")
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
            connect = _try_tab(page)
            _support_tab(page)
            _prompt_tab(page)
            _tune_tab(page)
        connect()
        page.language.change(page.translate, page.language, page.captioned)
    return blocks


def pasted_texts(pasted: str) -> list[str]:
    r"""The texts of a paste: one a line, empty lines and repetitions left out.

    >>> pasted_texts("good\n\n  bad\ngood ")
    ['good', 'bad']
    """
    return list(dict.fromkeys(line.strip() for line in pasted.splitlines() if line.strip()))


def prediction_rows(texts: Sequence[str], predictions: Sequence[Prediction]) -> list[list[str]]:
    """Text, label and probability of each."""
    return [
        [text, prediction.label or "", f"{prediction.probability:.3f}"]
        for text, prediction in zip(texts, predictions, strict=True)
    ]


def predictions_file(rows: Sequence[Sequence[str]], words: PageWords) -> str:
    """The path of a CSV file with these rows, for a spreadsheet, in a new temporary folder."""
    path = Path(tempfile.mkdtemp(prefix="fewshot-llm-")) / "predictions.csv"
    write_rows(path, [dict(zip(words.columns(t.LABEL_COLUMNS), row, strict=True)) for row in rows], excel=True)
    return str(path)


def support_rows(session: PlaygroundSession) -> list[list[str]]:
    """Row (from 1), label and text of each labelled row, the newest first."""
    rows = [[str(row + 1), str(example.label), example.text] for row, example in enumerate(session.classifier.support_)]
    return rows[::-1]


def history_rows(session: PlaygroundSession, words: PageWords) -> list[list[str]]:
    """Rows, accuracy out of fold and on the test file after each change, the newest first."""
    return [
        [str(state.rows), words.figure(state.out_of_fold), words.figure(state.test)]
        for state in reversed(session.history)
    ]


def status_line(session: PlaygroundSession, words: PageWords) -> str:
    """Task, model, labelled rows and accuracy, as Markdown."""
    return words(
        t.STATUS,
        task=session.file.task.name,
        model=session.model_name,
        rows=len(session.classifier.support_),
        accuracy=words.accuracy(session.history[-1]) if session.history else t.UNKNOWN,
    )


def training_log(session: PlaygroundSession, target: float, words: PageWords) -> Iterator[str]:
    """Tunes in another thread; yields the whole log each time a line was added to it."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def work() -> None:
        try:
            summary = session.tune(target, _callbacks(lines.put, words))
            reason = summary["reason_zh" if words.language == "zh" else "reason"]
            lines.put(words(t.TUNED, reason=reason, folder=summary["folder"]))
        except FewshotError as error:
            lines.put(str(error))
        finally:
            lines.put(None)

    Thread(target=work, daemon=True).start()
    log: list[str] = []
    while (line := lines.get()) is not None:
        log.append(line)
        yield "\n".join(log)


def _callbacks(say: Callable[[str], Any], words: PageWords) -> LadderCallbacks:
    from fewshot_llm.ladder.base import LadderCallbacks, Skipped
    from fewshot_llm.ladder.evidence import LabelEvidence

    def measured(rung: str, found: Measured) -> None:
        if isinstance(found, LabelEvidence):
            say(words(t.RUNG_DONE, rung=rung, accuracy=found.accuracy, seconds=found.seconds))
        elif isinstance(found, Skipped):
            say(words(t.RUNG_SKIPPED, rung=rung, why=found.why))

    def fold(report: FoldReport) -> None:
        epoch = report.epoch
        say(
            words(
                t.FOLD,
                fold=report.fold,
                folds=report.folds,
                epoch=epoch.epoch,
                epochs=epoch.epochs,
                loss=epoch.loss,
                left=report.seconds_left,
            )
        )

    def epoch(report: EpochReport) -> None:
        say(words(t.EPOCH, epoch=report.epoch, epochs=report.epochs, loss=report.loss, left=report.seconds_left))

    return LadderCallbacks(rung=lambda rung: say(words(t.RUNG, rung=rung)), measured=measured, fold=fold, epoch=epoch)
