"""What `evaluate` found: runs, their means over seeds, and everything needed to tell two results apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np

from fewshot_llm.calibration import Calibration, IntArray
from fewshot_llm.escalation import Decision
from fewshot_llm.evaluation.circumstances import AttackFigures, ExplainedRow, Row, ShownPrompt
from fewshot_llm.evaluation.intervals import Interval, mean_interval, share_interval
from fewshot_llm.evaluation.metrics import (
    accuracy,
    area_under_curve,
    balanced_accuracy,
    confusion,
    expected_calibration_error,
    log_loss,
    loss_reach,
    macro_f1,
    row_losses,
)
from fewshot_llm.scoring.base import FloatArray
from fewshot_llm.support.diagnosis import DoctorReport

__all__ = ["Evaluation", "Figures", "Run", "Summary", "TestRows", "summarise"]

SEED = 0
"""Of every bootstrap: the same answers always get the same intervals."""


@dataclass(frozen=True)
class Figures:
    """One set of answers, measured.

    Attributes:
        n: test rows.
        accuracy: with its exact interval.
        balanced_accuracy: mean over classes of the share that is right.
        macro_f1: mean F1 over classes.
        log_loss: mean −log P(right label), nats.
        calibration_error: expected calibration error of the top label, 10 bins.
        auc: area under the ROC curve for the first label; None unless there are two.
        confusion: rows of each class (outer) given each label (inner), in the labels' order.
    """

    n: int
    accuracy: Interval
    balanced_accuracy: Interval
    macro_f1: Interval
    log_loss: Interval
    calibration_error: Interval
    auc: Interval | None
    confusion: list[list[int]]

    @classmethod
    def of(cls, targets: IntArray, log_probabilities: FloatArray, level: float = 0.95) -> Figures:
        """Measure answers.

        Args:
            targets: the right labels' positions, shape [rows].
            log_probabilities: nats, shape [rows, labels].
            level: of every interval.
        """
        labels = log_probabilities.shape[1]
        p, predicted = np.exp(log_probabilities), log_probabilities.argmax(axis=1)
        auc = None
        if labels == 2:
            odds = log_probabilities[:, 0] - log_probabilities[:, 1]
            auc = area_under_curve(1 - targets, odds, seed=SEED, level=level)
        return cls(
            n=len(targets),
            accuracy=accuracy(targets, predicted, level),
            balanced_accuracy=balanced_accuracy(targets, predicted, level),
            macro_f1=macro_f1(targets, predicted, labels, seed=SEED, level=level),
            log_loss=log_loss(targets, p, level),
            calibration_error=expected_calibration_error(targets, p, seed=SEED, level=level),
            auc=auc,
            confusion=confusion(targets, predicted, labels),
        )


@dataclass(frozen=True)
class Run:
    """One number of shots with one draw of the support set.

    Attributes:
        shots: demonstrations per class.
        seed: drew the support set and the demonstrations.
        support_rows: labelled rows that demonstrations and calibration could use.
        support_fingerprint: SHA-256 of those rows.
        prompt_fingerprint: SHA-256 of everything that may change a prompt but query and support set.
        calibrations: one per permutation.
        figures: what the answers are worth.
        fit_seconds: calibration included.
        predict_seconds: for all test rows.
        rows_per_second: test rows per second of prediction.
        tokens_asked: what one full pass per prompt and label would have run, for prediction; 0 where not known.
        tokens_computed: what was run.
        targets: the right labels' positions, shape [rows].
        log_probabilities: calibrated log P(label | text), nats, shape [rows, labels].
        demonstrations: in a prompt; fewer than asked for where there are not so many rows. None in older results.
    """

    shots: int
    seed: int
    support_rows: int
    support_fingerprint: str
    prompt_fingerprint: str
    calibrations: tuple[Calibration, ...]
    figures: Figures
    fit_seconds: float
    predict_seconds: float
    rows_per_second: float
    tokens_asked: int
    tokens_computed: int
    targets: IntArray = field(repr=False)
    log_probabilities: FloatArray = field(repr=False)
    demonstrations: int | None = None

    @property
    def right(self) -> FloatArray:
        """1.0 for each test row that is right, shape [rows]."""
        right: FloatArray = (self.log_probabilities.argmax(axis=1) == self.targets).astype(np.float64)
        return right


@dataclass(frozen=True)
class Summary:
    """Means over the seeds of one number of shots, with intervals (`share_interval`, `mean_interval`).

    Up to four seeds the intervals are for these draws on new rows, from five on for new draws too; each says which
    (`Interval.estimand`).

    Attributes:
        shots: demonstrations per class.
        seeds: the draws.
        accuracy: mean accuracy.
        log_loss: mean log loss, nats.
        macro_f1: mean macro-F1, without an interval.
        auc: mean area under the ROC curve; None unless there are two labels.
        rows_per_second: test rows per second of prediction, all runs together.
    """

    shots: int
    seeds: tuple[int, ...]
    accuracy: Interval
    log_loss: Interval
    macro_f1: float
    auc: float | None
    rows_per_second: float


@dataclass(frozen=True)
class TestRows:
    """Which rows were measured on.

    Attributes:
        given: rows of the test set, after cleaning.
        kept: rows that were measured.
        leaked: rows left out because their text is in the support set.
        unknown_label: rows left out because the support set does not have their label.
        fingerprint: SHA-256 of the kept rows.
    """

    given: int
    kept: int
    leaked: int
    unknown_label: int
    fingerprint: str


@dataclass(frozen=True)
class Evaluation:
    """The whole result.

    Attributes:
        task: its name.
        labels: in the order of every list of figures per label.
        language: of the prompt.
        model: what names the model and its weights.
        options: parameters of the classifier that were not at their defaults.
        support_fingerprint: SHA-256 of the rows the support sets were drawn from.
        test: which rows were measured.
        runs: by shots, then seed.
        summaries: one per number of shots.
        versions: of everything that may change a figure.
        target: the accuracy that is good enough.
        rows: the test rows in the order of every run's answers.
        prompt: the prompt of the first test row with the most demonstrations.
        doctor: what the doctor says of the rows that support sets were drawn from.
        decision: which rung of the ladder an adapter's folder stands on, and why; None without one.
        attacks: what attacks on the test rows' texts changed; empty where none were tried.
        explanations: why some rows of the headline run got their answers; empty where none was asked for.
        machine: where it was measured.
    """

    task: str
    labels: tuple[str, ...]
    language: str
    model: Mapping[str, str]
    options: Mapping[str, str]
    support_fingerprint: str
    test: TestRows
    runs: tuple[Run, ...]
    summaries: tuple[Summary, ...]
    versions: Mapping[str, str]
    target: float = 0.9
    rows: tuple[Row, ...] = field(default=(), repr=False)
    prompt: ShownPrompt | None = None
    doctor: DoctorReport | None = None
    decision: Decision | None = None
    attacks: tuple[AttackFigures, ...] = ()
    explanations: tuple[ExplainedRow, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> Run:
        """The run with the most demonstrations; of several draws the first. What it shows was not chosen by looking."""
        return max(self.runs, key=lambda run: run.shots)

    def without_texts(self) -> Evaluation:
        """The same figures without anybody's words: no texts of rows, prompt, explanations or examples."""
        return replace(
            self,
            rows=tuple(replace(row, text="") for row in self.rows),
            prompt=None,
            explanations=(),
            attacks=tuple(replace(attack, before="", after="") for attack in self.attacks),
        )

    def to_json(self) -> dict[str, Any]:
        """As plain lists, numbers and strings; a figure that does not exist (NaN) is null. See `result_file`."""
        from fewshot_llm.evaluation.result_file import as_document

        return as_document(self)


def summarise(runs: Sequence[Run], level: float = 0.95) -> tuple[Summary, ...]:
    """Means over seeds, for each number of shots in the runs' order."""
    summaries = []
    for shots, group in groupby(runs, key=lambda run: run.shots):
        same = list(group)
        losses = np.stack([row_losses(run.targets, np.exp(run.log_probabilities)) for run in same])
        areas = [run.figures.auc.value for run in same if run.figures.auc is not None]
        seconds = sum(run.predict_seconds for run in same)
        summaries.append(
            Summary(
                shots=shots,
                seeds=tuple(run.seed for run in same),
                accuracy=share_interval(np.stack([run.right for run in same]), level),
                log_loss=mean_interval(
                    losses, reach=loss_reach(same[0].log_probabilities.shape[1]), least=0.0, level=level
                ),
                macro_f1=float(np.mean([run.figures.macro_f1.value for run in same])),
                auc=float(np.mean(areas)) if areas else None,
                rows_per_second=sum(run.figures.n for run in same) / seconds if seconds else 0.0,
            )
        )
    return tuple(summaries)
