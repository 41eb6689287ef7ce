"""`fewshot-llm tune`: climb the ladder on a support set, and save what it ends on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fewshot_llm.cli import options

if TYPE_CHECKING:
    from fewshot_llm.ladder.base import LadderCallbacks, Measured
    from fewshot_llm.training.cross_fit import FoldReport
    from fewshot_llm.training.trainer import EpochReport

__all__ = ["tune"]

LADDER = "Ladder"


def tune(
    task: options.Task,
    support: options.Support,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            help="The folder to write: a classifier, with a LoRA adapter where the evidence asks for one.",
            rich_help_panel=options.RESULT,
            show_default=False,
        ),
    ],
    target: Annotated[
        float,
        typer.Option(
            "--target", metavar="A", help="The accuracy that is good enough, in (0, 1].", rich_help_panel=LADDER
        ),
    ] = 0.9,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help="LoRA settings: small, default, many-classes, many-rows, or a file. [default: by labels and rows]",
            rich_help_panel=LADDER,
            show_default=False,
        ),
    ] = None,
    budget_minutes: Annotated[
        float | None,
        typer.Option(
            "--budget-minutes",
            metavar="M",
            help="Wall time for measuring and training together. [default: no limit]",
            rich_help_panel=LADDER,
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Train the LoRA adapter whatever the evidence says.", rich_help_panel=LADDER),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what an earlier run wrote to --out.", rich_help_panel=options.RESULT),
    ] = False,
    test: Annotated[
        Path | None,
        typer.Option(
            "--test",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Labelled rows that are measured on at the end, and choose nothing.",
            rich_help_panel=options.DATA,
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
    merge_labels: options.MergeLabels = False,
    text_column: options.TextColumn = None,
    label_column: options.LabelColumn = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    lang: options.Lang = "auto",
    seed: options.Seed = 0,
    template_version: options.TemplateVersion = None,
    layout: options.Layout = "auto",
    cut_long_text: options.CutLongText = False,
    model: options.Model = "auto",
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Find out on the support rows alone how far to go: demonstrations, calibration, or a LoRA adapter.

    Each step up is paid for by evidence: it is tried when the step below misses the target, and kept when it is better
    out of fold by more than noise. Texts in another language than English are asked about in English as well, where the
    task has a template and label words for both. The folder that is written can be given to `--adapter`.
    """
    from fewshot_llm.cli.parts import ModelOptions, Told, warn_of
    from fewshot_llm.errors import AdapterError
    from fewshot_llm.ladder.base import Ladder, LadderCallbacks
    from fewshot_llm.ladder.climb import check_support
    from fewshot_llm.models.device import is_first
    from fewshot_llm.predictors.build import make_builder, make_language, make_scorer, text_language
    from fewshot_llm.predictors.prompted import Inference
    from fewshot_llm.training.recipe import take_recipe
    from fewshot_llm.workflows.tune import check_out, tune_to_folder

    ladder = Ladder(target, recipe, budget_minutes, seed)
    try:
        check_out(out, overwrite=overwrite)
    except AdapterError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None
    told = Told(text_column, label_column, delimiter, encoding, merge_labels)
    described, examples = told.support(task, support)
    measured = None if test is None else told.labelled_set(described, test)
    told.require_found()
    if is_first():
        warn_of(examples.report.findings)
    check_support(examples)
    take_recipe(recipe, len(described.labels), len(examples))
    language = make_language(lang, described, examples)
    chosen = ModelOptions(model, device=device, dtype=dtype, threads=threads)
    loaded = chosen.load(language, (example.text for example in examples))
    scorer = make_scorer(loaded, text_language(language, (example.text for example in examples)))
    builder = make_builder(
        described, language, scorer, template=template_version, seed=seed, layout=layout, cut_long_text=cut_long_text
    )
    if is_first():
        _say(f"{len(examples)} rows, {len(described.labels)} labels, model {loaded.name}, target {target:g}")
    summary = tune_to_folder(
        Inference(builder, scorer, examples),
        ladder,
        out,
        force=force,
        overwrite=overwrite,
        callbacks=_callbacks(language) if is_first() else LadderCallbacks(),
        test=measured,
    )
    if not is_first():
        return
    if as_json:
        typer.echo(json.dumps(summary, ensure_ascii=False))
        return
    for number, loss in enumerate(summary.get("training_losses", ()), start=1):
        typer.echo(f"epoch {number}: training loss {loss:.4f}")
    if "training_accuracy" in summary:
        typer.echo(f"training accuracy {summary['training_accuracy']:.3f}, {summary['training_seconds']:.1f} s")
    typer.echo(summary["reason"])
    typer.echo(summary["reason_zh"])
    if "test" in summary:
        typer.echo(f"On {summary['test']['rows']} test rows: accuracy {summary['test']['accuracy']}")
    typer.echo(f"→ {out}")


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _callbacks(language: str) -> LadderCallbacks:
    """Progress as plain lines on standard error: a training takes minutes, and its log is worth keeping.

    Args:
        language: of the prompts; a rung that is asked in another one says so.
    """
    from fewshot_llm.ladder.base import LadderCallbacks, Skipped
    from fewshot_llm.ladder.evidence import LabelEvidence

    def measured(rung: str, found: Measured) -> None:
        if isinstance(found, LabelEvidence):
            asked = found.settings.get("language", language)
            named = rung if asked == language else f"{rung}, asked in {asked}"
            _say(f"{named}: accuracy {found.accuracy} out of fold, log loss {found.log_loss}, {found.seconds:.1f} s")
        elif isinstance(found, Skipped):
            _say(f"{rung}: not measured, {found.why.en}")

    def fold(report: FoldReport) -> None:
        epoch = report.epoch
        held_out = "" if report.accuracy is None else f", held-out accuracy {report.accuracy:.3f}"
        _say(
            f"fold {report.fold}/{report.folds} epoch {epoch.epoch}/{epoch.epochs}: loss {epoch.loss:.4f}{held_out}, "
            f"{report.seconds_left:.0f} s left"
        )

    def epoch(report: EpochReport) -> None:
        _say(f"training epoch {report.epoch}/{report.epochs}: loss {report.loss:.4f}, {report.seconds_left:.0f} s left")

    return LadderCallbacks(measured=measured, fold=fold, epoch=epoch)
