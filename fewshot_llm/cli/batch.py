"""`fewshot-llm batch`: label many rows, lose none, go on after any crash."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from fewshot_llm.cli.command import Without, command
from fewshot_llm.cli.options import (
    BatchFiles,
    ClassifierPrompt,
    PolicyOptions,
    RedactionOptions,
    SavedModelOptions,
    ShardFolder,
    ShardOptions,
    TaskName,
)

if TYPE_CHECKING:
    from fewshot_llm.batch.labeller import SavedClassifier
    from fewshot_llm.estimators.classifier import FewShotClassifier

__all__ = ["batch"]

SAMPLE = 200
"""Rows that tell the language, where none is labelled."""


@command()
def batch(
    task: TaskName,
    files: BatchFiles,
    output: ShardFolder,
    job: ShardOptions,
    prompt: Annotated[ClassifierPrompt, Without({"cut_long_text"})],
    policy: PolicyOptions,
    redaction: RedactionOptions,
    model: SavedModelOptions,
) -> None:
    """Label many rows."""
    folder, on_ray = output.output, job.engine == "ray"
    if folder is None and not job.dry_run:
        raise typer.BadParameter("Say where the results go: --output DIR.")
    if on_ray and files.support is not None and model.adapter is not None:
        raise typer.BadParameter("Ray's actors load either what --support fitted or an --adapter: give one of them.")
    from fewshot_llm.batch.job import Output, job_lock
    from fewshot_llm.batch.labeller import ClassifierLabeller, support_profile
    from fewshot_llm.batch.progress import estimate_job
    from fewshot_llm.batch.runner import run_batch
    from fewshot_llm.batch.sources import columns_of
    from fewshot_llm.batch.work import LongText, Settings
    from fewshot_llm.cli.build import Told, fit_policy, make_redactor, open_classifier, say
    from fewshot_llm.cli.output import print_estimate, print_outcome, say_decision, shown_progress, waiting
    from fewshot_llm.data.task import load_task

    with ExitStack() as stack:
        if folder is not None and not job.dry_run:
            stack.enter_context(job_lock(folder))  # before a model is loaded: who else is at it is known at once
        told = Told(files.reading)
        source = told.source(files.input, job.limit, folder)
        say(source.notes())
        wanted, found = load_task(task), columns_of(source)
        columns = {field: field for field in wanted.fields} | (told.fields(wanted, found) if found else {})
        redactor = make_redactor(redaction)

        def texts() -> list[str]:
            return [str(row.values.get(columns[wanted.fields[-1]], "")) for row in islice(source.rows(), SAMPLE)]

        opened = open_classifier(task, files.support, told, prompt, model, policy, files.labels, texts)
        classifier = opened.classifier
        if opened.examples is not None:
            with waiting("Measuring what answers best"):
                classifier.fit_support(opened.examples)
            say_decision(getattr(classifier, "decision_", None))
        if opened.policy is not None:
            if on_ray and model.adapter is not None:
                raise typer.BadParameter("Ray's actors load the --adapter as it was saved, without what is kept back.")
            fit_policy(classifier, opened.policy, quiet=output.as_json)
        settings = Settings(columns, LongText(job.long_text), redactor)
        labeller = ClassifierLabeller(classifier)
        if folder is None or job.dry_run:
            with waiting("Measuring a sample"):
                forecast = estimate_job(
                    labeller,
                    source,
                    settings,
                    rows_per_shard=output.rows_per_shard,
                    seed=prompt.seed,
                    price_per_million_tokens=job.price,
                )
            print_estimate(forecast, as_json=output.as_json)
            return
        place = Output(folder, output.form, output.rows_per_shard, job.resume)
        with waiting("Measuring the support set"):
            profile = support_profile(classifier)
        with shown_progress(as_json=output.as_json, prometheus=output.prometheus) as report:
            if on_ray:
                from fewshot_llm.batch.ray import Cluster, run_batch_on_ray

                cluster = Cluster(job.workers, job.ray_address, job.gpus_per_worker)
                make = _for_actors(classifier, output, model)
                outcome = run_batch_on_ray(make, source, place, settings, cluster, report=report, support=profile)
            else:
                outcome = run_batch(
                    labeller,
                    source,
                    place,
                    settings,
                    workers=job.workers,
                    cache=job.cache,
                    report=report,
                    support=profile,
                )
        shown, decision = classifier.demonstrations_, getattr(classifier, "decision_", None)
        print_outcome(
            outcome,
            folder,
            as_json=output.as_json,
            shots=None if shown is None else shown.to_json(),
            decision=decision,
        )
        if outcome.changed or sum(outcome.errors.values()) > job.tolerate:
            raise typer.Exit(1)


def _for_actors(classifier: FewShotClassifier, output: ShardFolder, model: SavedModelOptions) -> SavedClassifier:
    """What Ray's actors load: the adapter's folder, or what was fitted in this call, saved beside the shards."""
    from fewshot_llm.batch.labeller import SavedClassifier

    folder = model.adapter
    if folder is None:
        assert output.output is not None
        folder = output.output / ".classifier"
        classifier.save(folder, overwrite=True)
    return SavedClassifier(
        folder,
        model.device,
        model.dtype,
        model=None if model.model == "auto" else model.model,
        # What was fitted in this call names the model that this call chose.
        allow_download=model.trust.allow_download or model.adapter is None,
        insecure=model.trust.insecure,
    )
