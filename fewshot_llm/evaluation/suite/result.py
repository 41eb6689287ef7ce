"""What a suite found: its cells, their means over seeds, and everything needed to tell two results apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from fewshot_llm.errors import DataFileError
from fewshot_llm.evaluation.provenance import machine
from fewshot_llm.evaluation.suite.cells import CellResult
from fewshot_llm.evaluation.suite.data import SuiteData
from fewshot_llm.evaluation.suite.file import Suite
from fewshot_llm.files import atomic_write_json
from fewshot_llm.ladder.evidence import Figure
from fewshot_llm.stats.intervals import Estimand, balanced_share_interval, estimand, mean_interval, share_interval
from fewshot_llm.stats.metrics import loss_reach
from fewshot_llm.types import FloatArray, IntArray

__all__ = ["Group", "GroupSummary", "SuiteResult", "grouped", "read_result", "write_result"]

Group = tuple[str, str, int]
"""(method, model, shots): cells that differ by their seed alone."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)


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
