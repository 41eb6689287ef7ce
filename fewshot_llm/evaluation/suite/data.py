"""The rows of a suite: support sets are drawn from one side, the other side is only measured on."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.columns import LABEL, resolve_columns
from fewshot_llm.data.language import normalise_text
from fewshot_llm.data.task import Task
from fewshot_llm.errors import DataFileError, SupportError
from fewshot_llm.evaluation.suite.file import Data, HubRows, ScriptRows, eval_folder
from fewshot_llm.files import read_rows
from fewshot_llm.models.trust import is_elsewhere, open_data_set
from fewshot_llm.types import IntArray

__all__ = ["SuiteData", "data_folder", "read_data"]

SuiteRow = dict[str, Any]


@dataclass(frozen=True)
class SuiteData:
    """Both sides, cleaned.

    Attributes:
        task: with its labels.
        pool: rows that support sets are drawn from.
        test: rows that are measured on; no text and no group of theirs is in `pool`.
    """

    task: Task
    pool: SupportSet
    test: SupportSet

    @cached_property
    def queries(self) -> list[Example]:
        """The test rows without their labels."""
        return [Example(example.fields) for example in self.test]

    @cached_property
    def targets(self) -> IntArray:
        """The test rows' labels as positions, shape [rows]."""
        return np.array([self.task.labels.index(str(example.label)) for example in self.test], dtype=np.int64)

    def draw(self, shots: int, seed: int) -> SupportSet:
        """The support set of one seed: `shots` rows of each class."""
        return self.pool.sample(shots, seed)


def data_folder() -> Path:
    """Where data files are: `FEWSHOT_DATA`, by default `../shared/data`."""
    return Path(os.environ.get("FEWSHOT_DATA", "../shared/data"))


def read_data(data: Data, task: Task, *, allow_download: bool = False) -> SuiteData:
    """Read, filter, clean and split.

    The test rows are drawn before anything else is known of them, with a seed of their own: they are the same for
    every model, method and support set. Where they have a file of their own, those whose text is also in `train` are
    left out first; else they are taken out of `train`, together with everything of their groups.

    Args:
        data: what the suite says.
        task: its fields, and its labels where it has some of its own.
        allow_download: fetch a data set of the hub that the suite names; else it has to be in the cache.

    Raises:
        DataFileError: a file or a data set cannot be read, or would have to be fetched.
        SupportError: columns or labels are missing, or nothing is left on a side.
    """
    train = _table(data.train, task, data, allow_download)
    kept = _kept_labels(train, data)
    if task.labels:
        kept = [label for label in task.labels if label in kept]
    task = task if tuple(kept) == task.labels else task.with_labels(kept)
    pool, groups = _clean(train, task, data.group)
    generator = random.Random(f"test/{data.test_seed}")
    if data.test is None:
        chosen = _draw(range(len(pool)), data.test_rows, generator)
        held = {groups[row] for row in chosen}
        rest = pool.without(row for row in range(len(pool)) if groups[row] in held)
        return _checked(SuiteData(task, rest, pool.subset(chosen)))
    test, test_groups = _clean(_table(data.test, task, data, allow_download), task, data.group)
    seen = {normalise_text(example.text) for example in pool}
    taken = set(groups) if data.group else set()
    apart = [
        row
        for row, example in enumerate(test)
        if normalise_text(example.text) not in seen and test_groups[row] not in taken
    ]
    return _checked(SuiteData(task, pool, test.subset(_draw(apart, data.test_rows, generator))))


@dataclass(frozen=True)
class _Table:
    """Rows with the column of each field; labels are named as in the results."""

    rows: list[SuiteRow]
    columns: Mapping[str, str]

    def label(self, row: SuiteRow) -> str:
        return str(row[self.columns[LABEL]])


def _table(source: str | HubRows | ScriptRows, task: Task, data: Data, allow_download: bool) -> _Table:
    rows = _read(source, allow_download)
    if not rows:
        raise SupportError(f"{source} has no rows. Name a file or a split that has some.")
    columns = resolve_columns(rows[0], task, data.columns).names
    column = columns[LABEL]
    return _Table([{**row, column: data.rename.get(str(row[column]), row[column])} for row in rows], columns)


def _read(source: str | HubRows | ScriptRows, allow_download: bool) -> list[SuiteRow]:
    if isinstance(source, HubRows):
        return _hub_rows(source, allow_download)
    if isinstance(source, ScriptRows):
        return _script_rows(source)
    if is_elsewhere(source):
        raise DataFileError(
            f"The suite names the rows {source!r}, which are elsewhere. Give a file below FEWSHOT_DATA."
        )
    path = Path(source).expanduser()
    path = path if path.is_absolute() else data_folder() / path
    if not path.is_file():
        raise DataFileError(
            f"There is no file {path}. Set FEWSHOT_DATA to the folder that holds {source}; it is "
            f"{os.environ.get('FEWSHOT_DATA', 'not set, so ../shared/data is looked at')}."
        )
    return read_rows(path)


def _script_rows(source: ScriptRows) -> list[SuiteRow]:
    """What the script prints; it runs in the checkout, with the data folder as this process knows it."""
    script, root = (eval_folder() / source.script).resolve(), eval_folder().parent
    if not script.is_relative_to(eval_folder().resolve()) or not script.is_file():
        raise DataFileError(f"The suite names the script {source.script!r}, which is none of eval/. It is not run.")
    environment = {**os.environ, "FEWSHOT_DATA": str(data_folder().absolute()), "PYTHONPATH": str(root)}
    command = [sys.executable, str(script), source.part]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, cwd=root, check=False)
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise DataFileError(f"{source.script} made no rows (exit code {done.returncode}): {last}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _hub_rows(source: HubRows, allow_download: bool) -> list[SuiteRow]:
    try:
        dataset = open_data_set(source.hub, source.config, source.split, source.revision, fetch=allow_download)
    except (OSError, ValueError) as error:
        raise DataFileError(
            f"The data set {source.hub} ({source.split}) cannot be read from the hub: {error}. Check its name and the "
            "network, or give a file below FEWSHOT_DATA."
        ) from error
    names = {column: feature.names for column, feature in dataset.features.items() if hasattr(feature, "names")}
    return [
        {column: _class_name(value, names.get(column)) for column, value in row.items()} for row in map(dict, dataset)
    ]


def _class_name(value: Any, names: Sequence[str] | None) -> Any:
    return names[value] if names is not None and isinstance(value, int) and value >= 0 else value


def _kept_labels(table: _Table, data: Data) -> list[str]:
    counts = Counter(map(table.label, table.rows))
    missing = [label for label in data.labels or () if label not in counts]
    if missing:
        raise SupportError(f"No row has the label {missing[0]!r}; the labels found are {', '.join(sorted(counts))}.")
    kept = [label for label in data.labels or sorted(counts) if counts[label] >= data.min_rows_per_class]
    if len(kept) < 2:
        raise SupportError(f"Of {len(counts)} classes {len(kept)} have {data.min_rows_per_class} rows; two are needed.")
    return kept


def _clean(table: _Table, task: Task, group: str | None) -> tuple[SupportSet, tuple[Any, ...]]:
    """The rows of the task's labels, cleaned, and the group of each that is left (its position without groups)."""
    if group is not None and group not in table.rows[0]:
        raise SupportError(f"There is no column {group!r} to group by; the columns are {', '.join(table.rows[0])}.")
    rows = [row for row in table.rows if table.label(row) in task.labels]
    if not rows:
        raise SupportError(f"No row has one of the labels {', '.join(task.labels)}.")
    support = SupportSet.from_rows(rows, task, table.columns)
    kept = support.report.kept
    return support, tuple(kept if group is None else (rows[row][group] for row in kept))


def _draw(rows: Sequence[int], count: int, generator: random.Random) -> list[int]:
    """So many of the rows, in their own order."""
    return sorted(generator.sample(list(rows), min(count, len(rows))))


def _checked(found: SuiteData) -> SuiteData:
    for name, side in (("support", found.pool), ("test", found.test)):
        if not len(side):
            raise SupportError(f"No {name} row is left. Lower test_rows, or give a test file with other texts.")
    absent = [label for label, rows in found.pool.by_label().items() if not rows]
    if absent:
        raise SupportError(f"No support row is left of {', '.join(absent)}. Lower test_rows.")
    return found
