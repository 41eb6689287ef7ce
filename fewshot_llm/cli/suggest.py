"""`fewshot-llm suggest`: the rows most worth labelling next."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fewshot_llm.cli import options
from fewshot_llm.cli.failure import refuse_output

__all__ = ["suggest"]


def suggest(
    task: options.Task,
    support: options.Support,
    source: options.Input,
    output: options.Output,
    count: Annotated[
        int, typer.Option("-n", "--rows", metavar="N", min=1, help="How many rows.", rich_help_panel=options.RESULT)
    ] = 20,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
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
    """Find the unlabelled rows that are most worth labelling: unsure, typical, unlike each other, of every class.

    They are written in the form of the support file with an empty label, and beside it the label guessed, its
    probability and the row's place in --input. Fill in the labels and add the rows to the support file. Rows whose text
    is labelled already, or nearly the same as one that is, are left out.
    """
    refuse_output(output, (source, support), overwrite=overwrite)
    from fewshot_llm.cli.parts import (
        column_names,
        make_classifier,
        read_support,
        warn_of,
    )
    from fewshot_llm.cli.progress import row_progress, waiting
    from fewshot_llm.files import read_rows, write_rows
    from fewshot_llm.suggesting import suggest as choose_rows
    from fewshot_llm.support import queries
    from fewshot_llm.support.columns import resolve_columns

    described, examples = read_support(task, support, text_column, label_column)
    warn_of(examples.report.findings)
    rows = read_rows(source)
    pool = queries(rows, described, column_names(described, text_column)) if rows else []
    classifier = make_classifier(
        described,
        examples,
        lang=lang,
        model=model,
        adapter=adapter,
        device=device,
        dtype=dtype,
        threads=threads,
        selection=selection,
        calibration=calibration,
        shots=shots,
        normalisation=normalisation,
        template=template_version,
        layout=layout,
        permutations=permutations,
        seed=seed,
        cut_long_text=cut_long_text,
        allow_download=allow_download,
        insecure=insecure,
    )
    with waiting("Calibrating on the support set"):
        classifier.fit_support(examples)
    with row_progress("Looking at") as progress:
        found = choose_rows(classifier, pool, count, progress=progress)
    names = dict.fromkeys(name for row in read_rows(support) for name in row)
    told = column_names(described, text_column, label_column)
    columns = resolve_columns(names, described.fields, described.optional_fields, told)
    write_rows(output, found.rows(columns), overwrite=overwrite)
    guesses = {label: sum(one.guess == label for one in found.chosen) for label in classifier.labels_}
    summary = {
        "rows": len(rows),
        "suggested": len(found.chosen),
        "guesses": {label: times for label, times in guesses.items() if times},
        "without_text": found.without_text,
        "repeated": found.repeated,
        "output": str(output),
    }
    to_stderr = str(output) == "-"
    if as_json:
        typer.echo(json.dumps(summary, ensure_ascii=False), err=to_stderr)
        return
    shared = ", ".join(f"{label} {times}" for label, times in summary["guesses"].items()) or "none"  # type: ignore[attr-defined]
    typer.echo(
        f"{len(found.chosen)} of {len(rows)} rows are worth labelling first (guesses: {shared}) → {output}",
        err=to_stderr,
    )
    left_out = [(found.repeated, "repeat a text or are labelled already"), (found.without_text, "have no text")]
    for number, why in left_out:
        if number:
            typer.echo(f"{number} rows {why}.", err=to_stderr)
