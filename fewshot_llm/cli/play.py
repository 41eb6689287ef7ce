"""`fewshot-llm play`: a page to try a task on."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from fewshot_llm.cli.command import Without, command
from fewshot_llm.cli.options import CheckedFiles, ClassifierPrompt, ModelOptions, PageOptions, TaskName

__all__ = ["play"]


@command()
def play(
    task: TaskName,
    files: CheckedFiles,
    page: PageOptions,
    prompt: Annotated[ClassifierPrompt, Without({"calibration", "defence"})],
    model: Annotated[ModelOptions, Without({"adapter", "allow_download", "insecure"})],
) -> None:
    """Open a page to try a task on."""
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise typer.BadParameter("the page needs gradio: pip install 'fewshot-llm[play]'", param_hint="play")
    from fewshot_llm.cli.build import Told, load_chosen, settings_of, warn_of
    from fewshot_llm.cli.output import waiting
    from fewshot_llm.files import columns_of
    from fewshot_llm.playground import PlaygroundSession, SupportFile
    from fewshot_llm.playground.serve import PageAddress, listen, serve
    from fewshot_llm.predictors.build import make_language, make_scorer, text_language

    address = PageAddress(page.host, page.port, page.token)
    reading = files.reading
    with listen(address) as listener:
        told = Told(reading)
        described, examples = told.support(task, files.support)
        warn_of(examples.report.findings)
        measured_on = None if files.test is None else told.labelled_set(described, files.test)
        told.require_found()
        language = make_language(prompt.language, described, examples)
        loaded = load_chosen(model, language, (example.text for example in examples))
        settings = settings_of(replace(prompt, language=language), loaded)
        del settings["calibration"], settings["defence"]  # the page has its own
        columns = told.columns(described, columns_of(told.labelled(files.support)))
        with waiting("Calibrating on the support set"):
            session = PlaygroundSession(
                SupportFile(
                    files.support, described, columns, reading.delimiter, reading.encoding, reading.merge_labels
                ),
                make_scorer(loaded, text_language(language, (example.text for example in examples))),
                settings=settings,
                test=measured_on,
                tuned=page.tuned,
            )
        typer.echo(f"{address.url(listener.getsockname()[1])}\nCtrl-C ends it.", err=True)
        serve(session, language, listener, address.token)
