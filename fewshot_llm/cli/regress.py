"""`fewshot-llm regress`: a number, with an interval, for each row of a file."""

from __future__ import annotations

from typing import Annotated

import typer

from fewshot_llm.cli import options
from fewshot_llm.cli.failure import rows_output, say_columns

__all__ = ["regress"]

COLUMNS = ("predicted_value", "low", "high")


def regress(
    task: options.RegressionTask,
    support: options.Support,
    source: options.Input,
    output: options.Output,
    overwrite: options.Overwrite = False,
    excel: options.Excel = False,
    semicolon: options.Semicolon = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    decimal: options.Decimal = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    grid: Annotated[
        str | None,
        typer.Option("--grid", metavar="N,N,…", help="Numbers to score, ascending. [default: the task's]"),
    ] = None,
    level: Annotated[
        float, typer.Option("--level", metavar="P", help="How often the number lies between low and high.")
    ] = 0.9,
    target_error: Annotated[
        float | None,
        typer.Option(
            "--target-error",
            metavar="E",
            help="Where the mean absolute error on held-out rows is larger, train LoRA with an ordinal loss, and keep "
            "it if it is better. [default: never train]",
        ),
    ] = None,
    lang: options.Lang = "auto",
    shots: options.Shots = 2,
    seed: options.Seed = 0,
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
    """Predict a number for each row of a file from a few rated rows.

    Adds `predicted_value`, `low` and `high` (CV+ prediction interval). A row without text gets none.
    """
    form = rows_output(output, (source, support), overwrite=overwrite, excel=excel, semicolon=semicolon)
    from fewshot_llm.cli.parts import ModelOptions, Told, say, warn_unreadable
    from fewshot_llm.cli.progress import waiting
    from fewshot_llm.data.task import load_task
    from fewshot_llm.estimators.base import as_numbers
    from fewshot_llm.estimators.regressor import FewShotRegressor
    from fewshot_llm.files import columns_of, require_writable, result_names, write_rows
    from fewshot_llm.labelling.files import add_answers, answered
    from fewshot_llm.ladder.rungs.numbers import NumberLadder
    from fewshot_llm.predictors.build import choose_language
    from fewshot_llm.predictors.numbers import Grid

    told = Told(text_column, label_column, delimiter, encoding)
    described, known = load_task(task), told.labelled(support)
    say(known.notes)
    texts, targets = answered(known, described, told.columns(described, columns_of(known)))
    rows, columns = told.unlabelled(described, source)
    told.require_found()
    require_writable(output, rows)
    written = result_names(columns_of(rows), COLUMNS)
    numbers = as_numbers(targets, decimal)
    language = choose_language(lang, described, (text.text for text in texts))
    chosen = ModelOptions(model, adapter, device, dtype, threads, allow_download, insecure)
    loaded = chosen.open(language, (text.text for text in texts))
    regressor = FewShotRegressor(
        described,
        loaded,
        grid=None if grid is None else Grid.parse(grid, described.scale),
        shots=shots,
        permutations=permutations,
        ladder=None if target_error is None else NumberLadder(target_error, seed=seed),
        language=language,
        template=template_version,
        layout=layout,
        seed=seed,
        cut_long_text=cut_long_text,
    )
    with waiting("Fitting on the rated rows"):
        regressor.fit(texts, numbers)
    with waiting("Predicting"):
        found = add_answers(
            rows,
            described,
            lambda asked: [
                dict(zip(COLUMNS, map(float, row), strict=True))
                for row in zip(regressor.predict(asked), *regressor.predict_interval(asked, level), strict=True)
            ],
            COLUMNS,
            columns,
            rows.problems,
        )
    say_columns(written)
    write_rows(output, found, overwrite, excel=form, results=tuple(written.values()))
    warn_unreadable(rows)
    if regressor.decision_ is not None:
        typer.echo(regressor.decision_.reason, err=True)
    error = regressor.cross_validated_error()
    typer.echo(f"{len(rows)} rows → {output}; mean absolute error on held-out rated rows: {error:.4g}", err=True)
