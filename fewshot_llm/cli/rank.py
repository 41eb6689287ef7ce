"""`fewshot-llm rank`: candidates in the order in which a customer may buy them next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fewshot_llm.cli import options
from fewshot_llm.cli.failure import rows_output, say_columns

__all__ = ["rank"]

COLUMNS = ("ranking", "probabilities")


def rank(
    support: options.Support,
    source: options.Input,
    output: options.Output,
    task: options.RankingTask = "next-product",
    baskets: Annotated[
        Path | None,
        typer.Option(
            "--baskets",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Rows with `titles` (and `user`) that popularity and co-occurrence are counted in.",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    excel: options.Excel = False,
    semicolon: options.Semicolon = False,
    label_column: options.LabelColumn = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    way: options.Way = "pmi",
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
    """Rank candidates for each row of a file from a few customers' choices.

    Rows have `history` and `candidates` (lists, also as JSON, or titles between `|`, `;` or `、`) and maybe `user`;
    labelled ones also what came next. Adds `ranking`, the likeliest first, and `probabilities`.
    """
    form = rows_output(output, (source, support), overwrite=overwrite, excel=excel, semicolon=semicolon)
    from fewshot_llm.cli.parts import ModelOptions, Told, say, take_way, warn_unreadable
    from fewshot_llm.cli.progress import waiting
    from fewshot_llm.data.columns import resolve_columns
    from fewshot_llm.data.task import load_task
    from fewshot_llm.estimators.ranker import FewShotRanker
    from fewshot_llm.files import columns_of, require_writable, result_names, write_rows
    from fewshot_llm.labelling.files import add_columns
    from fewshot_llm.predictors.build import choose_language
    from fewshot_llm.predictors.choices import as_choices, read_baskets

    told = Told(None, label_column, delimiter, encoding)
    described, known, rows = load_task(task), told.labelled(support), told.rows(source)
    say(known.notes)
    require_writable(output, rows)
    written = result_names(columns_of(rows), COLUMNS)
    names = columns_of(known)
    label = {field: column for field, column in told.columns(described, names).items() if field == "label"}
    told.require_found()
    column = resolve_columns(names, (), told=label, kind=described.kind, task=described.name).names["label"]
    choices = as_choices(known, [row[column] for row in known])
    usable = [row for position, row in enumerate(rows) if position not in rows.problems]
    asked = as_choices(usable)
    language = choose_language(lang, described, (" ".join(choice.history) for choice in choices))
    chosen = ModelOptions(model, adapter, device, dtype, threads, allow_download, insecure)
    loaded = chosen.open(language, (" ".join(choice.history) for choice in choices))
    ranker = FewShotRanker(
        described,
        loaded,
        prompt=take_way(way),
        shots=shots,
        language=language,
        template=template_version,
        layout=layout,
        seed=seed,
    )
    with waiting("Fitting on the choices"):
        ranker.fit(choices, [choice.chosen for choice in choices], [] if baskets is None else read_baskets(baskets))
    with waiting("Ranking"):
        answers = iter(ranker.answers(asked) if asked else ())
        none = dict.fromkeys(COLUMNS)
        given = [none if position in rows.problems else next(answers) for position in range(len(rows))]
        found = add_columns(rows, given, COLUMNS)
    say_columns(written)
    write_rows(output, found, overwrite, excel=form, results=tuple(written.values()))
    warn_unreadable(rows)
    typer.echo(f"{len(rows)} rows → {output}", err=True)
