"""`fewshot-llm suggest`: the rows most worth labelling next."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fewshot_llm.cli import options, redacting
from fewshot_llm.cli.failure import rows_output, say_columns

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
    excel: options.Excel = False,
    semicolon: options.Semicolon = False,
    as_json: options.Json = False,
    merge_labels: options.MergeLabels = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    redact: redacting.Redact = False,
    regions: redacting.Regions = None,
    redact_orders: redacting.RedactOrders = False,
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
    """Find the unlabelled rows that are most worth labelling: unsure, typical, unlike each other, of every class.

    They are written in the form of the support file with an empty label, and beside it the label guessed, its
    probability and the row's place in --input. Fill in the labels and add the rows to the support file. Rows whose text
    is labelled already, or nearly the same as one that is, are left out.
    """
    form = rows_output(output, (source, support), overwrite=overwrite, excel=excel, semicolon=semicolon)
    from fewshot_llm.cli.parts import ModelOptions, Told, make_classifier, warn_of, warn_unreadable
    from fewshot_llm.cli.progress import row_progress, waiting
    from fewshot_llm.data import queries
    from fewshot_llm.data.columns import LABEL_WORDS, resolve_columns
    from fewshot_llm.files import columns_of, require_writable, result_names, write_rows
    from fewshot_llm.labelling import ADDED_COLUMNS, suggest as choose_rows

    told = Told(text_column, label_column, delimiter, encoding, merge_labels)
    described, examples = told.support(task, support)
    warn_of(examples.report.findings)
    rows, columns = told.unlabelled(described, source)
    told.require_found()
    redactor = redacting.make_redactor(redact=redact, regions=regions, orders=redact_orders)
    if redactor is not None:
        rows.change(redactor.row)
    require_writable(output, rows)
    usable = [{} if position in rows.problems else row for position, row in enumerate(rows)]
    pool = queries([dict.fromkeys(columns.values()) | row for row in usable], described, columns) if rows else []
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
    with row_progress("Looking at") as progress:
        found = choose_rows(classifier, pool, count, progress=progress)
    names = columns_of(told.labelled(support))
    where = resolve_columns(
        names,
        described.fields,
        described.optional_fields,
        told.columns(described, names),
        kind=described.kind,
        task=described.name,
    )
    suggested = found.rows(where)
    written = result_names([where.names[field] for field in where.names if field != LABEL_WORDS], ADDED_COLUMNS)
    say_columns(written)
    write_rows(output, suggested, overwrite, excel=form, results=tuple(written.values()))
    warn_unreadable(rows)
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
