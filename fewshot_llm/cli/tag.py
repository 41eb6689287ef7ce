"""`fewshot-llm tag`: all labels that apply to each row of a file."""

from __future__ import annotations

from collections import Counter

import typer

from fewshot_llm.cli import options
from fewshot_llm.cli.failure import refuse_output

__all__ = ["tag"]

COLUMNS = ("predicted_labels", "probabilities")


def tag(
    task: options.Task,
    support: options.Support,
    source: options.Input,
    output: options.Output,
    overwrite: options.Overwrite = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
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

    The label column holds lists, or labels between `|`; an empty one means that none applies. Adds `predicted_labels`
    and `probabilities`. A row without text gets none.
    """
    refuse_output(output, (source, support), overwrite=overwrite)
    from fewshot_llm.answered_rows import add_answers, answered, as_labels
    from fewshot_llm.cli.parts import column_names, open_model_or_server
    from fewshot_llm.cli.progress import waiting
    from fewshot_llm.estimators.assemble import choose_language
    from fewshot_llm.estimators.multilabel import FewShotMultiLabelClassifier
    from fewshot_llm.files import read_rows, write_rows
    from fewshot_llm.task import load_task

    described = load_task(task)
    texts, given = answered(read_rows(support), described, column_names(described, text_column, label_column))
    rows = read_rows(source)
    language = choose_language(lang, described, (text.text for text in texts))
    loaded = open_model_or_server(
        model,
        language,
        adapter=adapter,
        device=device,
        dtype=dtype,
        threads=threads,
        allow_download=allow_download,
        insecure=insecure,
    )
    tagger = FewShotMultiLabelClassifier(
        described, loaded, shots=shots, language=language, template=template_version, layout=layout, seed=seed
    )
    with waiting("Calibrating on the labelled rows"):
        tagger.fit(texts, [as_labels(cell) for cell in given])
    with waiting("Labelling"):
        found = add_answers(rows, described, tagger.answers, COLUMNS, column_names(described, text_column))
    write_rows(output, found, overwrite=overwrite)
    counts = Counter(label for row in found for label in row["predicted_labels"] or ())
    said = ", ".join(f"{label} {count}" for label, count in counts.most_common()) or "no labels"
    typer.echo(f"{len(rows)} rows: {said} → {output}", err=True)
