"""One classifier measured on test rows: the rows that can be measured, a run, a result of one run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from fewshot_llm.calibration import IntArray
from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.estimators.parts import model_record
from fewshot_llm.estimators.shots import shown_shots
from fewshot_llm.evaluation.circumstances import Row, ShownPrompt
from fewshot_llm.evaluation.provenance import machine
from fewshot_llm.evaluation.result import Evaluation, Figures, Run, TestRows, summarise
from fewshot_llm.scoring.base import Progress, Scorer
from fewshot_llm.scoring.profile import Profile
from fewshot_llm.support import Example, SupportSet, doctor
from fewshot_llm.task import Task
from fewshot_llm.tuning.store import installed_versions

__all__ = ["Measurable", "evaluate_fitted", "measurable", "measure_run", "shown_prompt"]


@dataclass(frozen=True)
class Measurable:
    """The test rows that can be measured, and what became of the others.

    Attributes:
        queries: the rows without their labels.
        targets: the right labels' positions, shape [rows].
        rows: texts and labels.
        described: how many were given and left out.
    """

    queries: list[Example]
    targets: IntArray
    rows: tuple[Row, ...]
    described: TestRows

    def __len__(self) -> int:
        return len(self.queries)


def measurable(
    task: Task,
    support: SupportSet,
    test: SupportSet | str | os.PathLike[str],
    columns: Mapping[str, str] | None = None,
) -> Measurable:
    """Leave out test rows whose text is in the support set, and those with a label that the task does not have.

    Args:
        task: with its labels.
        support: what may be learned from.
        test: the labelled rows, or their file.
        columns: field → column of the file, where they are not named as the task's fields.

    Raises:
        SupportError: nothing is left.
    """
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
    rows = tuple(Row(example.text, str(example.label)) for example in kept)
    return Measurable(
        queries=[Example(example.fields) for example in kept],
        targets=np.array([task.labels.index(row.label) for row in rows], dtype=np.int64),
        rows=rows,
        described=TestRows(len(test), len(kept), len(leaked), len(unknown), kept.fingerprint),
    )


def measure_run(
    classifier: FewShotClassifier,
    test: Measurable,
    fit_seconds: float,
    *,
    level: float = 0.95,
    progress: Progress | None = None,
) -> Run:
    """Ask a fitted classifier for every test row.

    Args:
        classifier: fitted.
        test: the rows.
        fit_seconds: what fitting took.
        level: of every interval.
        progress: called with rows finished and rows in all.
    """
    answerer = classifier.answerer_
    inference = answerer.inference
    before, began = _profile(inference.scorer), perf_counter()
    answers = answerer.answer(test.queries, progress)
    seconds = perf_counter() - began
    cost = _profile(inference.scorer) - before
    return Run(
        shots=inference.builder.shots,
        demonstrations=shown_shots(inference).shown,
        seed=classifier.seed,
        support_rows=len(inference.support),
        support_fingerprint=inference.support.fingerprint,
        prompt_fingerprint=inference.builder.fingerprint,
        calibrations=answerer.calibrations,
        figures=Figures.of(test.targets, answers.log_probabilities, level),
        fit_seconds=fit_seconds,
        predict_seconds=seconds,
        rows_per_second=len(test) / seconds,
        tokens_asked=cost.asked,
        tokens_computed=cost.computed,
        targets=test.targets,
        log_probabilities=answers.log_probabilities,
    )


def evaluate_fitted(
    classifier: FewShotClassifier,
    test: SupportSet | str | os.PathLike[str],
    *,
    target: float = 0.9,
    fit_seconds: float = 0.0,
    columns: Mapping[str, str] | None = None,
    level: float = 0.95,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure one fitted classifier as it is: nothing is drawn, nothing is fitted.

    Args:
        classifier: fitted or loaded.
        test: the labelled rows to measure on, or their file.
        target: the accuracy that is good enough.
        fit_seconds: what fitting took, where that is known.
        columns: field → column of the file, where they are not named as the task's fields.
        level: of every interval.
        progress: called with rows finished and rows in all.

    Raises:
        SupportError: nothing is left to measure on.

    Example:
        >>> classifier = FewShotClassifier.load("my-reviews")  # doctest: +SKIP
        >>> evaluate_fitted(classifier, "test.csv").summaries[0].accuracy  # doctest: +SKIP
        Interval(value=0.85, low=0.76, high=0.91, level=0.95)
    """
    inference = classifier.answerer_.inference
    builder = inference.builder
    rows = measurable(builder.task, inference.support, test, columns)
    run = measure_run(classifier, rows, fit_seconds, level=level, progress=progress)
    return Evaluation(
        task=builder.task.name,
        labels=builder.labels,
        language=builder.language,
        model=model_record(inference.scorer),
        options={},
        support_fingerprint=inference.support.fingerprint,
        test=rows.described,
        runs=(run,),
        summaries=summarise((run,), level),
        versions=installed_versions(),
        target=target,
        rows=rows.rows,
        prompt=shown_prompt(classifier.answerer_, rows),
        doctor=doctor(inference.support, builder.task),
        decision=getattr(classifier, "decision_", None),
        machine=machine(),
    )


def shown_prompt(answerer: Answerer, test: Measurable) -> ShownPrompt:
    """The prompt of the first test row."""
    prompt = answerer.inference.prompts(test.queries[:1])[0]
    return ShownPrompt(prompt.text, prompt.answers, prompt.template, len(prompt.demonstrations))


def _profile(scorer: Scorer) -> Profile:
    """What a scorer's runs cost so far; nothing where it keeps no books (a server)."""
    found: Profile = getattr(scorer, "profile", Profile())
    return found
