"""`fewshot-llm classify`: label the rows of a file."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from fewshot_llm.cli import guarding, options, redacting, saved
from fewshot_llm.cli.failure import rows_output, say_columns

if TYPE_CHECKING:
    from fewshot_llm.predictors.prompted import Inference

__all__ = ["classify"]


TopK: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--top-k",
        metavar="K",
        min=1,
        help="Search only for the K most probable labels, exactly: faster where there are many. [default: score all]",
        rich_help_panel=options.RESULT,
        show_default=False,
    ),
]


Escalate: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--escalate",
        help="Let evidence from the labelled rows choose the way: demonstrations, calibration or training an adapter.",
        rich_help_panel=options.MODEL,
    ),
]
Target: TypeAlias = Annotated[
    float,
    typer.Option(
        "--target",
        metavar="A",
        help="With --escalate, the accuracy that is good enough.",
        rich_help_panel=options.MODEL,
    ),
]
Precision: TypeAlias = Annotated[
    Literal["bfloat16", "float16"] | None,
    typer.Option(
        "--precision",
        help="Run in this format if the support rows, scored out of fold, lose no more than a point against float32; "
        "refuse otherwise. --dtype sets a format without asking.",
        rich_help_panel=options.MODEL,
        show_default=False,
    ),
]


def classify(
    task: options.Task,
    source: options.Input,
    output: options.Output,
    support: saved.SupportFile = None,
    overwrite: options.Overwrite = False,
    excel: options.Excel = False,
    semicolon: options.Semicolon = False,
    as_json: options.Json = False,
    profiled: options.Profiled = False,
    merge_labels: options.MergeLabels = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
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
    defence: options.Defence = "none",
    max_error: guarding.MaxError = None,
    confidence: guarding.Confidence = 0.9,
    calibration_rows: guarding.CalibrationRows = None,
    costs: guarding.CostsFile = None,
    out_of_scope: guarding.OutOfScope = None,
    redact: redacting.Redact = False,
    regions: redacting.Regions = None,
    redact_orders: redacting.RedactOrders = False,
    top_k: TopK = None,
    model: options.Model = "auto",
    adapter: saved.AdapterFolder = None,
    allow_download: options.AllowDownload = False,
    insecure: options.Insecure = False,
    escalate: Escalate = False,
    target: Target = 0.9,
    device: options.Device = None,
    dtype: options.Dtype = None,
    precision: Precision = None,
    threads: options.Threads = None,
) -> None:
    """Label the rows of a file from a few labelled ones, or with what `tune` made of them (--adapter).

    Keeps every column and the order of the rows and adds `predicted_label`, `probability` and `probabilities`, with
    `_2` behind where the input has one of these. The output appears when it is whole: a run that fails or is stopped
    leaves nothing, and the old file as it was. A row without text, or that cannot be read, keeps its place and gets no
    label. With --max-error, --costs or --out-of-scope a `reason` says why a row got none. With --top-k labels far
    behind are never scored: `probabilities` holds the best ones, each a lower bound, and `rest` what the others have
    at most.
    """
    form = rows_output(output, (source, support), overwrite=overwrite, excel=excel, semicolon=semicolon)
    if support is None and (escalate or precision is not None):
        raise typer.BadParameter("--escalate and --precision look at labelled rows; give --support FILE")
    if precision is not None and dtype is not None:
        raise typer.BadParameter("give --dtype, which asks nothing, or this, not both", param_hint="--precision")
    if top_k is not None and any(given is not None for given in (max_error, costs, out_of_scope)):
        raise typer.BadParameter("a policy needs every label's probability", param_hint="--top-k")
    from fewshot_llm.artifacts.record import model_record
    from fewshot_llm.cli.parts import ModelOptions, Told, make_classifier, warn_of, warn_unreadable
    from fewshot_llm.cli.progress import row_progress, waiting
    from fewshot_llm.data.task import load_task
    from fewshot_llm.evaluation.precision import check_precision
    from fewshot_llm.files import require_writable, write_rows
    from fewshot_llm.labelling.files import RESULT_COLUMNS, SELECTIVE_COLUMNS, TOP_COLUMNS, label_rows
    from fewshot_llm.ladder.base import Ladder
    from fewshot_llm.prompting.defence import as_defence

    told = Told(text_column, label_column, delimiter, encoding, merge_labels)
    rows, columns = told.unlabelled(load_task(task), source)
    redactor = redacting.make_redactor(redact=redact, regions=regions, orders=redact_orders)
    redacted: Counter[str] = Counter()
    if redactor is not None:
        rows.change(partial(redactor.row, counts=redacted))
    require_writable(output, rows)
    evidence = None
    take_policy = partial(
        guarding.take_policy,
        max_error=max_error,
        confidence=confidence,
        calibration_rows=calibration_rows,
        costs=costs,
        out_of_scope=out_of_scope,
    )
    number_format = dtype if precision is None else "float32"
    chosen = ModelOptions(model, adapter, device, number_format, threads, allow_download, insecure)
    if support is not None:
        described, examples = told.support(task, support)
        warn_of(examples.report.findings)
        policy = take_policy(described, told, examples, adapter)
        told.require_found()
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
            defence=defence,
            ladder=Ladder(target=target) if escalate else None,
        )
        if precision is not None:
            other = replace(chosen, dtype=precision).load(classifier.language, (example.text for example in examples))
            with waiting(f"Comparing {precision} with float32"):
                evidence = check_precision(classifier, other, examples)
            classifier.set_params(model=other)
        with waiting("Climbing the ladder" if escalate else "Calibrating on the support set"):
            classifier.fit_support(examples)
    else:
        described, classifier = saved.open_saved(task, adapter, chosen)
        policy = take_policy(described, told, classifier.support_, adapter)
        told.require_found()
    decision = getattr(classifier, "decision_", None)
    if escalate and decision is not None:
        typer.echo(f"{decision.reason}\n{decision.reason_zh}", err=True)
    if policy is not None:
        guarding.fit_policy(classifier, policy, quiet=as_json)
    scorer = classifier.predictor_.inference.scorer
    fitted = getattr(scorer, "profile", None)
    started = time.perf_counter()
    with row_progress("Labelling") as progress:
        labelled = label_rows(
            rows,
            described,
            lambda texts: (
                classifier.predictions(texts, progress)
                if top_k is None
                else classifier.top_predictions(texts, top_k, progress)
            ),
            columns,
            TOP_COLUMNS if top_k is not None else RESULT_COLUMNS if policy is None else SELECTIVE_COLUMNS,
            unusable=rows.problems,
        )
    seconds = time.perf_counter() - started
    say_columns(labelled.columns)
    write_rows(output, labelled.rows, overwrite, excel=form, results=tuple(labelled.columns.values()))
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
            "model": model_record(scorer).get("name", model),
            "defence": as_defence(classifier.defence).name,
            "suspicious": _suspicious(classifier.predictor_.inference, rows, columns),
            "shots": classifier.demonstrations_.to_json(),
            "output": str(output),
            "columns": labelled.columns,
            **({} if redactor is None else {"redacted": dict(sorted(redacted.items()))}),
            **({} if decision is None else {"rung": decision.rung, "reason": decision.reason}),
            **({} if evidence is None else {"precision": evidence.to_json()}),
            **({} if policy is None else guarding.policy_summary(classifier.policy_, labelled.reasons)),
            **({"profile": _profile(scorer, fitted)} if profiled else {}),
        },
        as_json=as_json,
        to_stderr=str(output) == "-" or not as_json,
    )
    if not as_json:
        warn_unreadable(rows)


def _suspicious(inference: Inference, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> list[int]:
    """Positions of the rows from which the defence took something away."""
    from fewshot_llm.data import queries

    defence = inference.builder.defence
    return [] if defence is None or not rows else defence.changed(queries(rows, inference.builder.task, columns))


def _profile(scorer: Any, before: Any) -> dict[str, float] | None:
    """What labelling cost; none from a server, which keeps its own books."""
    from fewshot_llm.scoring.profile import describe_profile

    return None if before is None else describe_profile(scorer.profile - before, scorer.language_model)


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
