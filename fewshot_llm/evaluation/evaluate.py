"""A classifier measured on test rows: over shots and draws, fitted already, or in another number format."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from fewshot_llm.artifacts.folder import read_decision
from fewshot_llm.artifacts.record import installed_versions, model_record
from fewshot_llm.data import Example, Problem, SupportSet, doctor
from fewshot_llm.data.task import Task, load_task
from fewshot_llm.errors import ScoringError, SupportError
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.evaluation.figures import least_sure, surest_mistakes
from fewshot_llm.evaluation.result import (
    Evaluation,
    ExplainedRow,
    Figures,
    Row,
    Run,
    ShownPrompt,
    TestRows,
    machine,
    summarise,
)
from fewshot_llm.explaining import explain
from fewshot_llm.ladder.base import check_target
from fewshot_llm.ladder.climb import can_be_held_out
from fewshot_llm.ladder.decision import Decision
from fewshot_llm.ladder.rungs.words import Words, words_predictor
from fewshot_llm.predictors.base import Predictor
from fewshot_llm.predictors.build import (
    ModelLike,
    TaskLike,
    assemble,
    make_language,
    make_problem,
    make_scorer,
    make_task,
    text_language,
)
from fewshot_llm.predictors.linear import EncoderFeatures, HiddenFeatures, LinearPredictor, WordFeatures
from fewshot_llm.predictors.out_of_fold import score_held_out
from fewshot_llm.predictors.prompted import DEFAULT_SHOTS, Inference, PromptedPredictor, prompted_in, shown_shots
from fewshot_llm.scoring.passes import profile_of
from fewshot_llm.stats.calibration import Calibration, fit_bias_temperature, identity
from fewshot_llm.types import IntArray, Progress

if TYPE_CHECKING:
    from fewshot_llm.data import SupportSet
    from fewshot_llm.models.load import LanguageModel

__all__ = [
    "Measurable",
    "PrecisionEvidence",
    "check_precision",
    "evaluate",
    "evaluate_fitted",
    "measure_precision",
    "models_of",
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


def _measurable(
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


def _measure_run(
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
    predictor, problem = classifier.predictor_, classifier.problem_
    inference = _asked(predictor)
    before, began = None if inference is None else profile_of(inference.scorer), perf_counter()
    answers = predictor.answer(test.queries, progress)
    seconds = perf_counter() - began
    cost = None if inference is None or before is None else profile_of(inference.scorer) - before
    shots = classifier.shots if inference is None else inference.builder.shots
    decision: Decision | None = getattr(classifier, "decision_", None)
    return Run(
        shots=DEFAULT_SHOTS if shots is None else shots,
        demonstrations=None if inference is None else shown_shots(inference).shown,
        seed=classifier.seed,
        support_rows=len(problem.support),
        support_fingerprint=problem.support.fingerprint,
        prompt_fingerprint=predictor.fingerprint if inference is None else inference.builder.fingerprint,
        calibrations=_calibrations(predictor),
        figures=Figures.of(test.targets, answers.log_probabilities, level),
        fit_seconds=fit_seconds,
        predict_seconds=seconds,
        rows_per_second=len(test) / seconds,
        tokens_asked=0 if cost is None else cost.asked,
        tokens_computed=0 if cost is None else cost.computed,
        targets=test.targets,
        log_probabilities=answers.log_probabilities,
        rung=None if decision is None else decision.rung,
        words=_words_alone(problem, test, classifier.seed),
    )


def _asked(predictor: Predictor) -> Inference | None:
    """What is asked of a language model by its prompt; None where nothing is."""
    found = prompted_in(predictor)
    return None if found is None else found.inference


def _calibrations(predictor: Predictor) -> tuple[Calibration, ...]:
    """What stands between scores and answers; for a mixture, whose members have their own, nothing."""
    match predictor:
        case PromptedPredictor():
            return predictor.calibrations
        case LinearPredictor():
            return (predictor.calibration,)
    return (identity(len(predictor.labels)),)


def _words_alone(problem: Problem, test: Measurable, seed: int) -> str | None:
    """Label positions that word counts give, fitted on the same rows."""
    if not can_be_held_out(problem.support):
        return None
    return " ".join(map(str, words_predictor(problem, seed).best(test.queries)))


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
    problem, predictor = classifier.problem_, classifier.predictor_
    inference = _asked(predictor)
    rows = _measurable(problem.task, problem.support, test, columns)
    run = _measure_run(classifier, rows, fit_seconds, level=level, progress=progress)
    return Evaluation(
        task=problem.task.name,
        labels=problem.labels,
        language=problem.language,
        model=models_of(predictor) if inference is None else model_record(inference.scorer),
        options={},
        support_fingerprint=problem.support.fingerprint,
        test=rows.described,
        runs=(run,),
        summaries=summarise((run,), level),
        versions=installed_versions(),
        target=target,
        rows=rows.rows,
        prompt=_shown_prompt(predictor, rows),
        doctor=doctor(problem.support, problem.task),
        decision=getattr(classifier, "decision_", None),
        machine=machine(),
    )


def models_of(predictor: Predictor) -> dict[str, str]:
    """What answers where no prompt is asked: the models whose vectors are read, and the digest of all of it."""
    names = []
    for part in predictor.members:
        match part:
            case LinearPredictor(features=EncoderFeatures(encoder=encoder)):
                names.append(encoder.name)
            case LinearPredictor(features=HiddenFeatures(state=state)):
                names.append(state.language_model.name)
            case LinearPredictor(features=WordFeatures()):
                names.append(Words.name)
    return {"name": ", ".join(dict.fromkeys(names)) or type(predictor).__name__, "sha256": predictor.fingerprint}


def _shown_prompt(predictor: Predictor, test: Measurable) -> ShownPrompt | None:
    """The prompt of the first test row; None where none is asked."""
    inference = _asked(predictor)
    if inference is None:
        return None
    prompt = inference.prompts(test.queries[:1])[0]
    return ShownPrompt(prompt.text, prompt.answers, prompt.template, len(prompt.demonstrations))


def _explain_rows(predictor: Predictor, test: Measurable, run: Run, most: int) -> tuple[ExplainedRow, ...]:
    """Explain the surest mistakes and then the least sure answers of a run.

    Args:
        predictor: what gave the answers.
        test: the rows.
        run: the answers.
        most: how many rows; half of them are mistakes where there are so many.
    """
    labels = predictor.labels
    mistakes = surest_mistakes(run, test.rows, labels, most)[: (most + 1) // 2]
    unsure = least_sure(run, test.rows, labels, most)
    chosen = list(dict.fromkeys(answered.number for answered in (*mistakes, *unsure)))[:most]
    found = explain(predictor, [test.queries[number - 1] for number in chosen])
    return tuple(ExplainedRow(number, why) for number, why in zip(chosen, found, strict=True))


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
    rows and no others, so that a figure says what k labelled rows per class are worth. Where nothing is said of the
    prompt, the quick ladder chooses what answers, draw by draw. Word counts, fitted on the same rows, are measured
    beside it. Test rows whose text is anywhere in `support` are left out, and the result says how many.

    Args:
        task: a built-in task's name, a folder, or a `Task`.
        support: the labelled rows to draw from, or their file.
        test: the labelled rows to measure on, or their file.
        model: as for `FewShotClassifier`; it is loaded once.
        shots: numbers of labelled rows per class, which prompts show; 0 is zero-shot.
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
    rows = _measurable(described, support, test)
    language = make_language(options.pop("language", "auto"), described, support)
    adapter = options.get("adapter")
    loading = {name: options.pop(name, None) for name in ("adapter", "device", "dtype", "batch_tokens")}
    scorer = make_scorer(model, text_language(language, (example.text for example in support)), **loading)
    base = FewShotClassifier(described, scorer, language=language, **options)

    runs: list[Run] = []
    headline: FewShotClassifier | None = None
    explanations: tuple[ExplainedRow, ...] = ()
    for number, (k, seed) in enumerate(product(shots, seeds)):
        drawn_rows = k if rows_per_class is None else rows_per_class
        drawn = support.sample(drawn_rows, seed) if drawn_rows > 0 else support.subset(())
        report = _part(progress, number, len(shots) * len(seeds), len(rows))
        classifier = clone(base).set_params(seed=seed)
        ladder = classifier.ladder_for(make_problem(classifier, drawn))
        classifier.set_params(shots=k, ladder=ladder)
        began = perf_counter()
        classifier.fit_support(drawn)
        runs.append(_measure_run(classifier, rows, perf_counter() - began, level=level, progress=report))
        if headline is None and k == max(shots):
            headline = classifier
            if explained:
                explanations = _explain_rows(classifier.predictor_, rows, runs[-1], explained)
    assert headline is not None
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
        prompt=_shown_prompt(headline.predictor_, rows),
        doctor=doctor(support, described, test),
        decision=getattr(headline, "decision_", None) if adapter is None else read_decision(Path(adapter)),
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


ALLOWED_LOSS = 0.01
"""How much out-of-fold accuracy a faster format may cost."""


@dataclass(frozen=True)
class PrecisionEvidence:
    """The same support rows in two number formats.

    Attributes:
        dtype: the other format.
        rows: how many rows were scored out of fold.
        accuracy: in the other format.
        exact_accuracy: in float32.
        agreement: share of rows with the same label in both.
        speed: float32's seconds for each second of the other format.

    >>> PrecisionEvidence("bfloat16", 32, 0.90625, 0.9375, 0.97, 2.0).allowed
    False
    """

    dtype: str
    rows: int
    accuracy: float
    exact_accuracy: float
    agreement: float
    speed: float

    @property
    def allowed(self) -> bool:
        """Whether the loss is at most `ALLOWED_LOSS`."""
        return self.exact_accuracy - self.accuracy <= ALLOWED_LOSS

    def to_json(self) -> dict[str, Any]:
        """All figures, for a result file."""
        return asdict(self)


def measure_precision(classifier: FewShotClassifier, other: LanguageModel, support: SupportSet) -> PrecisionEvidence:
    """Score the support rows out of fold with the classifier's own model and with the same model in another format.

    Args:
        classifier: not fitted; its model is a `LanguageModel` in float32.
        other: the same weights in the other format.
        support: the labelled rows.

    Raises:
        ScoringError: no row can be scored out of fold.
    """
    labels, targets, seconds = [], np.empty(0, dtype=np.int64), []
    for model in (classifier.model, other):
        inference = assemble(clone(classifier).set_params(model=model), support)
        began = perf_counter()
        found = score_held_out(inference)
        seconds.append(perf_counter() - began)
        if not len(found.targets):
            raise ScoringError(
                "A number format is compared with float32 on labelled rows that their prompt does not show, and this "
                "support set leaves none. Give at least two rows per class, or leave --precision out."
            )
        targets = found.targets
        calibrated = fit_bias_temperature(found.scores, targets).log_probabilities(found.scores)
        labels.append(calibrated.argmax(axis=1))
    exact, narrow = labels
    return PrecisionEvidence(
        dtype=str(other.dtype).removeprefix("torch."),
        rows=len(targets),
        accuracy=float((narrow == targets).mean()),
        exact_accuracy=float((exact == targets).mean()),
        agreement=float((narrow == exact).mean()),
        speed=seconds[0] / seconds[1],
    )


def check_precision(classifier: FewShotClassifier, other: LanguageModel, support: SupportSet) -> PrecisionEvidence:
    """As `measure_precision`, and refuses a format that costs accuracy.

    Raises:
        ScoringError: it loses more than `ALLOWED_LOSS`.
    """
    evidence = measure_precision(classifier, other, support)
    if not evidence.allowed:
        raise ScoringError(
            f"{evidence.dtype} is refused: of {evidence.rows} labelled rows, each scored under a prompt without it: "
            f"{evidence.accuracy:.1%} are right, in float32 {evidence.exact_accuracy:.1%}. A point may be lost. "
            "Leave --precision out to stay with float32."
        )
    return evidence
