"""`fewshot-llm reply`: the shop's own reply to each message, or a person."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewshot_llm.cli import guarding, options, redacting
from fewshot_llm.cli.failure import rows_output, say_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fewshot_llm.data import Example
    from fewshot_llm.predictors.prompted import Prediction

__all__ = ["reply"]


def reply(
    task: options.Task,
    support: options.Support,
    answers: Annotated[
        Path,
        typer.Option(
            "--answers",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="The shop's replies: columns intent, reply and, where replies differ by language, language.",
            rich_help_panel=options.DATA,
            show_default=False,
        ),
    ],
    source: options.Input,
    output: options.Output,
    overwrite: options.Overwrite = False,
    excel: options.Excel = False,
    semicolon: options.Semicolon = False,
    merge_labels: options.MergeLabels = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    redact: redacting.Redact = False,
    regions: redacting.Regions = None,
    redact_orders: redacting.RedactOrders = False,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    min_confidence: Annotated[
        float,
        typer.Option(
            "--min-confidence",
            metavar="P",
            min=0.0,
            max=1.0,
            help="Below this probability of the intent a person answers.",
            rich_help_panel=options.RESULT,
        ),
    ] = 0.7,
    out_of_scope: guarding.OutOfScope = None,
    by_level: Annotated[
        bool,
        typer.Option(
            "--by-level",
            help="Labels are category/intent: ask for the category first, then for the intent within it.",
            rich_help_panel=options.PROMPT,
        ),
    ] = False,
    lang: options.Lang = "auto",
    shots: options.Shots = 4,
    seed: options.Seed = 0,
    selection: options.Select = "balanced",
    template_version: options.TemplateVersion = None,
    layout: options.Layout = "auto",
    defence: options.Defence = "standard",
    model: options.Model = "auto",
    adapter: options.Adapter = None,
    allow_download: options.AllowDownload = False,
    insecure: options.Insecure = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Answer customers' messages with the shop's own replies.

    Adds `intent`, `reply`, `confidence` and `hand_over` to each row. A message that is unsure, out of scope, or of an
    intent without a reply gets none, and `hand_over` says why a person has to answer. Nothing is written by a model.
    """
    form = rows_output(output, (source, support, answers), overwrite=overwrite, excel=excel, semicolon=semicolon)
    if by_level and out_of_scope is not None:
        raise typer.BadParameter(
            "--out-of-scope is fitted on one level; with --by-level label such rows out_of_scope in the support file"
        )
    from fewshot_llm.artifacts.folder import trained_on
    from fewshot_llm.cli.parts import ModelOptions, Told, take_selection, warn_of, warn_unreadable
    from fewshot_llm.cli.progress import row_progress, waiting
    from fewshot_llm.data.task import Task as TaskDescription
    from fewshot_llm.estimators.classifier import FewShotClassifier, fit_levels
    from fewshot_llm.files import columns_of, require_writable, result_names, write_rows
    from fewshot_llm.labelling.files import add_answers
    from fewshot_llm.labelling.replies import REPLY_COLUMNS, gaps, read_answers, reply_to
    from fewshot_llm.predictors.build import make_language, make_scorer, text_language
    from fewshot_llm.selective.held_out import require_unseen
    from fewshot_llm.selective.policy import SelectivePolicy

    told = Told(text_column, label_column, delimiter, encoding, merge_labels)
    described, examples = told.support(task, support)
    warn_of(examples.report.findings)
    language = make_language(lang, described, examples)
    table = read_answers(answers, language, told.labelled(answers))
    for line in gaps(table, described.labels):
        typer.echo(f"warning: {line}", err=True)
    if out_of_scope is not None:
        require_unseen(trained_on(adapter), examples)
    rows, columns = told.unlabelled(described, source)
    told.require_found()
    redactor = redacting.make_redactor(redact=redact, regions=regions, orders=redact_orders)
    if redactor is not None:
        rows.change(redactor.row)
    require_writable(output, rows)
    written = result_names(columns_of(rows), REPLY_COLUMNS)
    reply_column, reason_column = written["reply"], written["hand_over"]
    chosen = ModelOptions(model, adapter, device, dtype, threads, allow_download, insecure)
    loaded = chosen.open(language, (example.text for example in examples))
    scorer = make_scorer(loaded, text_language(language, (example.text for example in examples)))

    def make(level: TaskDescription) -> FewShotClassifier:
        return FewShotClassifier(
            level,
            scorer,
            shots=shots,
            selection=take_selection(selection, loaded),
            language=language,
            template=template_version,
            layout=layout,
            seed=seed,
            defence=defence,
            policy=None if out_of_scope is None else SelectivePolicy(out_of_scope=out_of_scope),
        )

    with waiting("Calibrating on the support set"):
        predict: Callable[..., Sequence[Prediction]]
        if by_level:
            predict = fit_levels(described, examples, make).predictions
        else:
            predict = make(described).fit_support(examples).predictions
    with row_progress("Answering") as progress:

        def answer(texts: Sequence[Example]) -> list[dict[str, object]]:
            return [vars(one) for one in reply_to(predict(texts, progress), table, min_confidence)]

        found = add_answers(rows, described, answer, REPLY_COLUMNS, columns, rows.problems)
    say_columns(written)
    write_rows(output, found, overwrite, excel=form, results=tuple(written.values()))
    warn_unreadable(rows)
    replied = sum(row[reply_column] is not None for row in found)
    reasons = Counter(row[reason_column] or "no_text" for row in found if row[reply_column] is None)
    said = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "nothing"
    typer.echo(f"{len(rows)} messages: {replied} replies; handed to a person: {said} → {output}", err=True)
