"""`fewshot-llm tag`: all labels that apply to each row of a file."""

from __future__ import annotations

from collections import Counter

import typer

from fewshot_llm.cli import options
from fewshot_llm.cli.failure import rows_output, say_columns

__all__ = ["tag"]

COLUMNS = ("predicted_labels", "probabilities")


def tag(
    task: options.TaggingTask,
    support: options.Support,
    source: options.Input,
    output: options.Output,
    overwrite: options.Overwrite = False,
    excel: options.Excel = False,
    semicolon: options.Semicolon = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    lang: options.Lang = "auto",
    shots: options.Shots = 4,
    seed: options.Seed = 0,
    template_version: options.TemplateVersion = None,
    layout: options.Layout = "auto",
    model: options.Model = "auto",
    adapter: options.Adapter = None,
    allow_download: options.AllowDownload = False,
    insecure: options.Insecure = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Give each row of a file every label that applies, from a few labelled rows.

    The label column holds lists (also as JSON), or labels between `|`, `;` or `、`; an empty one means that none
    applies. Adds `predicted_labels` and `probabilities`. A row without text gets none.
    """
    form = rows_output(output, (source, support), overwrite=overwrite, excel=excel, semicolon=semicolon)
    from fewshot_llm.cli.parts import ModelOptions, Told, say, warn_unreadable
    from fewshot_llm.cli.progress import waiting
    from fewshot_llm.data.task import load_task
    from fewshot_llm.estimators.multilabel import FewShotMultiLabelClassifier
    from fewshot_llm.files import columns_of, require_writable, result_names, write_rows
    from fewshot_llm.labelling.files import add_answers, answered, as_labels
    from fewshot_llm.predictors.build import choose_language

    told = Told(text_column, label_column, delimiter, encoding)
    described, known = load_task(task), told.labelled(support)
    say(known.notes)
    texts, given = answered(known, described, told.columns(described, columns_of(known)))
    rows, columns = told.unlabelled(described, source)
    told.require_found()
    require_writable(output, rows)
    written = result_names(columns_of(rows), COLUMNS)
    language = choose_language(lang, described, (text.text for text in texts))
    chosen = ModelOptions(model, adapter, device, dtype, threads, allow_download, insecure)
    loaded = chosen.open(language, (text.text for text in texts))
    tagger = FewShotMultiLabelClassifier(
        described, loaded, shots=shots, language=language, template=template_version, layout=layout, seed=seed
    )
    with waiting("Calibrating on the labelled rows"):
        tagger.fit(texts, [as_labels(cell, described.labels) for cell in given])
    with waiting("Labelling"):
        found = add_answers(rows, described, tagger.answers, COLUMNS, columns, rows.problems)
    say_columns(written)
    write_rows(output, found, overwrite, excel=form, results=tuple(written.values()))
    warn_unreadable(rows)
    counts = Counter(label for row in found for label in row[written["predicted_labels"]] or ())
    said = ", ".join(f"{label} {count}" for label, count in counts.most_common()) or "no labels"
    typer.echo(f"{len(rows)} rows: {said} → {output}", err=True)
