"""What a suite found: its cells, their means over seeds, and everything needed to tell two results apart.

A cell is one combination of a suite, in a file of its own; some of them may be measured now, the others later.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Self

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from fewshot_llm.errors import DataFileError, TaskError, nearest
from fewshot_llm.evaluation.result import machine
from fewshot_llm.evaluation.suite.file import Suite, SuiteData
from fewshot_llm.files import atomic_write_json
from fewshot_llm.ladder.evidence import Figure
from fewshot_llm.stats.intervals import Estimand, balanced_share_interval, estimand, mean_interval, share_interval
from fewshot_llm.stats.metrics import loss_reach, row_losses
from fewshot_llm.types import FloatArray, IntArray

__all__ = [
    "WITHOUT_MODEL",
    "Cell",
    "CellResult",
    "Group",
    "GroupSummary",
    "SuitePart",
    "SuiteResult",
    "cells",
    "claim_cell",
    "grouped",
    "read_cell",
    "read_result",
    "write_cell",
    "write_result",
]


WITHOUT_MODEL = ""
"""The model of a cell whose method has none."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cell(_Frozen):
    """What is measured.

    Attributes:
        method: a rung, `ladder`, or a peer.
        model: the language model; empty for a peer that has none.
        shots: labelled rows per class.
        seed: drew them.
    """

    method: str
    model: str
    shots: int
    seed: int

    def __str__(self) -> str:
        return " ".join(part for part in (self.method, self.model, f"k={self.shots}", f"seed={self.seed}") if part)

    @property
    def file_name(self) -> str:
        """A name for its file; a model may be a path."""
        return re.sub(r"[^\w=.-]+", "_", str(self)) + ".json"


class CellResult(_Frozen):
    """What came out.

    Attributes:
        cell: which cell.
        suite: fingerprint of the suite's settings.
        support_fingerprint: SHA-256 of the rows that were learned from.
        test_fingerprint: SHA-256 of the rows that were measured on.
        predicted: the label's position for each test row, separated by spaces: compact, and a line in a diff.
        log_likelihood: log P(right label) for each test row, nats, likewise.
        fit_seconds: to learn.
        predict_seconds: for all test rows.
        tokens_asked: what one full pass per prompt and label would have run for prediction; 0 where not known.
        tokens_computed: what was run.
        facts: what the method says of itself, for instance the ladder's decision.
        versions: of everything that may change a figure.
        git_commit: of the code that ran.
    """

    cell: Cell
    suite: str
    support_fingerprint: str
    test_fingerprint: str
    predicted: str
    log_likelihood: str
    fit_seconds: float
    predict_seconds: float
    tokens_asked: int = 0
    tokens_computed: int = 0
    facts: dict[str, Any] = {}
    versions: dict[str, str] = {}
    git_commit: str = ""

    @classmethod
    def of(cls, targets: IntArray, log_probabilities: FloatArray, **rest: Any) -> Self:
        """From answers.

        Args:
            targets: the right labels' positions, shape [rows].
            log_probabilities: nats, shape [rows, labels].
            **rest: the other attributes.
        """
        likelihood = -row_losses(targets, np.exp(log_probabilities))
        return cls(
            predicted=" ".join(map(str, log_probabilities.argmax(axis=1))),
            log_likelihood=" ".join(f"{value:.5g}" for value in likelihood),
            **rest,
        )

    @property
    def predictions(self) -> IntArray:
        """The label's position for each test row, shape [rows]."""
        return np.array(self.predicted.split(), dtype=np.int64)

    @property
    def losses(self) -> FloatArray:
        """−log P(right label) of each test row, nats, shape [rows]."""
        losses: FloatArray = -np.array(self.log_likelihood.split(), dtype=np.float64)
        return losses


def cells(suite: Suite, peers_with_model: Mapping[str, bool]) -> tuple[Cell, ...]:
    """Every cell of a suite; those of one model stand together, so that it is loaded once.

    Args:
        suite: says which.
        peers_with_model: for each of its peers, whether it runs once per language model.
    """
    alone = [name for name in suite.peers if not peers_with_model[name]]
    found = [
        Cell(method=name, model=WITHOUT_MODEL, shots=k, seed=seed)
        for name in alone
        for k in suite.shots
        for seed in suite.seeds
    ]
    methods: Sequence[str] = (*suite.rungs, *(name for name in suite.peers if peers_with_model[name]))
    found += [
        Cell(method=method, model=model, shots=k, seed=seed)
        for model in suite.models
        for k in suite.shots
        for method in methods
        for seed in suite.seeds
    ]
    return tuple(found)


@contextmanager
def claim_cell(folder: Path, cell: Cell) -> Iterator[bool]:
    """Whether a cell is this process's to measure; False while another process is at it.

    The claim ends with the process that holds it, however it ends.

    Args:
        folder: where claims are kept; the same for all processes that share the work.
        cell: which cell.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{cell.file_name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def write_cell(folder: Path, result: CellResult) -> None:
    """Write a finished cell, all of it or nothing."""
    atomic_write_json(folder / result.cell.file_name, result.model_dump(mode="json"))


def read_cell(folder: Path, cell: Cell, suite: str, test_fingerprint: str) -> CellResult | None:
    """A cell that was finished before; None where it was not.

    Raises:
        DataFileError: the file is damaged, or was measured under other settings or on other rows.
    """
    path = folder / cell.file_name
    if not path.is_file():
        return None
    try:
        found = CellResult.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataFileError(f"{path} is no finished cell. Remove it, or measure again with --overwrite.") from error
    if (found.cell, found.suite, found.test_fingerprint) != (cell, suite, test_fingerprint):
        raise DataFileError(
            f"{path} was measured under other settings of the suite or on other rows. Give another folder, or measure "
            "everything again with --overwrite."
        )
    return found


@dataclass(frozen=True)
class SuitePart:
    """Cells that agree with every attribute; None agrees with all.

    Attributes:
        methods: rungs, `ladder`, peers.
        models: language models; a peer that has none is not among their cells.
        shots: labelled rows per class.
        seeds: of the support sets.

    >>> Cell(method="lora", model="smollm2-135m", shots=5, seed=2) in SuitePart(methods=["lora", "ladder"], shots=[5])
    True
    """

    methods: Collection[str] | None = None
    models: Collection[str] | None = None
    shots: Collection[int] | None = None
    seeds: Collection[int] | None = None

    def __contains__(self, cell: Cell) -> bool:
        asked = (
            (self.methods, cell.method),
            (self.models, cell.model),
            (self.shots, cell.shots),
            (self.seeds, cell.seed),
        )
        return all(allowed is None or own in allowed for allowed, own in asked)

    def check(self, suite: Suite) -> None:
        """Refuse what the suite does not have: nothing would be measured, and nobody would know why.

        Raises:
            TaskError: it has no such method, model, number of shots or seed.
        """
        sides = {
            "method": (self.methods, (*suite.rungs, *suite.peers)),
            "model": (self.models, suite.models),
            "number of shots": (self.shots, suite.shots),
            "seed": (self.seeds, suite.seeds),
        }
        for what, (asked, there) in sides.items():
            for value in asked or ():
                if value not in there:
                    raise TaskError(
                        f"The suite {suite.name} has no {what} {value!r}. {nearest(str(value), map(str, there))}"
                    )


Group = tuple[str, str, int]
"""(method, model, shots): cells that differ by their seed alone."""


class GroupSummary(_Frozen):
    """Means over the seeds of one method, with intervals (`share_interval`, `mean_interval`).

    Attributes:
        method: a rung, `ladder`, or a peer.
        model: the language model; empty without one.
        shots: labelled rows per class.
        seeds: the draws.
        accuracy: share of the test rows that are right.
        by_seed: the same for each seed.
        balanced_accuracy: mean over classes of the share that is right.
        log_loss: mean −log P(right label), nats.
        fit_seconds: mean over seeds.
        predict_seconds: mean over seeds, for all test rows.
        rungs: which rung each seed's ladder kept.
        estimand: what the intervals are for: these draws on new rows, or new draws too. None in files of earlier
            versions; `read_result` makes their intervals anew.
    """

    method: str
    model: str
    shots: int
    seeds: tuple[int, ...]
    accuracy: Figure
    by_seed: tuple[float, ...]
    balanced_accuracy: Figure
    log_loss: Figure
    fit_seconds: float
    predict_seconds: float
    rungs: tuple[str, ...] = ()
    estimand: Estimand | None = None


class SuiteResult(_Frozen):
    """The whole result.

    Attributes:
        suite: the suite as it was read.
        labels: in the order of all positions.
        targets: the right label's position for each test row, separated by spaces.
        rows: rows of the pool and of the test set.
        test_fingerprint: SHA-256 of the test rows.
        summaries: one per method, model and shots.
        cells: in the suite's order.
        failures: cells that could not be measured, and why.
        machine: where the result was put together.
    """

    format: int = 1
    suite: dict[str, Any]
    labels: tuple[str, ...]
    targets: str
    rows: dict[str, int]
    test_fingerprint: str
    summaries: tuple[GroupSummary, ...]
    cells: tuple[CellResult, ...]
    failures: dict[str, str] = {}
    machine: dict[str, Any]

    @classmethod
    def of(
        cls, suite: Suite, data: SuiteData, found: Sequence[CellResult], failures: Mapping[str, str] | None = None
    ) -> Self:
        """Sum up finished cells.

        Args:
            suite: what was measured.
            data: on which rows.
            found: the finished cells.
            failures: the others, and why.
        """
        return cls(
            suite=suite.model_dump(mode="json"),
            labels=data.task.labels,
            targets=" ".join(map(str, data.targets)),
            rows={"pool": len(data.pool), "test": len(data.test)},
            test_fingerprint=data.test.fingerprint,
            summaries=_summaries(found, data.targets, len(data.task.labels)),
            cells=tuple(found),
            failures=dict(failures or {}),
            machine=machine(),
        )

    @property
    def right_labels(self) -> IntArray:
        """The right label's position for each test row, shape [rows]."""
        return np.array(self.targets.split(), dtype=np.int64)


def grouped(found: Iterable[CellResult]) -> dict[Group, list[CellResult]]:
    """Cells by method, model and shots, in order of first appearance."""
    groups: dict[Group, list[CellResult]] = {}
    for result in found:
        cell = result.cell
        groups.setdefault((cell.method, cell.model, cell.shots), []).append(result)
    return groups


def right(results: Sequence[CellResult], targets: IntArray) -> FloatArray:
    """1.0 where an answer is right, shape [seeds, rows]."""
    return np.stack([result.predictions == targets for result in results]).astype(np.float64)


def _summaries(found: Sequence[CellResult], targets: IntArray, labels: int) -> tuple[GroupSummary, ...]:
    return tuple(_summary(group, same, targets, labels) for group, same in grouped(found).items())


def _summary(group: Group, same: Sequence[CellResult], targets: IntArray, labels: int) -> GroupSummary:
    method, model, shots = group
    answers, losses = right(same, targets), np.stack([result.losses for result in same])
    return GroupSummary(
        method=method,
        model=model,
        shots=shots,
        seeds=tuple(result.cell.seed for result in same),
        accuracy=Figure.of(share_interval(answers)),
        by_seed=tuple(round(float(value), 6) for value in answers.mean(axis=1)),
        balanced_accuracy=Figure.of(balanced_share_interval(answers, targets)),
        log_loss=Figure.of(mean_interval(losses, reach=loss_reach(labels), least=0.0)),
        fit_seconds=round(fmean(result.fit_seconds for result in same), 2),
        predict_seconds=round(fmean(result.predict_seconds for result in same), 2),
        rungs=tuple(result.facts["rung"] for result in same if "rung" in result.facts),
        estimand=estimand(len(same)),
    )


def write_result(result: SuiteResult, path: Path) -> None:
    """Write a result as JSON, all of it or nothing."""
    atomic_write_json(path, result.model_dump(mode="json"))


def read_result(path: Path) -> SuiteResult:
    """Read a result that `fewshot-llm suite` wrote.

    Intervals of earlier versions, which had no width where all answers agreed, are made anew from the answers.

    Raises:
        DataFileError: there is no such file, or it is something else.
    """
    try:
        found = SuiteResult.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataFileError(f"There is no file {path}. Give the result.json that `fewshot-llm suite` wrote.") from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise DataFileError(f"{path} is not a suite's result: {str(error)[:300]}") from error
    if all(summary.estimand for summary in found.summaries):
        return found
    return found.model_copy(update={"summaries": _summaries(found.cells, found.right_labels, len(found.labels))})
