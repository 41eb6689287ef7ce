"""`fewshot-llm play`: a page to try a task on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fewshot_llm.cli import options

__all__ = ["play"]

PAGE = "Page"


def play(
    task: options.Task,
    support: options.Support,
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Labelled rows that a button measures on; they are never learned from.",
            rich_help_panel=options.DATA,
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Where to listen. Any address but this machine's own needs a token.",
            rich_help_panel=PAGE,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="P", min=0, max=65535, help="0 takes a free one.", rich_help_panel=PAGE)
    ] = 7860,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="SECRET",
            envvar="FEWSHOT_PLAY_TOKEN",
            help="What every visitor has to know. [default: made up where one is needed]",
            rich_help_panel=PAGE,
            show_default=False,
        ),
    ] = None,
    tuned: Annotated[
        Path,
        typer.Option(
            "--tuned", metavar="DIR", file_okay=False, help="The folder that tuning writes.", rich_help_panel=PAGE
        ),
    ] = Path("tuned"),
    merge_labels: options.MergeLabels = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    lang: options.Lang = "auto",
    shots: options.Shots = 4,
    seed: options.Seed = 0,
    selection: options.Select = "balanced",
    normalisation: options.Normalisation = "sum",
    permutations: options.Permutations = 1,
    template_version: options.TemplateVersion = None,
    layout: options.Layout = "auto",
    cut_long_text: options.CutLongText = False,
    model: options.Model = "auto",
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Open a page to label texts on, see why, correct labels, edit the prompt and tune.

    A corrected label is written to --support at once. The page is served on this machine only, until Ctrl-C, and
    fetches nothing from any network. Needs the extra `play`.
    """
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise typer.BadParameter("the page needs gradio: pip install 'fewshot-llm[play]'", param_hint="play")
    from fewshot_llm.cli.parts import ModelOptions, Told, take_selection, warn_of
    from fewshot_llm.cli.progress import waiting
    from fewshot_llm.files import columns_of
    from fewshot_llm.playground import PlaygroundSession, SupportFile
    from fewshot_llm.playground.serve import PageAddress, listen, serve
    from fewshot_llm.predictors.build import make_language, make_scorer, text_language

    address = PageAddress(host, port, token)
    with listen(address) as listener:
        told = Told(text_column, label_column, delimiter, encoding, merge_labels)
        described, examples = told.support(task, support)
        warn_of(examples.report.findings)
        measured_on = None if test is None else told.labelled_set(described, test)
        told.require_found()
        language = make_language(lang, described, examples)
        chosen = ModelOptions(model, device=device, dtype=dtype, threads=threads)
        loaded = chosen.load(language, (example.text for example in examples))
        with waiting("Calibrating on the support set"):
            session = PlaygroundSession(
                SupportFile(
                    support,
                    described,
                    told.columns(described, columns_of(told.labelled(support))),
                    delimiter,
                    encoding,
                    merge_labels,
                ),
                make_scorer(loaded, text_language(language, (example.text for example in examples))),
                settings={
                    "shots": shots,
                    "seed": seed,
                    "selection": take_selection(selection, loaded),
                    "normalisation": normalisation,
                    "permutations": permutations,
                    "template": template_version,
                    "layout": layout,
                    "language": language,
                    "cut_long_text": cut_long_text,
                },
                test=measured_on,
                tuned=tuned,
            )
        typer.echo(f"{address.url(listener.getsockname()[1])}\nCtrl-C ends it.", err=True)
        serve(session, language, listener, address.token)
