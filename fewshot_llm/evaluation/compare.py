"""Two results of a suite, or two methods of one, row by row: what differs at the 95 % level, and what is noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot_llm.errors import DataFileError, nearest
from fewshot_llm.evaluation.suite.result import WITHOUT_MODEL, CellResult, Group, SuiteResult, grouped, right
from fewshot_llm.stats.intervals import Interval, difference_interval, mean_interval
from fewshot_llm.stats.metrics import loss_reach
from fewshot_llm.types import Text

__all__ = ["Difference", "compare_methods", "compare_results", "group_name", "regressions"]


WORSE = Text(
    "{what}: accuracy {accuracy:.3f}, the baseline has {baseline:.3f} (difference {difference}).",
    "{what}：准确率 {accuracy:.3f}，基线为 {baseline:.3f}（相差 {difference}）。",
)
NOT_MEASURED = Text("{what}: not measured.", "{what}：未测量。")


@dataclass(frozen=True)
class Difference:
    """Second minus first, on the same test rows, averaged over the seeds that both have.

    Attributes:
        first: what is compared against: method, model, shots.
        second: what is compared.
        seeds: how many seeds both have.
        same_support: whether both learned from the same rows; else the draw is part of the difference.
        first_accuracy: mean accuracy of the first on those seeds.
        second_accuracy: of the second.
        accuracy: the difference, with an interval for new rows; from five seeds on for new draws too (`estimand`).
        log_loss: likewise, nats; below zero is better.
        identical: whether the same answers are right, seed by seed and row by row.
    """

    first: Group
    second: Group
    seeds: int
    same_support: bool
    first_accuracy: float
    second_accuracy: float
    accuracy: Interval
    log_loss: Interval
    identical: bool = False

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `noise` (the interval of accuracy covers zero), or `same` (the same answers are right)."""
        low, high = self.accuracy.low, self.accuracy.high
        if self.identical:
            return "same"
        if low > 0:
            return "better"
        return "worse" if high < 0 else "noise"


def compare_results(first: SuiteResult, second: SuiteResult) -> list[Difference]:
    """Every method that both results have, second minus first.

    Raises:
        DataFileError: they were measured on other test rows, or have nothing in common.
    """
    if (first.test_fingerprint, first.labels) != (second.test_fingerprint, second.labels):
        raise DataFileError(
            f"The results cannot be compared row by row: they were measured on other test rows or labels "
            f"({first.suite['name']}: {first.rows['test']} rows, {len(first.labels)} labels; "
            f"{second.suite['name']}: {second.rows['test']} rows, {len(second.labels)} labels)."
        )
    ours, theirs = grouped(first.cells), grouped(second.cells)
    found = [
        difference
        for group, cells in ours.items()
        if group in theirs and (difference := _difference(first, cells, theirs[group])) is not None
    ]
    if not found:
        raise DataFileError("The results have no method, model, shots and seed in common.")
    return found


def compare_methods(result: SuiteResult, method: str) -> list[Difference]:
    """One method of a result against each other one, that method minus the other; same shots, same seeds.

    Raises:
        DataFileError: the result does not have the method, or nothing to compare it with.
    """
    groups = grouped(result.cells)
    methods = {name for name, _, _ in groups}
    if method not in methods:
        raise DataFileError(f"The result has no method {method!r}. {nearest(method, methods)}")
    found = []
    for own, cells in groups.items():
        if own[0] != method:
            continue
        for other, others in groups.items():
            if _comparable(own, other) and (difference := _difference(result, others, cells)) is not None:
                found.append(difference)
    if not found:
        raise DataFileError(f"The result has nothing to compare {method!r} with.")
    return found


def regressions(baseline: SuiteResult, new: SuiteResult) -> list[Text]:
    """Where a new result misses a baseline by more than the interval of the paired difference, one sentence each.

    Methods that the baseline has and the new result has not are missed too.

    Raises:
        DataFileError: as `compare_results`.
    """
    differences = compare_results(baseline, new)
    found = [
        WORSE.fill(
            what=group_name(d.second), accuracy=d.second_accuracy, baseline=d.first_accuracy, difference=d.accuracy
        )
        for d in differences
        if d.verdict == "worse"
    ]
    measured = {d.first for d in differences}
    return found + [
        NOT_MEASURED.fill(what=group_name(group)) for group in grouped(baseline.cells) if group not in measured
    ]


def _comparable(own: Group, other: Group) -> bool:
    """Other methods with as many shots, of the same model or without any."""
    models = {own[1], other[1]} - {WITHOUT_MODEL}
    return own[0] != other[0] and own[2] == other[2] and len(models) <= 1


def group_name(group: Group) -> str:
    """How people call a group: its method, its model where it has one, its shots."""
    method, model, shots = group
    return " ".join(part for part in (method, model, f"k={shots}") if part)


def _difference(result: SuiteResult, first: Sequence[CellResult], second: Sequence[CellResult]) -> Difference | None:
    """Second minus first on the seeds that both have; None where they have none."""
    by_seed = {cell.cell.seed: cell for cell in second}
    a = [cell for cell in first if cell.cell.seed in by_seed]
    b = [by_seed[cell.cell.seed] for cell in a]
    if not a:
        return None
    targets = result.right_labels
    right_a, right_b = right(a, targets), right(b, targets)
    losses = np.stack([y.losses - x.losses for x, y in zip(a, b, strict=True)])
    return Difference(
        first=_group(a[0]),
        second=_group(b[0]),
        seeds=len(a),
        same_support=all(x.support_fingerprint == y.support_fingerprint for x, y in zip(a, b, strict=True)),
        first_accuracy=float(right_a.mean()),
        second_accuracy=float(right_b.mean()),
        accuracy=difference_interval(right_b - right_a),
        log_loss=mean_interval(losses, reach=loss_reach(len(result.labels))),
        identical=bool((right_a == right_b).all()),
    )


def _group(result: CellResult) -> Group:
    return result.cell.method, result.cell.model, result.cell.shots
