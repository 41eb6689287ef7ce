"""Commands that add an answer to each row of a file: `classify`, `regress`, `tag`, `rank` and `reply`."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot_llm.cli.command import Defaults, Only, Without, command, flag
from fewshot_llm.cli.failure import rows_output
from fewshot_llm.cli.options import (
    ClassifierPrompt,
    ClassifyFiles,
    ClassifyResult,
    EscalationOptions,
    ModelOptions,
    NumberOptions,
    PolicyOptions,
    PromptWithShots,
    RankerPrompt,
    RedactionOptions,
    RegressorPrompt,
    ReplyOptions,
    ResultFile,
    RowFiles,
    SavedModelOptions,
    SavedRowFiles,
    TaskName,
    ThereMayBe,
)

if TYPE_CHECKING:
    from fewshot_llm.cli.build import Told
    from fewshot_llm.data import Example
    from fewshot_llm.data.task import Task
    from fewshot_llm.estimators.ranker import FewShotRanker
    from fewshot_llm.predictors.base import Prediction, Predictor
    from fewshot_llm.predictors.choices import Choice
    from fewshot_llm.predictors.prompted import Inference
    from fewshot_llm.scoring.base import Scorer
    from fewshot_llm.scoring.passes import Profile

__all__ = ["classify", "rank", "regress", "reply", "tag"]

SAMPLE = 200
"""Rows that tell the language, where none is labelled."""

NUMBER_COLUMNS = ("predicted_value", "low", "high")
TAG_COLUMNS = ("predicted_labels", "probabilities")
RANK_COLUMNS = ("ranking", "probabilities")


@command()
def classify(
    task: TaskName,
    files: ClassifyFiles,
    output: ClassifyResult,
    prompt: ClassifierPrompt,
    policy: PolicyOptions,
    redaction: RedactionOptions,
    model: SavedModelOptions,
    how_far: EscalationOptions,
) -> None:
    """Label the rows of a file."""
    form = rows_output(output, files.input, files.support)
    _check_together(files, output, policy, model, how_far)
    from fewshot_llm.cli.build import Told, fit_policy, load_chosen, make_redactor, open_classifier, warn_unreadable
    from fewshot_llm.cli.failure import say_columns
    from fewshot_llm.cli.output import policy_summary, row_progress, say_decision, waiting
    from fewshot_llm.data import queries
    from fewshot_llm.data.task import load_task
    from fewshot_llm.evaluation.evaluate import check_precision
    from fewshot_llm.files import require_writable, write_rows
    from fewshot_llm.labelling.files import RESULT_COLUMNS, SELECTIVE_COLUMNS, TOP_COLUMNS, label_rows
    from fewshot_llm.ladder.base import Ladder
    from fewshot_llm.predictors.prompted import prompted_in
    from fewshot_llm.prompting.defence import as_defence
    from fewshot_llm.scoring.passes import profile_of

    told, precision, top_k = Told(files.reading), how_far.precision, output.top_k
    rows, columns = told.unlabelled(load_task(task), files.input)
    redactor = make_redactor(redaction)
    redacted: Counter[str] = Counter()
    if redactor is not None:
        rows.change(partial(redactor.row, counts=redacted))
    require_writable(output.output, rows)
    first = model if precision is None else replace(model, dtype="float32")
    ladder = {"ladder": Ladder(target=how_far.target, prefer=prompt.prefer)} if how_far.escalate else {}

    def sample() -> list[str]:
        return [query.text for query in queries(rows[:SAMPLE], load_task(task), columns)] if len(rows) else []

    opened = open_classifier(task, files.support, told, prompt, first, policy, files.labels, sample, **ladder)
    classifier, examples, evidence = opened.classifier, opened.examples, None
    if examples is not None:
        if precision is not None:
            texts = (example.text for example in examples)
            other = load_chosen(replace(model, dtype=precision), classifier.language, texts)
            with waiting(f"Comparing {precision} with float32"):
                evidence = check_precision(classifier, other, examples)
            classifier.set_params(model=other)
        with waiting("Climbing the ladder" if how_far.escalate else "Measuring what answers best"):
            classifier.fit_support(examples)
    decision = getattr(classifier, "decision_", None)
    if opened.examples is not None:
        say_decision(decision, whole=how_far.escalate)
    if opened.policy is not None:
        fit_policy(classifier, opened.policy, quiet=output.as_json)
    asked = prompted_in(classifier.predictor_)
    inference = None if asked is None else asked.inference
    scorer = None if inference is None else inference.scorer
    fitted = None if scorer is None else profile_of(scorer)
    shown = classifier.demonstrations_
    started = time.perf_counter()
    with row_progress("Labelling") as progress:
        labelled = label_rows(
            rows,
            opened.task,
            lambda texts: (
                classifier.predictions(texts, progress)
                if top_k is None
                else classifier.top_predictions(texts, top_k, progress)
            ),
            columns,
            TOP_COLUMNS if top_k is not None else RESULT_COLUMNS if opened.policy is None else SELECTIVE_COLUMNS,
            unusable=rows.problems,
        )
    seconds = time.perf_counter() - started
    say_columns(labelled.columns)
    results = tuple(labelled.columns.values())
    write_rows(output.output, labelled.rows, output.overwrite, excel=form, results=results)
    _report(
        {
            "rows": len(rows),
            "labels": labelled.counts,
            "without_text": list(labelled.without_text),
            "unreadable": [
                {"row": position, "line": rows.lines.get(position), "kind": problem.kind, "reason": problem.reason}
                for position, problem in rows.problems.items()
            ],
            "seconds": round(seconds, 3),
            "rows_per_second": round(len(rows) / seconds, 2),
            "model": _model_name(classifier.predictor_, scorer, model.model),
            "defence": as_defence(classifier.defence).name,
            "suspicious": [] if inference is None else _suspicious(inference, rows, columns),
            "shots": None if shown is None else shown.to_json(),
            "output": str(output.output),
            "columns": labelled.columns,
            **({} if redactor is None else {"redacted": dict(sorted(redacted.items()))}),
            **({} if decision is None else {"rung": decision.rung, "reason": decision.reason}),
            **({} if evidence is None else {"precision": evidence.to_json()}),
            **({} if opened.policy is None else policy_summary(classifier.policy_, labelled.reasons)),
            **({"profile": _profile(scorer, fitted)} if output.profile else {}),
        },
        as_json=output.as_json,
        to_stderr=str(output.output) == "-" or not output.as_json,
    )
    if not output.as_json:
        warn_unreadable(rows)


def _check_together(
    files: ClassifyFiles, output: ClassifyResult, policy: PolicyOptions, model: ModelOptions, how_far: EscalationOptions
) -> None:
    """Refuses options of `classify` that exclude each other."""
    if files.support is None and (how_far.escalate or how_far.precision is not None):
        raise typer.BadParameter("--escalate and --precision look at labelled rows; give --support FILE")
    if how_far.precision is not None and model.dtype is not None:
        raise typer.BadParameter("give --dtype, which asks nothing, or this, not both", param_hint="--precision")
    kept_back = (policy.max_error, policy.costs, policy.out_of_scope)
    if output.top_k is not None and any(given is not None for given in kept_back):
        raise typer.BadParameter("a policy needs every label's probability", param_hint="--top-k")


def _model_name(predictor: Predictor, scorer: Scorer | None, asked: str) -> str:
    """The language model that is asked; without a prompt, whatever answers."""
    from fewshot_llm.artifacts.record import model_record
    from fewshot_llm.evaluation.evaluate import models_of

    return models_of(predictor)["name"] if scorer is None else str(model_record(scorer).get("name", asked))


def _suspicious(inference: Inference, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> list[int]:
    """Positions of the rows from which the defence took something away."""
    from fewshot_llm.data import queries

    defence = inference.builder.defence
    return [] if defence is None or not rows else defence.changed(queries(rows, inference.builder.task, columns))


def _profile(scorer: Scorer | None, before: Profile | None) -> dict[str, float] | None:
    """What labelling cost, without what fitting did; None without a prompt, or for a scorer that keeps no books."""
    from fewshot_llm.scoring.base import local_model
    from fewshot_llm.scoring.passes import describe_profile, profile_of

    if scorer is None or before is None:
        return None
    model = local_model(scorer)
    return None if model is None else describe_profile(profile_of(scorer) - before, model)


def _report(summary: dict[str, Any], *, as_json: bool, to_stderr: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary, ensure_ascii=False), err=to_stderr)
        return
    labels = ", ".join(f"{label} {count}" for label, count in summary["labels"].items()) or "no labels"
    typer.echo(
        f"{summary['rows']} rows in {summary['seconds']:.1f} s ({summary['rows_per_second']:.1f} rows/s, "
        f"{summary['model']}): {labels} → {summary['output']}",
        err=to_stderr,
    )
    if "redacted" in summary:
        kinds = ", ".join(f"{kind} {count}" for kind, count in summary["redacted"].items()) or "nothing found"
        typer.echo(f"redacted: {kinds}", err=True)
    if summary.get("profile"):
        for name, value in summary["profile"].items():
            typer.echo(f"{name.replace('_', ' ')}: {value:,}", err=True)
    if "kept_back" in summary:
        kept = ", ".join(f"{reason} {count}" for reason, count in summary["kept_back"].items()) or "nothing"
        typer.echo(f"kept back: {kept}", err=True)
    warnings = {
        "without_text": "without text and therefore without a label",
        "suspicious": "labelled without what looks like an attempt to tell the labeller what to say",
    }
    for key, warning in warnings.items():
        if summary[key]:
            shown = ", ".join(str(row + 1) for row in summary[key][:10])
            typer.echo(f"warning: {warning}: row {shown}{' …' if len(summary[key]) > 10 else ''}", err=to_stderr)


def _answered(task: Task, support: Path, told: Told) -> tuple[list[Example], list[Any]]:
    """A task's labelled texts, and what stands in their label column."""
    from fewshot_llm.cli.build import say
    from fewshot_llm.files import columns_of
    from fewshot_llm.labelling.files import answered

    known = told.labelled(support)
    say(known.notes)
    return answered(known, task, told.columns(task, columns_of(known)))


@command()
def regress(
    task: TaskName,
    files: Annotated[SavedRowFiles, Without({"merge_labels"})],
    output: ResultFile,
    numbers: NumberOptions,
    prompt: RegressorPrompt,
    model: SavedModelOptions,
) -> None:
    """Predict a number, with an interval, for each row of a file."""
    form = rows_output(output, files.input, files.support)
    if files.support is None and (numbers.grid is not None or numbers.target_error is not None):
        raise typer.BadParameter("--grid and --target-error are for fitting on labelled rows; give --support FILE")
    from fewshot_llm.cli.build import Told, open_chosen, open_saved, settings_of
    from fewshot_llm.cli.output import save_rows, waiting
    from fewshot_llm.data.task import load_task
    from fewshot_llm.estimators.base import as_numbers
    from fewshot_llm.estimators.regressor import FewShotRegressor
    from fewshot_llm.files import require_writable
    from fewshot_llm.labelling.files import add_answers
    from fewshot_llm.ladder.rungs.numbers import NumberLadder
    from fewshot_llm.predictors.build import choose_language
    from fewshot_llm.predictors.numbers import Grid

    told, described = Told(files.reading), load_task(task)
    known = None if files.support is None else _answered(described, files.support, told)
    rows, columns = told.unlabelled(described, files.input)
    told.require_found()
    require_writable(output.output, rows)
    if known is None:
        described, regressor = open_saved(FewShotRegressor, task, model)
    else:
        texts, targets = known
        rated = as_numbers(targets, numbers.decimal)
        language = choose_language(prompt.language, described, (text.text for text in texts))
        loaded = open_chosen(model, language, (text.text for text in texts))
        regressor = FewShotRegressor(
            described,
            loaded,
            grid=None if numbers.grid is None else Grid.parse(numbers.grid, described.scale),
            ladder=None if numbers.target_error is None else NumberLadder(numbers.target_error, seed=prompt.seed),
            **settings_of(replace(prompt, language=language), loaded),
        )
        with waiting("Fitting on the rated rows"):
            regressor.fit(texts, rated)

    def answer(asked: Sequence[Example]) -> list[dict[str, float]]:
        found = zip(regressor.predict(asked), *regressor.predict_interval(asked, numbers.level), strict=True)
        return [dict(zip(NUMBER_COLUMNS, map(float, row), strict=True)) for row in found]

    with waiting("Predicting"):
        answers = add_answers(rows, described, answer, NUMBER_COLUMNS, columns, rows.problems)
    save_rows(answers, rows, output, form, NUMBER_COLUMNS)
    if regressor.decision_ is not None:
        typer.echo(regressor.decision_.reason, err=True)
    error = regressor.cross_validated_error()
    typer.echo(f"{len(rows)} rows → {output.output}; mean absolute error on held-out rated rows: {error:.4g}", err=True)


@command()
def tag(
    task: TaskName,
    files: Annotated[SavedRowFiles, Without({"merge_labels"})],
    output: ResultFile,
    prompt: PromptWithShots,
    model: SavedModelOptions,
) -> None:
    """Give each row of a file all labels that apply."""
    form = rows_output(output, files.input, files.support)
    from fewshot_llm.cli.build import Told, open_chosen, open_saved, settings_of
    from fewshot_llm.cli.output import save_rows, waiting
    from fewshot_llm.data.task import load_task
    from fewshot_llm.estimators.multilabel import FewShotMultiLabelClassifier
    from fewshot_llm.files import require_writable
    from fewshot_llm.labelling.files import add_answers, as_labels
    from fewshot_llm.predictors.build import choose_language

    told, described = Told(files.reading), load_task(task)
    known = None if files.support is None else _answered(described, files.support, told)
    rows, columns = told.unlabelled(described, files.input)
    told.require_found()
    require_writable(output.output, rows)
    if known is None:
        described, tagger = open_saved(FewShotMultiLabelClassifier, task, model)
    else:
        texts, given = known
        language = choose_language(prompt.language, described, (text.text for text in texts))
        loaded = open_chosen(model, language, (text.text for text in texts))
        settings = settings_of(replace(prompt, language=language), loaded)
        tagger = FewShotMultiLabelClassifier(described, loaded, **settings)
        with waiting("Calibrating on the labelled rows"):
            tagger.fit(texts, [as_labels(cell, described.labels) for cell in given])
    with waiting("Labelling"):
        answers = add_answers(rows, described, tagger.answers, TAG_COLUMNS, columns, rows.problems)
    written = save_rows(answers, rows, output, form, TAG_COLUMNS)
    counts = Counter(label for row in answers for label in row[written["predicted_labels"]] or ())
    said = ", ".join(f"{label} {count}" for label, count in counts.most_common()) or "no labels"
    typer.echo(f"{len(rows)} rows: {said} → {output.output}", err=True)


@command()
def rank(
    files: Annotated[SavedRowFiles, Without({"merge_labels", "text_column"})],
    output: ResultFile,
    prompt: RankerPrompt,
    model: SavedModelOptions,
    task: Annotated[str, flag("--task")] = "next-product",
    baskets: ThereMayBe = None,
) -> None:
    """Put each row's candidates in the order in which a customer may buy them next."""
    form = rows_output(output, files.input, files.support)
    if files.support is None and baskets is not None:
        raise typer.BadParameter("it is counted with labelled rows; give --support FILE", param_hint="--baskets")
    from fewshot_llm.cli.build import Told, open_saved
    from fewshot_llm.cli.output import save_rows, waiting
    from fewshot_llm.data.task import load_task
    from fewshot_llm.estimators.ranker import FewShotRanker
    from fewshot_llm.files import require_writable
    from fewshot_llm.labelling.files import add_columns
    from fewshot_llm.predictors.choices import as_choices

    told, described = Told(files.reading), load_task(task)
    known = None if files.support is None else _chosen(described, files.support, told)
    rows = told.rows(files.input)
    told.require_found()
    require_writable(output.output, rows)
    asked = as_choices(row for position, row in enumerate(rows) if position not in rows.problems)
    if known is None:
        ranker = open_saved(FewShotRanker, task, model)[1]
    else:
        ranker = _fitted_ranker(described, known, baskets, prompt, model)
    with waiting("Ranking"):
        answers = iter(ranker.answers(asked) if asked else ())
        none = dict.fromkeys(RANK_COLUMNS)
        given = [none if position in rows.problems else next(answers) for position in range(len(rows))]
    save_rows(add_columns(rows, given, RANK_COLUMNS), rows, output, form, RANK_COLUMNS)
    typer.echo(f"{len(rows)} rows → {output.output}", err=True)


def _chosen(task: Task, support: Path, told: Told) -> list[Choice]:
    """Customers' choices, with what came next."""
    from fewshot_llm.cli.build import say
    from fewshot_llm.data.columns import resolve_columns
    from fewshot_llm.files import columns_of
    from fewshot_llm.predictors.choices import as_choices

    known = told.labelled(support)
    say(known.notes)
    names = columns_of(known)
    label = {field: column for field, column in told.columns(task, names).items() if field == "label"}
    told.require_found()
    column = resolve_columns(names, task, label, fields=()).names["label"]
    return as_choices(known, [row[column] for row in known])


def _fitted_ranker(
    task: Task, choices: Sequence[Choice], baskets: Path | None, prompt: RankerPrompt, model: ModelOptions
) -> FewShotRanker:
    from fewshot_llm.cli.build import open_chosen, settings_of
    from fewshot_llm.cli.output import waiting
    from fewshot_llm.estimators.ranker import FewShotRanker
    from fewshot_llm.predictors.build import choose_language
    from fewshot_llm.predictors.choices import read_baskets

    language = choose_language(prompt.language, task, (" ".join(choice.history) for choice in choices))
    loaded = open_chosen(model, language, (" ".join(choice.history) for choice in choices))
    ranker = FewShotRanker(task, loaded, **settings_of(replace(prompt, language=language), loaded))
    with waiting("Fitting on the choices"):
        ranker.fit(choices, [choice.chosen for choice in choices], [] if baskets is None else read_baskets(baskets))
    return ranker


@command()
def reply(
    task: TaskName,
    files: RowFiles,
    output: ResultFile,
    replies: ReplyOptions,
    prompt: Annotated[
        ClassifierPrompt,
        Without({"calibration", "normalisation", "permutations", "cut_long_text"}),
        Defaults(defence="standard"),
    ],
    policy: Annotated[PolicyOptions, Only({"out_of_scope"})],
    redaction: RedactionOptions,
    model: ModelOptions,
) -> None:
    """Give each message the shop's own reply, or to a person."""
    form = rows_output(output, files.input, files.support, replies.answers)
    scope = policy.out_of_scope
    if replies.by_level and scope is not None:
        raise typer.BadParameter(
            "--out-of-scope is fitted on one level; with --by-level label such rows out_of_scope in the support file"
        )
    from fewshot_llm.artifacts.folder import trained_on
    from fewshot_llm.cli.build import Told, make_redactor, open_chosen, settings_of, warn_of
    from fewshot_llm.cli.output import row_progress, save_rows, waiting
    from fewshot_llm.estimators.classifier import FewShotClassifier, fit_levels
    from fewshot_llm.files import require_writable
    from fewshot_llm.labelling.files import add_answers
    from fewshot_llm.labelling.replies import REPLY_COLUMNS, gaps, read_answers, reply_to
    from fewshot_llm.predictors.build import make_language, make_scorer, text_language
    from fewshot_llm.selective.policy import SelectivePolicy, require_unseen

    told = Told(files.reading)
    described, examples = told.support(task, files.support)
    warn_of(examples.report.findings)
    language = make_language(prompt.language, described, examples)
    table = read_answers(replies.answers, language, told.labelled(replies.answers))
    for line in gaps(table, described.labels):
        typer.echo(f"warning: {line}", err=True)
    if scope is not None:
        require_unseen(trained_on(model.adapter), examples)
    rows, columns = told.unlabelled(described, files.input)
    told.require_found()
    redactor = make_redactor(redaction)
    if redactor is not None:
        rows.change(redactor.row)
    require_writable(output.output, rows)
    loaded = open_chosen(model, language, (example.text for example in examples))
    scorer = make_scorer(loaded, text_language(language, (example.text for example in examples)))
    kept_back = None if scope is None else SelectivePolicy(out_of_scope=scope)

    def make(level: Task) -> FewShotClassifier:
        settings = settings_of(replace(prompt, language=language), loaded)
        return FewShotClassifier(level, scorer, policy=kept_back, **settings)

    with waiting("Calibrating on the support set"):
        predict: Callable[..., Sequence[Prediction]]
        if replies.by_level:
            predict = fit_levels(described, examples, make).predictions
        else:
            predict = make(described).fit_support(examples).predictions
    with row_progress("Answering") as progress:

        def answer(texts: Sequence[Example]) -> list[dict[str, object]]:
            return [vars(one) for one in reply_to(predict(texts, progress), table, replies.min_confidence)]

        found = add_answers(rows, described, answer, REPLY_COLUMNS, columns, rows.problems)
    written = save_rows(found, rows, output, form, REPLY_COLUMNS)
    reply_column, reason_column = written["reply"], written["hand_over"]
    replied = sum(row[reply_column] is not None for row in found)
    reasons = Counter(row[reason_column] or "no_text" for row in found if row[reply_column] is None)
    said = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "nothing"
    typer.echo(
        f"{len(rows)} messages: {replied} replies; handed to a person: {said} → {output.output}",
        err=True,
    )
