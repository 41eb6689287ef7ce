"""`fewshot-llm batch`: label many rows, lose none, go on after any crash."""

from __future__ import annotations

from functools import partial

import typer

from fewshot_llm.cli import batch_options as batch_only, guarding, options, redacting, saved

__all__ = ["batch"]


def batch(
    ctx: typer.Context,
    task: options.Task,
    inputs: batch_only.Inputs,
    output: batch_only.OutputFolder = None,
    support: saved.SupportFile = None,
    adapter: saved.AdapterFolder = None,
    allow_download: options.AllowDownload = False,
    insecure: options.Insecure = False,
    resume: batch_only.Resume = False,
    limit: batch_only.Limit = None,
    dry_run: batch_only.DryRun = False,
    price: batch_only.Price = None,
    tolerate: batch_only.Tolerate = 0,
    long_text: batch_only.LongTextName = "error",
    redact: redacting.Redact = False,
    regions: redacting.Regions = None,
    redact_orders: redacting.RedactOrders = False,
    cache: batch_only.Cache = None,
    engine: batch_only.Engine = "local",
    workers: batch_only.Workers = 1,
    ray_address: batch_only.RayAddress = None,
    gpus_per_worker: batch_only.GpusPerWorker = 0.0,
    form: batch_only.Form = "parquet",
    rows_per_shard: batch_only.RowsPerShard = 1000,
    prometheus: batch_only.Prometheus = None,
    as_json: options.Json = False,
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
    defence: options.Defence = "none",
    template_version: options.TemplateVersion = None,
    layout: options.Layout = "auto",
    max_error: guarding.MaxError = None,
    confidence: guarding.Confidence = 0.9,
    calibration_rows: guarding.CalibrationRows = None,
    costs: guarding.CostsFile = None,
    out_of_scope: guarding.OutOfScope = None,
    model: options.Model = "auto",
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Label many rows: files of any size, resumed after a crash, bad rows set aside.

    The output folder gets shards with every input column and the label, errors.jsonl with every row that could not
    be labelled, and manifest.json. Exit code 1 when rows are in error, unless --tolerate allows so many, and when an
    input file changed while it was read. Ctrl-C keeps what is labelled so far; --resume goes on from there.
    """
    from fewshot_llm.batch.job import Output, job_lock
    from fewshot_llm.batch.labeller import ClassifierLabeller, SavedClassifier, support_profile
    from fewshot_llm.batch.progress import estimate_job
    from fewshot_llm.batch.runner import run_batch
    from fewshot_llm.batch.sources import columns_of
    from fewshot_llm.batch.work import LongText, Settings
    from fewshot_llm.cli.batch_report import print_estimate, print_outcome, shown_progress
    from fewshot_llm.cli.parts import ModelOptions, Told, make_classifier, say, warn_of
    from fewshot_llm.cli.progress import waiting
    from fewshot_llm.data.task import load_task

    if output is None and not dry_run:
        raise typer.BadParameter("Say where the results go: --output DIR.")
    if engine == "ray" and support is not None and adapter is not None:
        raise typer.BadParameter("Ray's actors load either what --support fitted or an --adapter: give one of them.")
    if output is not None and not dry_run:
        ctx.with_resource(job_lock(output))  # before a model is loaded: who else is at it is known at once
    told = Told(text_column, label_column, delimiter, encoding, merge_labels)
    source = told.source(inputs, limit, output)
    say(source.notes())
    wanted, found = load_task(task), columns_of(source)
    columns = {field: field for field in wanted.fields} | (told.fields(wanted, found) if found else {})
    redactor = redacting.make_redactor(redact=redact, regions=regions, orders=redact_orders)
    take_policy = partial(
        guarding.take_policy,
        max_error=max_error,
        confidence=confidence,
        calibration_rows=calibration_rows,
        costs=costs,
        out_of_scope=out_of_scope,
    )
    chosen = ModelOptions(model, adapter, device, dtype, threads, allow_download, insecure)
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
            defence=defence,
        )
        with waiting("Calibrating on the support set"):
            classifier.fit_support(examples)
    else:
        described, classifier = saved.open_saved(task, adapter, chosen)
        policy = take_policy(described, told, classifier.support_, adapter)
        told.require_found()
    if policy is not None:
        if engine == "ray" and adapter is not None:
            raise typer.BadParameter("Ray's actors load the --adapter as it was saved, without what is kept back.")
        guarding.fit_policy(classifier, policy, quiet=as_json)
    settings = Settings(columns, LongText(long_text), redactor)
    labeller = ClassifierLabeller(classifier)
    if output is None or dry_run:
        with waiting("Measuring a sample"):
            forecast = estimate_job(
                labeller,
                source,
                settings,
                rows_per_shard=rows_per_shard,
                seed=seed,
                price_per_million_tokens=price,
            )
        print_estimate(forecast, as_json=as_json)
        return
    place = Output(output, form, rows_per_shard, resume)
    with waiting("Measuring the support set"):
        profile = support_profile(classifier)
    with shown_progress(as_json=as_json, prometheus=prometheus) as report:
        if engine == "ray":
            from fewshot_llm.batch.ray import Cluster, run_batch_on_ray

            fitted = output / ".classifier"
            if adapter is None:
                classifier.save(fitted, overwrite=True)
            cluster = Cluster(workers, ray_address, gpus_per_worker)
            make = SavedClassifier(
                adapter or fitted,
                device,
                dtype,
                model=None if model == "auto" else model,
                # What was fitted in this call names the model that this call chose.
                allow_download=allow_download or adapter is None,
                insecure=insecure,
            )
            outcome = run_batch_on_ray(make, source, place, settings, cluster, report=report, support=profile)
        else:
            outcome = run_batch(
                labeller, source, place, settings, workers=workers, cache=cache, report=report, support=profile
            )
    print_outcome(outcome, output, as_json=as_json, shots=classifier.demonstrations_.to_json())
    if outcome.changed or sum(outcome.errors.values()) > tolerate:
        raise typer.Exit(1)
