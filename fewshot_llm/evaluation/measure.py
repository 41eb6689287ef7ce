"""One classifier measured on test rows: the rows that can be measured, a run, a result of one run.

Why the rows that are worth reading got their answers.

Single rows worth reading: the surest mistakes and the least sure answers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from fewshot_llm.artifacts.record import installed_versions, model_record
from fewshot_llm.data import Example, SupportSet, doctor
from fewshot_llm.data.task import Task
from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.evaluation.provenance import machine
from fewshot_llm.evaluation.result import Evaluation, ExplainedRow, Figures, Row, Run, ShownPrompt, TestRows, summarise
from fewshot_llm.explaining import explain
from fewshot_llm.predictors.prompted import PromptedPredictor, shown_shots
from fewshot_llm.scoring.base import Scorer
from fewshot_llm.scoring.profile import Profile
from fewshot_llm.types import IntArray, Progress

__all__ = [
    "Answered",
    "Measurable",
    "evaluate_fitted",
    "explain_rows",
    "least_sure",
    "measurable",
    "measure_run",
    "shown_prompt",
    "surest_mistakes",
]


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
    predictor = classifier.predictor_
    inference = predictor.inference
    before, began = _profile(inference.scorer), perf_counter()
    answers = predictor.answer(test.queries, progress)
    seconds = perf_counter() - began
    cost = _profile(inference.scorer) - before
    return Run(
        shots=inference.builder.shots,
        demonstrations=shown_shots(inference).shown,
        seed=classifier.seed,
        support_rows=len(inference.support),
        support_fingerprint=inference.support.fingerprint,
        prompt_fingerprint=inference.builder.fingerprint,
        calibrations=predictor.calibrations,
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
    inference = classifier.predictor_.inference
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
        prompt=shown_prompt(classifier.predictor_, rows),
        doctor=doctor(inference.support, builder.task),
        decision=getattr(classifier, "decision_", None),
        machine=machine(),
    )


def shown_prompt(predictor: PromptedPredictor, test: Measurable) -> ShownPrompt:
    """The prompt of the first test row."""
    prompt = predictor.inference.prompts(test.queries[:1])[0]
    return ShownPrompt(prompt.text, prompt.answers, prompt.template, len(prompt.demonstrations))


def _profile(scorer: Scorer) -> Profile:
    """What a scorer's runs cost so far; nothing where it keeps no books (a server)."""
    found: Profile = getattr(scorer, "profile", Profile())
    return found


MOST = 8


@dataclass(frozen=True)
class Answered:
    """A test row with its answer.

    Attributes:
        number: the row's place among the measured rows, from 1.
        text: its text; empty where texts are kept out of the result.
        label: the right label.
        given: the answer.
        probability: of the answer.
        runner_up: the second best label.
        runner_up_probability: its probability.
    """

    number: int
    text: str
    label: str
    given: str
    probability: float
    runner_up: str
    runner_up_probability: float

    @property
    def right(self) -> bool:
        """Whether the answer is right."""
        return self.given == self.label


def surest_mistakes(run: Run, rows: Sequence[Row], labels: Sequence[str], most: int = MOST) -> list[Answered]:
    """The wrong answers with the highest probability, the surest first."""
    wrong = [answer for answer in _answered(run, rows, labels) if not answer.right]
    return sorted(wrong, key=lambda answer: -answer.probability)[:most]


def least_sure(run: Run, rows: Sequence[Row], labels: Sequence[str], most: int = MOST) -> list[Answered]:
    """The answers whose best two labels lie closest together, the closest first."""
    found = _answered(run, rows, labels)
    return sorted(found, key=lambda answer: answer.probability - answer.runner_up_probability)[:most]


def _answered(run: Run, rows: Sequence[Row], labels: Sequence[str]) -> list[Answered]:
    probabilities = np.exp(run.log_probabilities)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return [
        Answered(
            number=number + 1,
            text=row.text,
            label=row.label,
            given=labels[top[0]],
            probability=float(p[top[0]]),
            runner_up=labels[top[-1]],
            runner_up_probability=float(p[top[-1]]),
        )
        for number, (row, p, top) in enumerate(zip(rows, probabilities, best, strict=True))
    ]


def explain_rows(predictor: PromptedPredictor, test: Measurable, run: Run, most: int) -> tuple[ExplainedRow, ...]:
    """Explain the surest mistakes and then the least sure answers of a run.

    Args:
        predictor: what gave the answers.
        test: the rows.
        run: the answers.
        most: how many rows; half of them are mistakes where there are so many.
    """
    labels = predictor.inference.builder.labels
    mistakes = surest_mistakes(run, test.rows, labels, most)[: (most + 1) // 2]
    unsure = least_sure(run, test.rows, labels, most)
    chosen = list(dict.fromkeys(answered.number for answered in (*mistakes, *unsure)))[:most]
    found = explain(predictor, [test.queries[number - 1] for number in chosen])
    return tuple(ExplainedRow(number, why) for number, why in zip(chosen, found, strict=True))
