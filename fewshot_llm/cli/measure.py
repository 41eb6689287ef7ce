"""Commands that say what answers are worth: `evaluate`, `attack`, `suite`, `report` and `compare`."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot_llm.cli.command import Defaults, Only, Without, argument, command, flag
from fewshot_llm.cli.failure import refuse_output
from fewshot_llm.cli.options import (
    AttackOptions,
    ClassifierPrompt,
    EvaluationFiles,
    EvaluationOptions,
    Json,
    MeasuredFiles,
    ModelOptions,
    NewFolder,
    ReportOptions,
    ResultJson,
    SavedModelOptions,
    SuiteCells,
    SuiteFolder,
    TaskName,
    TrustOptions,
)

if TYPE_CHECKING:
    from fewshot_llm.errors import FewshotError
    from fewshot_llm.evaluation.suite.file import SuiteData
    from fewshot_llm.evaluation.suite.result import Cell, CellResult
    from fewshot_llm.evaluation.suite.run import SuiteCallbacks

__all__ = ["attack", "compare", "evaluate", "report", "suite"]

EXPLAINED = 6
"""Answers that a report explains."""

SUITE_RESULT = "result.json"


@command()
def evaluate(
    task: TaskName,
    files: EvaluationFiles,
    output: ResultJson,
    measured: EvaluationOptions,
    page: ReportOptions,
    prompt: Annotated[ClassifierPrompt, Without({"shots", "seed"})],
    model: SavedModelOptions,
) -> None:
    """Measure a classifier on labelled rows that it does not learn from."""
    from fewshot_llm.cli.build import Told, numbers, open_chosen, open_saved, settings_of, warn_of

    shots, seeds = numbers(measured.shots, "--shots"), numbers(measured.seeds, "--seeds")
    refuse_output(output.output, (files.test, files.support), overwrite=output.overwrite)
    if files.support is None and files.table is not None:
        raise typer.BadParameter("it compares on labelled rows; give --support FILE", param_hint="--table")
    from fewshot_llm.artifacts.folder import read_decision
    from fewshot_llm.cli.output import row_progress, show_evaluation
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.evaluation.evaluate import evaluate as measure, evaluate_fitted
    from fewshot_llm.predictors.build import make_language
    from fewshot_llm.report.render import document_of, write_report

    advice = None
    told = Told(files.reading)
    if files.support is None:
        described, classifier = open_saved(FewShotClassifier, task, model)
        test = told.labelled_set(described, files.test)
        told.require_found()
        with row_progress("Measuring") as progress:
            result = evaluate_fitted(classifier, test, target=page.target, progress=progress)
    else:
        described, examples = told.support(task, files.support)
        test = told.labelled_set(described, files.test)
        told.require_found()
        warn_of(examples.report.findings)
        language = make_language(prompt.language, described, examples)
        loaded = open_chosen(model, language, (example.text for example in examples))
        settings = settings_of(replace(prompt, language=language), loaded)
        del settings["shots"], settings["seed"]  # there are several
        with row_progress("Measuring") as progress:
            result = measure(
                described,
                examples,
                test,
                model=loaded,
                shots=shots,
                seeds=seeds,
                rows_per_class=measured.rows_per_class,
                target=page.target,
                explained=EXPLAINED if page.report is not None and not measured.without_texts else 0,
                progress=progress,
                **settings,
            )
        if model.adapter is not None:
            result = replace(result, decision=read_decision(model.adapter))
        if files.table is not None:
            from fewshot_llm.evaluation.table_baseline import recommend_for_file

            classifier = FewShotClassifier(described, loaded, shots=max(shots), language=language)
            columns = [name.strip() for name in files.table.split(",")]
            advice = recommend_for_file(classifier, examples, told.labelled(files.support), columns)
    if measured.without_texts:
        result = result.without_texts()
    document = result.to_json()
    _write_json(output, document)
    written = None
    if page.report is not None:
        written = write_report(document_of(result, page.report_lang, page.price), page.report)
    if advice is not None:
        typer.echo(f"{advice.english}\n{advice.chinese}", err=True)
    if _printed(output, document):
        return
    show_evaluation(result)
    if written is not None:
        typer.echo(f"→ {written}")


def _to_stdout(output: ResultJson) -> bool:
    return output.output is not None and str(output.output) == "-"


def _write_json(output: ResultJson, document: Any) -> None:
    from fewshot_llm.files import atomic_write_json

    if output.output is not None and not _to_stdout(output):
        atomic_write_json(output.output, document)


def _printed(output: ResultJson, document: Any) -> bool:
    """Whether JSON was asked for on standard output, where it is then."""
    asked = output.as_json or _to_stdout(output)
    if asked:
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    return asked


@command()
def attack(
    task: TaskName,
    files: MeasuredFiles,
    output: ResultJson,
    attacks: AttackOptions,
    prompt: Annotated[ClassifierPrompt, Without({"normalisation", "permutations"}), Defaults(defence="standard")],
    model: ModelOptions,
) -> None:
    """Measure what a text can talk the labeller into, without a defence and with one."""
    refuse_output(output.output, (files.support, files.test), overwrite=output.overwrite)
    from sklearn.base import clone

    from fewshot_llm.cli.build import Told, make_classifier, warn_of
    from fewshot_llm.cli.output import row_progress, show_attacks
    from fewshot_llm.evaluation.attacks import (
        attack as attack_rows,
        compare_defence,
        load_attacks,
        rows_to_attack,
    )
    from fewshot_llm.evaluation.result import read_evaluation
    from fewshot_llm.files import atomic_write_json

    add_to, seed, defence = attacks.add_to, prompt.seed, prompt.defence
    evaluation = None if add_to is None else read_evaluation(add_to)
    chosen = load_attacks(attacks.version)
    if attacks.half != "both":
        chosen = chosen.of(attacks.half)
    told = Told(files.reading)
    described, examples = told.support(task, files.support)
    warn_of(examples.report.findings)
    labelled = told.labelled_set(described, files.test)
    told.require_found()
    asked = rows_to_attack(described, examples, labelled, attacks.rows, seed)
    # What is compared is a prompt with a defence and without; only where a rung is named, that rung.
    ladder: dict[str, Any] = {} if prompt.only is not None else {"ladder": None}
    asking = make_classifier(described, examples, replace(prompt, defence="none"), model, **ladder)
    found = []
    for name in dict.fromkeys(("none", defence)):
        classifier = clone(asking).set_params(defence=name).fit_support(examples)
        with row_progress("Attacking" if name == "none" else f"Attacking the defence {name}") as progress:
            found.append(attack_rows(classifier, tuple(asked), chosen, seed, progress))
    compared = compare_defence(chosen, defence, [found[0]], [found[-1]])
    if evaluation is not None and add_to is not None:
        atomic_write_json(add_to, replace(evaluation, attacks=compared.figures()).to_json())
    section = compared.to_json()
    _write_json(output, section)
    if not _printed(output, section):
        show_attacks(section)


@command()
def suite(
    name: Annotated[str, argument()],
    part: SuiteCells,
    output: SuiteFolder,
    trust: TrustOptions,
    page: Annotated[ReportOptions, Only({"report", "report_lang"})],
) -> None:
    """Measure a whole table, cell by cell."""
    from fewshot_llm.cli.build import numbers
    from fewshot_llm.cli.output import show_suite
    from fewshot_llm.evaluation.compare import regressions
    from fewshot_llm.evaluation.suite.file import load_suite
    from fewshot_llm.evaluation.suite.result import SuitePart, read_result, write_result
    from fewshot_llm.evaluation.suite.run import run_suite
    from fewshot_llm.report.render import document_of, write_report

    wanted = SuitePart(
        methods=part.only,
        models=part.model,
        shots=None if part.shots is None else numbers(part.shots, "--shots"),
        seeds=None if part.seeds is None else numbers(part.seeds, "--seeds"),
    )
    described = load_suite(name)
    earlier = None if output.baseline is None else read_result(output.baseline)
    allowed = {one.name: getattr(trust, one.name) for one in fields(trust)}
    result = run_suite(described, output.out, part=wanted, overwrite=output.overwrite, watch=_watch(), **allowed)
    write_result(result, output.out / SUITE_RESULT)
    written = None if page.report is None else write_report(document_of(result, page.report_lang), page.report)
    missed = [] if earlier is None else regressions(earlier, result)
    if output.as_json:
        typer.echo(result.model_dump_json(exclude={"cells", "targets"}))
    else:
        show_suite(result)
        typer.echo(f"→ {output.out / SUITE_RESULT}")
        if written is not None:
            typer.echo(f"→ {written}")
    for line in missed:
        _say(f"Baseline missed. {line}")
    if missed or result.failures:
        raise typer.Exit(1)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _watch() -> SuiteCallbacks:
    """Progress as plain lines on standard error: a suite takes hours, and its log is worth keeping."""
    from fewshot_llm.evaluation.suite.run import SuiteCallbacks

    def begins(cell: Cell, done: int, total: int) -> None:
        _say(f"[{done + 1}/{total}] {cell} …")

    def done(result: CellResult, data: SuiteData) -> None:
        share = (result.predictions == data.targets).mean()
        rung = f", kept {result.facts['rung']}" if "rung" in result.facts else ""
        _say(
            f"{result.cell}: accuracy {share:.3f}{rung}, {result.fit_seconds:.0f} s to learn, "
            f"{result.predict_seconds:.0f} s to answer"
        )

    def failed(cell: Cell, error: FewshotError) -> None:
        _say(f"{cell}: not measured. {error}")

    def elsewhere(cell: Cell) -> None:
        _say(f"{cell}: another run is at it.")

    return SuiteCallbacks(begins=begins, done=done, failed=failed, elsewhere=elsewhere)


@command()
def report(
    result: Annotated[Path, argument(exists=True, dir_okay=False)],
    out: NewFolder,
    page: Annotated[ReportOptions, Only({"report_lang", "price"})],
    tuned: Annotated[Path | None, flag(exists=True, file_okay=False)] = None,
    target: float | None = None,
) -> None:
    """Make a page of a result."""
    from fewshot_llm.artifacts.folder import read_decision
    from fewshot_llm.evaluation.result import Evaluation
    from fewshot_llm.ladder.base import check_target
    from fewshot_llm.report.render import document_of, read_any_result, write_report

    found = read_any_result(result)
    if isinstance(found, Evaluation):
        decision = None if tuned is None else read_decision(tuned)
        if tuned is not None and decision is None:
            raise typer.BadParameter(f"{tuned} holds no decision.json of `fewshot-llm tune`.", param_hint="--tuned")
        found = replace(
            found,
            decision=decision or found.decision,
            target=found.target if target is None else check_target(target),
        )
    elif tuned is not None or target is not None:
        raise typer.BadParameter("a suite has its own target and decisions", param_hint="--tuned, --target")
    typer.echo(f"→ {write_report(document_of(found, page.report_lang, page.price), out)}")


@command()
def compare(
    first: Annotated[Path, argument(exists=True, dir_okay=False)],
    second: Annotated[Path | None, argument(exists=True, dir_okay=False)] = None,
    method: str = "ladder",
    as_json: Json = False,
) -> None:
    """Compare two results of a suite, row by row."""
    from dataclasses import asdict

    from fewshot_llm.cli.output import show_differences
    from fewshot_llm.evaluation.compare import compare_methods, compare_results
    from fewshot_llm.evaluation.suite.result import read_result

    result = read_result(first)
    found = compare_methods(result, method) if second is None else compare_results(result, read_result(second))
    if as_json:
        typer.echo(json.dumps([{**asdict(one), "verdict": one.verdict} for one in found], ensure_ascii=False))
        return
    show_differences(found)
