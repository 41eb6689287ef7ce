"""`fewshot-llm evaluate`: what the answers are worth, over shots and seeds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fewshot_llm.cli import options, report_options, saved
from fewshot_llm.cli.failure import refuse_output

__all__ = ["evaluate"]

EXPLAINED = 6
"""Answers that a report explains."""


def evaluate(
    task: options.Task,
    test: options.Test,
    support: saved.SupportFile = None,
    shots: Annotated[
        str,
        typer.Option(
            "--shots",
            metavar="K,…",
            help="Numbers of demonstrations per class; each draws so many rows per class from --support.",
            rich_help_panel=options.PROMPT,
        ),
    ] = "0,4",
    seeds: Annotated[
        str,
        typer.Option(
            "--seeds",
            metavar="S,…",
            help="Each draws other rows and other demonstrations.",
            rich_help_panel=options.PROMPT,
        ),
    ] = "0,1,2",
    rows_per_class: Annotated[
        int | None,
        typer.Option(
            "--rows-per-class",
            metavar="N",
            min=1,
            help="Draw so many rows per class in place of K; those that are not shown serve calibration.",
            rich_help_panel=options.PROMPT,
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            metavar="C,C,…",
            help="Columns of --support that the texts were made of (`fewshot-llm facts`): say whether a decision "
            "tree, a regression, boosting or a forest on them does better.",
            rich_help_panel=options.DATA,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write the whole result as JSON; - is standard output.",
            allow_dash=True,
            rich_help_panel=options.RESULT,
            show_default=False,
        ),
    ] = None,
    report: report_options.ReportFolder = None,
    report_lang: report_options.ReportLanguage = None,
    target: report_options.Target = 0.9,
    price: report_options.Price = None,
    without_texts: Annotated[
        bool,
        typer.Option(
            "--without-texts",
            help="Leave texts and prompt out of result and report.",
            rich_help_panel=options.RESULT,
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    merge_labels: options.MergeLabels = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    lang: options.Lang = "auto",
    selection: options.Select = "balanced",
    calibration: options.Calibrate = "out-of-fold",
    normalisation: options.Normalisation = "sum",
    permutations: options.Permutations = 1,
    template_version: options.TemplateVersion = None,
    layout: options.Layout = "auto",
    cut_long_text: options.CutLongText = False,
    defence: options.Defence = "none",
    model: options.Model = "auto",
    adapter: saved.AdapterFolder = None,
    allow_download: options.AllowDownload = False,
    insecure: options.Insecure = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Measure a classifier on labelled rows that it does not learn from.

    For every K and seed, rows are drawn from `--support`, and the classifier sees those and no others. Test rows whose
    text is in `--support` are left out. Prints means over the seeds with 95 % intervals for new rows, from five seeds
    on for new draws too. `--report` makes a page of the result. With --adapter in place of --support, what `tune` saved
    is measured as it is.
    """
    from fewshot_llm.cli.parts import ModelOptions, Told, numbers, take_calibration, take_selection, warn_of

    wanted_shots, wanted_seeds = numbers(shots, "--shots"), numbers(seeds, "--seeds")
    refuse_output(output, (test, support), overwrite=overwrite)
    if support is None and table is not None:
        raise typer.BadParameter("it compares on labelled rows; give --support FILE", param_hint="--table")
    from fewshot_llm.artifacts.folder import read_decision
    from fewshot_llm.cli.progress import row_progress
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.evaluation.evaluate import evaluate as measure, evaluate_fitted
    from fewshot_llm.files import atomic_write_json
    from fewshot_llm.predictors.build import make_language
    from fewshot_llm.report.render import document_of, write_report

    advice = None
    told = Told(text_column, label_column, delimiter, encoding, merge_labels)
    chosen = ModelOptions(model, adapter, device, dtype, threads, allow_download, insecure)
    if support is None:
        described, classifier = saved.open_saved(task, adapter, chosen)
        measured = told.labelled_set(described, test)
        told.require_found()
        with row_progress("Measuring") as progress:
            result = evaluate_fitted(classifier, measured, target=target, progress=progress)
    else:
        described, examples = told.support(task, support)
        measured = told.labelled_set(described, test)
        told.require_found()
        warn_of(examples.report.findings)
        language = make_language(lang, described, examples)
        loaded = chosen.open(language, (example.text for example in examples))
        with row_progress("Measuring") as progress:
            result = measure(
                described,
                examples,
                measured,
                model=loaded,
                shots=wanted_shots,
                seeds=wanted_seeds,
                rows_per_class=rows_per_class,
                target=target,
                explained=EXPLAINED if report is not None and not without_texts else 0,
                progress=progress,
                selection=take_selection(selection, loaded),
                calibration=take_calibration(calibration),
                normalisation=normalisation,
                language=language,
                template=template_version,
                layout=layout,
                permutations=permutations,
                cut_long_text=cut_long_text,
                defence=defence,
            )
        if adapter is not None:
            result = replace(result, decision=read_decision(adapter))
        if table is not None:
            from fewshot_llm.evaluation.tables import recommend_for_file

            classifier = FewShotClassifier(described, loaded, shots=max(wanted_shots), language=language)
            advice = recommend_for_file(
                classifier, examples, told.labelled(support), [name.strip() for name in table.split(",")]
            )
    if without_texts:
        result = result.without_texts()
    document = result.to_json()
    to_stdout = output is not None and str(output) == "-"
    if output is not None and not to_stdout:
        atomic_write_json(output, document)
    page = None if report is None else write_report(document_of(result, report_lang, price), report)
    if advice is not None:
        typer.echo(f"{advice.english}\n{advice.chinese}", err=True)
    if as_json or to_stdout:
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    from fewshot_llm.cli.tables import show_evaluation

    show_evaluation(result)
    if page is not None:
        typer.echo(f"→ {page}")
