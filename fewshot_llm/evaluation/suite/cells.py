"""One cell of a suite: which combination it is, and what came out of it.

Some cells of a suite now, the others later.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from fewshot_llm.errors import DataFileError, TaskError, nearest
from fewshot_llm.evaluation.suite.file import Suite
from fewshot_llm.files import atomic_write_json
from fewshot_llm.stats.metrics import row_losses
from fewshot_llm.types import FloatArray, IntArray

__all__ = ["WITHOUT_MODEL", "Cell", "CellResult", "SuitePart", "cells", "claim_cell", "read_cell", "write_cell"]

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

    >>> Cell(method="lora", model="smollm2-135m", shots=5, seed=2) in Part(methods=["lora", "ladder"], shots=[5])
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
