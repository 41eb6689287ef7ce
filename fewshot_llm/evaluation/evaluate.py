"""`evaluate`: a classifier measured on test rows, over shots and over draws of the support set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone

from fewshot_llm.calibration import IntArray
from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.assemble import ModelLike, TaskLike, make_language, make_scorer, make_task
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.estimators.parts import model_record
from fewshot_llm.evaluation.result import Evaluation, Figures, Run, TestRows, summarise
from fewshot_llm.scoring.base import Progress, Scorer
from fewshot_llm.scoring.profile import Profile
from fewshot_llm.support import Example, SupportSet
from fewshot_llm.task import Task, load_task
from fewshot_llm.tuning.store import installed_versions

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
        columns: field → column of the files, where they are not named as the task's fields.
        level: of every interval.
        progress: called with rows finished and rows in all, a test row counted once per run.
        **options: any other parameter of `FewShotClassifier`.

    Returns:
        Each run's figures and, for each number of shots, their means over seeds.

    Raises:
        SupportError: nothing is left to measure on, or no shots or seeds are given.

    Example:
        >>> result = evaluate("review-sentiment", "support.csv", "test.csv", shots=[4])  # doctest: +SKIP
        >>> print(result.summaries[0].accuracy)  # doctest: +SKIP
        0.790 [0.713, 0.858]
    """
    if not shots or not seeds:
        raise SupportError("Give at least one number of shots and one seed.")
    support, described = _support(task, support, columns, options.pop("labels", None), options.pop("label_words", None))
    test_rows = _test_rows(described, support, test, columns)
    language = make_language(options.pop("language", "auto"), described, support)
    loading = {name: options.pop(name, None) for name in ("adapter", "device", "dtype", "batch_tokens")}
    scorer = make_scorer(model, language, **loading)
    base = FewShotClassifier(described, scorer, language=language, **options)

    runs: list[Run] = []
    for number, (k, seed) in enumerate(product(shots, seeds)):
        rows = k if rows_per_class is None else rows_per_class
        drawn = support.sample(rows, seed) if rows > 0 else support.subset(())
        report = _part(progress, number, len(shots) * len(seeds), len(test_rows))
        runs.append(_run(clone(base).set_params(shots=k, seed=seed), drawn, test_rows, level, report))
    return Evaluation(
        task=described.name,
        labels=described.labels,
        language=language,
        model=model_record(scorer),
        options={name: repr(value) for name, value in sorted(options.items())},
        support_fingerprint=support.fingerprint,
        test=test_rows.described,
        runs=tuple(runs),
        summaries=summarise(runs, level),
        versions=installed_versions(),
    )


@dataclass(frozen=True)
class _Measured:
    """The test rows that are measured, and what became of the others."""

    queries: list[Example]
    targets: IntArray
    described: TestRows

    def __len__(self) -> int:
        return len(self.queries)


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


def _test_rows(
    task: Task, support: SupportSet, test: SupportSet | str | os.PathLike[str], columns: Mapping[str, str] | None
) -> _Measured:
    if not isinstance(test, SupportSet):
        test = SupportSet.from_file(test, task, columns)
    leaked = {leak.test_row for leak in support.leak_check(test)}
    unknown = {row for row, example in enumerate(test) if example.label not in task.labels} - leaked
    kept = test.without(leaked | unknown)
    if not len(kept):
        raise SupportError(
            f"None of the {len(test)} test rows can be measured: {len(leaked)} are also in the support set and "
            f"{len(unknown)} have a label that it does not have."
        )
    return _Measured(
        queries=[Example(example.fields) for example in kept],
        targets=np.array([task.labels.index(str(example.label)) for example in kept], dtype=np.int64),
        described=TestRows(len(test), len(kept), len(leaked), len(unknown), kept.fingerprint),
    )


def _part(progress: Progress | None, run: int, runs: int, rows: int) -> Progress | None:
    """One run's progress, told as a part of the whole."""
    if progress is None:
        return None
    return lambda done, _: progress(run * rows + done, runs * rows)


def _profile(scorer: Scorer) -> Profile:
    """What a scorer's runs cost so far; nothing where it keeps no books (a server)."""
    found: Profile = getattr(scorer, "profile", Profile())
    return found


def _run(
    classifier: FewShotClassifier, drawn: SupportSet, test: _Measured, level: float, progress: Progress | None
) -> Run:
    began = perf_counter()
    classifier.fit_support(drawn)
    fitted = perf_counter()
    inference = classifier.answerer_.inference
    before = _profile(inference.scorer)
    answers = classifier.answerer_.answer(test.queries, progress)
    seconds = perf_counter() - fitted
    cost = _profile(inference.scorer) - before
    return Run(
        shots=classifier.shots,
        seed=classifier.seed,
        support_rows=len(drawn),
        support_fingerprint=drawn.fingerprint,
        prompt_fingerprint=inference.builder.fingerprint,
        calibrations=classifier.calibrations_,
        figures=Figures.of(test.targets, answers.log_probabilities, level),
        fit_seconds=fitted - began,
        predict_seconds=seconds,
        rows_per_second=len(test) / seconds,
        tokens_asked=cost.asked,
        tokens_computed=cost.computed,
        targets=test.targets,
        log_probabilities=answers.log_probabilities,
    )
