"""What `evaluate` found: runs, their means over seeds, and everything needed to tell two results apart.

Beside its figures a result tells of the rows, a prompt, and what attacks changed. It is written as JSON, and read back.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from fewshot_llm.data.diagnosis import DoctorReport
from fewshot_llm.errors import DataFileError
from fewshot_llm.explaining import Explanation
from fewshot_llm.ladder.decision import Decision
from fewshot_llm.models.device import processor_field
from fewshot_llm.stats.calibration import Calibration
from fewshot_llm.stats.intervals import Interval, mean_interval, share_interval
from fewshot_llm.stats.metrics import (
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
from fewshot_llm.types import FloatArray, IntArray

__all__ = [
    "AttackFigures",
    "Evaluation",
    "ExplainedRow",
    "Figures",
    "Row",
    "Run",
    "ShownPrompt",
    "Summary",
    "TestRows",
    "as_document",
    "from_document",
    "git_commit",
    "machine",
    "read_evaluation",
    "summarise",
]


@dataclass(frozen=True)
class Row:
    """A test row.

    Attributes:
        text: its fields, a line each; empty where texts are kept out of the result.
        label: the right label.
    """

    text: str
    label: str


@dataclass(frozen=True)
class ShownPrompt:
    """A prompt as the model reads it.

    Attributes:
        text: everything up to the answer.
        answers: the label words that are scored after it, in the labels' order.
        template: name and version of the template.
        demonstrations: how many labelled rows it shows.
    """

    text: str
    answers: tuple[str, ...]
    template: str
    demonstrations: int


@dataclass(frozen=True)
class ExplainedRow:
    """Why a row got its answer.

    Attributes:
        number: the row's place among the measured rows, from 1.
        explanation: which words and demonstrations moved the decision.
    """

    number: int
    explanation: Explanation


@dataclass(frozen=True)
class AttackFigures:
    """What one way of changing texts did to the answers.

    Attributes:
        name: which way.
        rows: texts that were changed.
        flipped: rows whose answer changed.
        accuracy_before: on the texts as they were.
        accuracy_after: on the changed texts.
        before: one text whose answer changed, as it was; empty where none is kept.
        after: the same text, changed.
    """

    name: str
    rows: int
    flipped: int
    accuracy_before: float
    accuracy_after: float
    before: str = ""
    after: str = ""


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
        shots: demonstrations per class; where a ladder chose what answers, those that its prompts may show.
        seed: drew the support set and the demonstrations.
        support_rows: labelled rows that demonstrations and calibration could use.
        support_fingerprint: SHA-256 of those rows.
        prompt_fingerprint: SHA-256 of everything that may change a prompt but query and support set; of what answers
            where that is no prompt.
        calibrations: one per permutation of a prompt; else that of the head that answers, or one that changes nothing.
        figures: what the answers are worth.
        fit_seconds: calibration included.
        predict_seconds: for all test rows.
        rows_per_second: test rows per second of prediction.
        tokens_asked: what one full pass per prompt and label would have run, for prediction; 0 where not known.
        tokens_computed: what was run.
        targets: the right labels' positions, shape [rows].
        log_probabilities: calibrated log P(label | text), nats, shape [rows, labels].
        demonstrations: in a prompt; fewer than asked for where there are not so many rows. None in older results, and
            where no prompt is asked.
        rung: what the ladder kept; None where none was climbed.
        words: what word counts alone, fitted on the same rows, say of each test row: the label's position, separated by
            spaces. None in older results, and where there were too few rows for it.
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
    rung: str | None = None
    words: str | None = None

    @property
    def right(self) -> FloatArray:
        """1.0 for each test row that is right, shape [rows]."""
        right: FloatArray = (self.log_probabilities.argmax(axis=1) == self.targets).astype(np.float64)
        return right

    @property
    def words_right(self) -> FloatArray | None:
        """The same of word counts alone; None where they were not measured."""
        if self.words is None:
            return None
        right: FloatArray = (np.array(self.words.split(), dtype=np.int64) == self.targets).astype(np.float64)
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
        words: mean accuracy of word counts alone, fitted on the same rows; None where not all draws have it.
    """

    shots: int
    seeds: tuple[int, ...]
    accuracy: Interval
    log_loss: Interval
    macro_f1: float
    auc: float | None
    rows_per_second: float
    words: Interval | None = None


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
        decision: which rung of the ladder the headline run, or an adapter's folder, stands on, and why; None without
            one.
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
        return as_document(self)


def summarise(runs: Sequence[Run], level: float = 0.95) -> tuple[Summary, ...]:
    """Means over seeds, for each number of shots in the runs' order."""
    summaries = []
    for shots, group in groupby(runs, key=lambda run: run.shots):
        same = list(group)
        losses = np.stack([row_losses(run.targets, np.exp(run.log_probabilities)) for run in same])
        areas = [run.figures.auc.value for run in same if run.figures.auc is not None]
        seconds = sum(run.predict_seconds for run in same)
        words = [run.words_right for run in same]
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
                words=_words_interval([found for found in words if found is not None], len(same), level),
            )
        )
    return tuple(summaries)


def _words_interval(right: Sequence[FloatArray], draws: int, level: float) -> Interval | None:
    return share_interval(np.stack(right), level) if len(right) == draws else None


T = TypeVar("T")

INTERVAL = {"value", "low", "high"}


def as_document(result: Evaluation) -> dict[str, Any]:
    """Plain lists, numbers and strings.

    A figure that does not exist (NaN) is null. A row's log-probabilities are one string, separated by spaces: compact,
    and a line in a diff. The right labels are those of `rows`.
    """
    document: dict[str, Any] = _plain(result)
    return document


def from_document(document: Mapping[str, Any]) -> Evaluation:
    """The result that `as_document` wrote.

    Intervals of earlier versions, which had no width where all answers agreed, are made anew from the answers.

    Raises:
        DataFileError: it is something else, or was written before results held their rows.
    """
    if not {"runs", "summaries", "labels"} <= set(document):
        raise DataFileError("This is no result of `fewshot-llm evaluate`: it has no runs, summaries and labels.")
    if not document.get("rows"):
        raise DataFileError(
            "This result was written by an older version, without its rows. Measure again: fewshot-llm evaluate … "
            "--output FILE"
        )
    try:
        values = {name: _with_nan(value) for name, value in document.items()}
        rows = _typed(tuple[Row, ...], values["rows"])
        labels = _typed(tuple[str, ...], values["labels"])
        targets = np.array([labels.index(row.label) for row in rows], dtype=np.int64)
        decision = values.get("decision")
        dated = all("estimand" in summary["accuracy"] for summary in values["summaries"])
        runs = tuple(_run(run, targets, anew=not dated) for run in values["runs"])
        level = float(values["summaries"][0]["accuracy"]["level"]) if values["summaries"] else 0.95
        summaries = _typed(tuple[Summary, ...], values["summaries"]) if dated else summarise(runs, level)
        return Evaluation(
            **{
                **values,
                "labels": labels,
                "rows": rows,
                "test": _typed(TestRows, values["test"]),
                "summaries": summaries,
                "runs": runs,
                "prompt": _typed(ShownPrompt | None, values.get("prompt")),
                "doctor": _typed(DoctorReport | None, values.get("doctor")),
                "decision": None if decision is None else Decision.model_validate(decision),
                "attacks": _typed(tuple[AttackFigures, ...], values.get("attacks", ())),
                "explanations": _typed(tuple[ExplainedRow, ...], values.get("explanations", ())),
            }
        )
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise DataFileError(f"This result of `fewshot-llm evaluate` is damaged: {str(error)[:300]}") from error


def read_evaluation(path: Path) -> Evaluation:
    """Read what `fewshot-llm evaluate --output FILE` wrote.

    Raises:
        DataFileError: there is no such file, or it is something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataFileError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise DataFileError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise DataFileError(f"{path} is no result: it holds no JSON object.")
    return from_document(document)


def _run(values: Mapping[str, Any], targets: np.ndarray[Any, Any], anew: bool) -> Run:
    parts = dict(values)
    answers = np.array([row.split() for row in parts.pop("log_probabilities")], dtype=np.float64)
    if len(answers) != len(targets):
        raise ValueError(f"a run has {len(answers)} answers to {len(targets)} rows")
    stored = _typed(Figures, parts["figures"])
    return Run(
        **{
            **parts,
            "calibrations": _typed(tuple[Calibration, ...], parts["calibrations"]),
            "figures": Figures.of(targets, answers, stored.accuracy.level) if anew else stored,
            "targets": targets,
            "log_probabilities": answers,
        }
    )


def _typed(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_python(value)


def _with_nan(value: Any) -> Any:
    """Intervals whose bounds are null get them back as NaN."""
    if isinstance(value, Mapping):
        missing = set(value) >= INTERVAL
        return {key: math.nan if missing and part is None else _with_nan(part) for key, part in value.items()}
    return [_with_nan(part) for part in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    match value:
        case Run():
            parts = {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name not in _ANSWERS}
            return parts | {"log_probabilities": _lines(value.log_probabilities)}
        case BaseModel():
            return _plain(value.model_dump(mode="json"))
        case Mapping():
            return {key: _plain(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_plain(entry) for entry in value]
        case float() if not math.isfinite(value):
            return None
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


_ANSWERS = ("targets", "log_probabilities")


def _lines(table: FloatArray) -> list[str]:
    return [" ".join(f"{value:.7g}" for value in row) for row in table]


def git_commit() -> str:
    """The checkout's commit, with `+changes` where files differ from it; empty outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    commit, changes = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+changes" if commit and changes else commit


def machine() -> dict[str, Any]:
    """Processor, its vector instructions, cores, threads and system; nothing that names the machine or its owner."""
    import torch

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor_field("model name"),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
