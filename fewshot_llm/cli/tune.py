"""`fewshot-llm tune`: climb the ladder on a support set, and save what it ends on."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from fewshot_llm.cli.command import Only, Without, command
from fewshot_llm.cli.options import CheckedFiles, ClassifierPrompt, LadderOptions, ModelOptions, ModelResult, TaskName

if TYPE_CHECKING:
    from fewshot_llm.ladder.base import LadderCallbacks, Measured
    from fewshot_llm.training.cross_fit import FoldReport
    from fewshot_llm.training.trainer import EpochReport

__all__ = ["tune"]


@command()
def tune(
    task: TaskName,
    files: CheckedFiles,
    output: ModelResult,
    climb: LadderOptions,
    prompt: Annotated[ClassifierPrompt, Only({"encoder", "language", "seed", "template", "layout", "cut_long_text"})],
    model: Annotated[ModelOptions, Without({"adapter", "allow_download", "insecure"})],
    force: bool = False,
) -> None:
    """Find out on the support rows alone how far to go."""
    from fewshot_llm.cli.build import Told, load_chosen, warn_of
    from fewshot_llm.errors import AdapterError
    from fewshot_llm.ladder.base import Ladder, LadderCallbacks
    from fewshot_llm.ladder.climb import check_support
    from fewshot_llm.models.device import is_first
    from fewshot_llm.predictors.build import make_builder, make_language, make_scorer, text_language
    from fewshot_llm.predictors.prompted import Inference
    from fewshot_llm.predictors.resources import Resources
    from fewshot_llm.training.recipe import take_recipe
    from fewshot_llm.workflows.tune import check_out, tune_to_folder

    ladder = Ladder(**asdict(climb), seed=prompt.seed)
    try:
        check_out(output.out, overwrite=output.overwrite)
    except AdapterError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None
    told = Told(files.reading)
    described, examples = told.support(task, files.support)
    measured = None if files.test is None else told.labelled_set(described, files.test)
    told.require_found()
    if is_first():
        warn_of(examples.report.findings)
    check_support(examples)
    take_recipe(climb.recipe, len(described.labels), len(examples))
    language = make_language(prompt.language, described, examples)
    loaded = load_chosen(model, language, (example.text for example in examples))
    scorer = make_scorer(loaded, text_language(language, (example.text for example in examples)))
    builder = make_builder(
        described,
        language,
        scorer,
        template=prompt.template,
        seed=prompt.seed,
        layout=prompt.layout,
        cut_long_text=prompt.cut_long_text,
    )
    if is_first():
        _say(f"{len(examples)} rows, {len(described.labels)} labels, model {loaded.name}, target {climb.target:g}")
    summary = tune_to_folder(
        Resources.of(Inference(builder, scorer, examples), prompt.encoder, model.device),
        ladder,
        output.out,
        force=force,
        overwrite=output.overwrite,
        callbacks=_callbacks(language) if is_first() else LadderCallbacks(),
        test=measured,
    )
    if not is_first():
        return
    if output.as_json:
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
    typer.echo(f"→ {output.out}")


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
