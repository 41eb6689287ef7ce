"""`fewshot-llm explain`: which words and which demonstrations moved the decision about one text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from fewshot_llm.cli import options

if TYPE_CHECKING:
    from rich.text import Text

    from fewshot_llm.explaining import Explanation, Passage

__all__ = ["explain"]

MOST_WORDS = 8
"""Words in the table, by the size of their effect."""


def explain(
    task: options.Task,
    support: options.Support,
    text: Annotated[
        str,
        typer.Option("--text", metavar="T", help="The text to explain.", rich_help_panel=options.DATA),
    ],
    as_json: options.Json = False,
    merge_labels: options.MergeLabels = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    lang: options.Lang = "auto",
    shots: options.Shots = 4,
    seed: options.Seed = 0,
    selection: options.Select = "balanced",
    calibration: options.Calibrate = "out-of-fold",
    normalisation: options.Normalisation = "sum",
    permutations: options.Permutations = 1,
    template_version: options.TemplateVersion = None,
    layout: options.Layout = "auto",
    cut_long_text: options.CutLongText = False,
    model: options.Model = "auto",
    adapter: options.Adapter = None,
    allow_download: options.AllowDownload = False,
    insecure: options.Insecure = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Say why a text gets its label: its words and the demonstrations are taken away one at a time.

    Each effect is what the label loses in log-odds (nats) against the runner-up when that piece is gone. Blue, and a
    plus, speak for the label; orange, and a minus, against it.
    """
    from fewshot_llm.cli.parts import ModelOptions, Told, make_classifier, warn_of
    from fewshot_llm.cli.progress import row_progress, waiting

    told = Told(text_column, label_column, delimiter, encoding, merge_labels)
    described, examples = told.support(task, support)
    told.require_found()
    warn_of(examples.report.findings)
    chosen = ModelOptions(model, adapter, device, dtype, threads, allow_download, insecure)
    classifier = make_classifier(
        described,
        examples,
        chosen,
        lang=lang,
        selection=selection,
        calibration=calibration,
        shots=shots,
        normalisation=normalisation,
        template=template_version,
        layout=layout,
        permutations=permutations,
        seed=seed,
        cut_long_text=cut_long_text,
    )
    with waiting("Calibrating on the support set"):
        classifier.fit_support(examples)
    with row_progress("Taking away", unit="prompts") as progress:
        found = classifier.explain(text, progress=progress)
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
        return
    _show(found)


def _show(found: Explanation) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    from fewshot_llm.cli.tables import console

    out = console()
    shares = ", ".join(f"{label} {share:.2f}" for label, share in found.probabilities.items())
    out.print(Text(f"{found.label} rather than {found.runner_up}: {found.log_odds:+.2f} nats ({shares})", style="bold"))
    for passage in found.passages:
        out.print(_highlighted(passage))
    words = [word for passage in found.passages for word in passage.words if word.effect]
    table = Table("words taken away", Column("effect", justify="right"))
    for word in sorted(words, key=lambda word: -abs(word.effect))[:MOST_WORDS]:
        table.add_row(Text(word.text), f"{word.effect:+.2f}")
    out.print(table)
    if found.demonstrations:
        table = Table(
            Column("row", justify="right"), "demonstration left out", "label", Column("effect", justify="right")
        )
        for shown in found.demonstrations:
            example = Text(" ".join(shown.text.split()))
            example.truncate(max(20, out.width - 40), overflow="ellipsis")
            table.add_row(str(shown.row + 1), example, Text(shown.label), f"{shown.effect:+.2f}")
        out.print(table)


def _highlighted(passage: Passage) -> Text:
    """The text on blue where it speaks for the label, on orange where against; paler where the effect is small."""
    from rich.text import Text

    pieces = passage.pieces()
    strongest = max((abs(piece.effect) for piece in pieces), default=0.0) or 1.0
    shown = Text()
    for piece in pieces:
        share = piece.effect / strongest
        strong = (37, 99, 235) if share > 0 else (234, 88, 12)
        red, green, blue = (round(255 + (part - 255) * abs(share)) for part in strong)
        ink = "white" if share > 0.5 else "black"
        shown.append(piece.text, style=f"{ink} on rgb({red},{green},{blue})" if share else "")
    return shown
