"""`fewshot-llm rank`: candidates in the order in which a customer may buy them next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fewshot_llm.cli import options
from fewshot_llm.cli.failure import refuse_output

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
    label_column: options.LabelColumn = None,
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

    Rows have `history` and `candidates` (lists, or titles between `|`) and maybe `user`; labelled ones also what came
    next. Adds `ranking`, the likeliest first, and `probabilities`.
    """
    refuse_output(output, (source, support), overwrite=overwrite)
    from fewshot_llm.answered_rows import add_columns
    from fewshot_llm.cli.parts import open_model_or_server, take_way
    from fewshot_llm.cli.progress import waiting
    from fewshot_llm.estimators.assemble import choose_language
    from fewshot_llm.estimators.choice import as_choices
    from fewshot_llm.estimators.co_occurrence import read_baskets
    from fewshot_llm.estimators.ranker import FewShotRanker
    from fewshot_llm.files import read_rows, write_rows
    from fewshot_llm.support.columns import resolve_columns
    from fewshot_llm.task import load_task

    described, known, rows = load_task(task), read_rows(support), read_rows(source)
    names = dict.fromkeys(name for row in known for name in row)
    told = None if label_column is None else {"label": label_column}
    column = resolve_columns(names, (), told=told).names["label"]
    choices = as_choices(known, [row[column] for row in known])
    asked = as_choices(rows)
    language = choose_language(lang, described, (" ".join(choice.history) for choice in choices))
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
    ranker = FewShotRanker(
        described,
        loaded,
        way=take_way(way),
        shots=shots,
        language=language,
        template=template_version,
        layout=layout,
        seed=seed,
    )
    with waiting("Fitting on the choices"):
        ranker.fit(choices, [choice.chosen for choice in choices], [] if baskets is None else read_baskets(baskets))
    with waiting("Ranking"):
        found = add_columns(rows, ranker.answers(asked), COLUMNS)
    write_rows(output, found, overwrite=overwrite)
    typer.echo(f"{len(rows)} rows → {output}", err=True)
