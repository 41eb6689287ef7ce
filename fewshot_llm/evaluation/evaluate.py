"""`evaluate`: a classifier measured on test rows, over shots and over draws of the support set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

from sklearn.base import clone

from fewshot_llm.artifacts.folder import read_decision
from fewshot_llm.artifacts.record import installed_versions, model_record
from fewshot_llm.data import SupportSet, doctor
from fewshot_llm.data.task import Task, load_task
from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.evaluation.measure import explain_rows, measurable, measure_run, shown_prompt
from fewshot_llm.evaluation.provenance import machine
from fewshot_llm.evaluation.result import Evaluation, ExplainedRow, Run, ShownPrompt, summarise
from fewshot_llm.ladder.base import check_target
from fewshot_llm.predictors.build import ModelLike, TaskLike, make_language, make_scorer, make_task, text_language
from fewshot_llm.types import Progress

__all__ = ["evaluate"]


def evaluate(
    task: TaskLike,
    support: SupportSet | str | os.PathLike[str],
    test: SupportSet | str | os.PathLike[str],
    *,
    model: ModelLike = "auto",
    shots: Sequence[int] = (0, 4, 16),
    seeds: Sequence[int] = (0, 1, 2),
    rows_per_class: int | None = None,
    target: float = 0.9,
    explained: int = 0,
    columns: Mapping[str, str] | None = None,
    level: float = 0.95,
    progress: Progress | None = None,
    **options: Any,
) -> Evaluation:
    """Measure a classifier at several numbers of shots, each with several draws of the support set.

    For k shots and a seed, k rows of each class are drawn from `support`; demonstrations and calibration see those
    rows and no others, so that a figure says what k labelled rows per class are worth. Test rows whose text is
    anywhere in `support` are left out, and the result says how many.

    Args:
        task: a built-in task's name, a folder, or a `Task`.
        support: the labelled rows to draw from, or their file.
        test: the labelled rows to measure on, or their file.
        model: as for `FewShotClassifier`; it is loaded once.
        shots: numbers of demonstrations per class; 0 is zero-shot.
        seeds: each draws another support set and other demonstrations.
        rows_per_class: draw so many rows per class in place of k; those that are not shown serve calibration.
        target: the accuracy that is good enough, in (0, 1]; the report compares with it.
        explained: explain so many answers of the first run with the most shots: the surest mistakes and the least
            sure rows.
        columns: field → column of the files, where they are not named as the task's fields.
        level: of every interval.
        progress: called with rows finished and rows in all, a test row counted once per run.
        **options: any other parameter of `FewShotClassifier`.

    Returns:
        Each run's figures and, for each number of shots, their means over seeds.

    Raises:
        SupportError: nothing is left to measure on, or no shots or seeds are given.
        TuningError: a target outside (0, 1].

    Example:
        >>> result = evaluate("review-sentiment", "support.csv", "test.csv", shots=[4])  # doctest: +SKIP
        >>> print(result.summaries[0].accuracy)  # doctest: +SKIP
        0.790 [0.713, 0.858]
    """
    if not shots or not seeds:
        raise SupportError("Give at least one number of shots and one seed.")
    check_target(target)
    support, described = _support(task, support, columns, options.pop("labels", None), options.pop("label_words", None))
    if not isinstance(test, SupportSet):
        test = SupportSet.from_file(test, described, columns)
    rows = measurable(described, support, test)
    language = make_language(options.pop("language", "auto"), described, support)
    adapter = options.get("adapter")
    loading = {name: options.pop(name, None) for name in ("adapter", "device", "dtype", "batch_tokens")}
    scorer = make_scorer(model, text_language(language, (example.text for example in support)), **loading)
    base = FewShotClassifier(described, scorer, language=language, **options)

    runs: list[Run] = []
    prompt: ShownPrompt | None = None
    explanations: tuple[ExplainedRow, ...] = ()
    for number, (k, seed) in enumerate(product(shots, seeds)):
        drawn_rows = k if rows_per_class is None else rows_per_class
        drawn = support.sample(drawn_rows, seed) if drawn_rows > 0 else support.subset(())
        report = _part(progress, number, len(shots) * len(seeds), len(rows))
        classifier = clone(base).set_params(shots=k, seed=seed)
        began = perf_counter()
        classifier.fit_support(drawn)
        runs.append(measure_run(classifier, rows, perf_counter() - began, level=level, progress=report))
        if prompt is None and k == max(shots):
            prompt = shown_prompt(classifier.predictor_, rows)
            if explained:
                explanations = explain_rows(classifier.predictor_, rows, runs[-1], explained)
    return Evaluation(
        task=described.name,
        labels=described.labels,
        language=language,
        model=model_record(scorer),
        options={name: repr(value) for name, value in sorted(options.items())},
        support_fingerprint=support.fingerprint,
        test=rows.described,
        runs=tuple(runs),
        summaries=summarise(runs, level),
        versions=installed_versions(),
        target=target,
        rows=rows.rows,
        prompt=prompt,
        doctor=doctor(support, described, test),
        decision=None if adapter is None else read_decision(Path(adapter)),
        explanations=explanations,
        machine=machine(),
    )


def _support(
    task: TaskLike,
    support: SupportSet | str | os.PathLike[str],
    columns: Mapping[str, str] | None,
    labels: Sequence[str] | None,
    label_words: Mapping[str, str] | None,
) -> tuple[SupportSet, Task]:
    described = task if isinstance(task, Task) else load_task(task)
    if labels is not None:
        described = described.with_labels(labels)
    if not isinstance(support, SupportSet):
        support = SupportSet.from_file(support, described, columns)
    return support, make_task(described, None, {**support.label_words, **(label_words or {})}, support.labels)


def _part(progress: Progress | None, run: int, runs: int, rows: int) -> Progress | None:
    """One run's progress, told as a part of the whole."""
    if progress is None:
        return None
    return lambda done, _: progress(run * rows + done, runs * rows)
