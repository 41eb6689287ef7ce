"""`Suite`: what is measured, read from `eval/suites/*.toml` and checked before anything is computed; and its rows.

Support sets are drawn from one side of the rows, the other side is only measured on.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.columns import LABEL, resolve_columns
from fewshot_llm.data.language import normalise_text
from fewshot_llm.data.task import Task, load_task
from fewshot_llm.errors import DataFileError, SupportError, TaskError, nearest
from fewshot_llm.files import read_rows
from fewshot_llm.models.trust import ModelName, RecordedModel, is_elsewhere, open_data_set
from fewshot_llm.types import IntArray

__all__ = [
    "Data",
    "HubRows",
    "Method",
    "ScriptRows",
    "Suite",
    "SuiteData",
    "data_folder",
    "eval_folder",
    "list_suites",
    "load_suite",
    "read_data",
]


Method: TypeAlias = Literal[
    "words",
    "encoder",
    "encoder-large",
    "zero-shot",
    "in-context",
    "calibrated",
    "hidden-head",
    "lora",
    "quick",
    "ladder",
]
"""A rung that is taken whatever it is worth, what the quick ladder chooses, or what the whole ladder does."""

Count: TypeAlias = Annotated[int, Field(ge=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HubRows(_Frozen):
    """Rows of a data set on the hub.

    Attributes:
        hub: its id, `owner/name`.
        split: which of its splits.
        config: which of its configurations, where it has several.
        revision: branch, tag or commit; pin a commit where the figures are to be repeated.
    """

    hub: str
    split: str = "train"
    config: str | None = None
    revision: str | None = None


class ScriptRows(_Frozen):
    """Rows that a script of `eval/` makes from data files: it is called as `python SCRIPT PART` and prints JSONL.

    Attributes:
        script: its path below `eval/`.
        part: which rows it is asked for.
    """

    script: str
    part: str


class Data(_Frozen):
    """Where labelled rows come from, and which of them are measured on.

    Attributes:
        train: rows that support sets are drawn from: a file below the data folder, a data set on the hub, or what a
            script makes.
        test: rows that are measured on; without it they are set aside from `train`.
        columns: field → column, where columns are not named as the task's fields.
        rename: label in the rows → label in the results.
        labels: the labels to keep; by default all.
        min_rows_per_class: leave out classes that have fewer rows in `train`.
        group: a column whose equal values never stand on both sides, for instance a product.
        test_rows: measure on so many rows, drawn at random once for all seeds.
        test_seed: draws them.
    """

    train: str | HubRows | ScriptRows
    test: str | HubRows | ScriptRows | None = None
    columns: dict[str, str] = {}
    rename: dict[str, str] = {}
    labels: tuple[str, ...] | None = None
    min_rows_per_class: Count = 1
    group: str | None = None
    test_rows: Count = 250
    test_seed: int = 0


class Suite(_Frozen):
    """Data × models × shots × seeds × methods: every combination is a cell.

    Attributes:
        name: the file's name without its ending.
        about: what is measured, in one line.
        task: a built-in task's name, or a folder relative to the suite's file.
        language: of the prompt; `auto` looks at the texts.
        models: as `FewShotClassifier` takes them; the peer `peft` trains the same ones.
        shots: labelled rows per class; nothing else is learned from.
        demonstrations: rows per class shown in the prompt by `in-context` and `calibrated`; all of them by default.
        seeds: each draws another support set.
        rungs: which steps of the ladder to measure; `ladder` is what it chooses itself, `quick` what it chooses without
            training.
        peers: other people's ways of doing the same, as `eval/peers/peers.toml` lists them.
        target: the accuracy that the ladder aims at.
        recipe: LoRA settings for `lora` and `ladder`; by default chosen by the numbers of labels and rows.
        budget_minutes: of each `ladder` cell; no limit by default, for a limit makes figures depend on the machine.
        data: the rows.
        folder: where the suite's file is.
    """

    name: str
    about: str = ""
    task: str
    language: str = "auto"
    models: tuple[str, ...] = ()
    shots: Annotated[tuple[Count, ...], Field(min_length=1)]
    demonstrations: Count | None = None
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2)
    rungs: tuple[Method, ...] = ()
    peers: tuple[str, ...] = ()
    target: Annotated[float, Field(gt=0, le=1)] = 0.9
    recipe: str | None = None
    budget_minutes: Annotated[float, Field(gt=0)] | None = None
    data: Data
    folder: Annotated[Path, Field(exclude=True)] = Path()

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if not self.rungs and not self.peers:
            raise ValueError("neither rungs nor peers are given, so there is nothing to measure")
        if self.rungs and not self.models:
            raise ValueError("rungs are given, but no models")
        for name in ("models", "shots", "seeds", "rungs", "peers"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} lists something twice: {list(values)}")
        alike = sorted(set(self.peers) & set(get_args(Method)))
        if alike:
            raise ValueError(f"the peer {alike[0]!r} is called like a rung; give it another name in peers.toml")
        return self

    def described_task(self) -> Task:
        """The task, its labels still to come from the rows where it has none of its own.

        Raises:
            TaskError: there is no such task.
        """
        folder = self.folder / self.task
        return load_task(folder if (folder / "task.toml").is_file() else self.task)

    @property
    def ours(self) -> bool:
        """Whether it is one of the project's own, whose peers, scripts and models are known."""
        try:
            return self.folder.resolve() == (eval_folder() / "suites").resolve()
        except TaskError:
            return False

    def reference(self, model: str, *, allow_download: bool = False) -> ModelName:
        """One of its models: a name that a file records, where the suite is a stranger's.

        Raises:
            ModelError: the suite names a server's address.
        """
        return model if self.ours else RecordedModel(model, f"The suite {self.name}", allow_download)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what every cell depends on; which cells there are is not part of it."""
        lists = {"name", "about", "models", "shots", "seeds", "rungs", "peers"}
        return hashlib.sha256(self.model_dump_json(exclude=lists).encode()).hexdigest()


def eval_folder() -> Path:
    """`eval/` of the checkout, where the shipped suites and peers are; they are no part of an installed package.

    Raises:
        TaskError: this is not a checkout.
    """
    root = Path(__file__).resolve().parents[3]
    if (root / "eval" / "suites").is_dir() and (root / "pyproject.toml").is_file():
        return root / "eval"
    raise TaskError("The shipped suites are only in a checkout of the project. Give the path of a suite's .toml file.")


def list_suites() -> list[str]:
    """Names of the shipped suites."""
    return sorted(path.stem for path in (eval_folder() / "suites").glob("*.toml"))


def load_suite(name_or_path: str | Path) -> Suite:
    """Read a shipped suite by name, or any TOML file by path.

    Raises:
        TaskError: no such suite, TOML that cannot be read, an unknown key or a value out of range.
    """
    text = str(name_or_path)
    named = re.search(r"[/\\]|\.toml$", text) is None
    path = eval_folder() / "suites" / f"{text}.toml" if named else Path(text)
    if not path.is_file():
        known = nearest(text, list_suites()) if named else f"The working folder is {Path.cwd()}."
        raise TaskError(f"There is no suite {text!r}. {known}")
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TaskError(f"The suite {path} is not readable TOML: {error}.") from None
    try:
        return Suite(**{"name": path.stem, **values, "folder": path.absolute().parent})
    except ValidationError as error:
        raise TaskError(f"The suite {path} has {_problems(error)}") from None


def _problems(error: ValidationError) -> str:
    found = []
    for problem in error.errors():
        where = [str(part) for part in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            known = Data.model_fields if where[0] == "data" else Suite.model_fields
            found.append(f"an unknown key {'.'.join(where)!r} ({nearest(where[-1], known)})")
        elif where:
            found.append(f"{'.'.join(where)} = {problem['input']!r}: {problem['msg']}")
        else:
            found.append(problem["msg"].removeprefix("Value error, "))
    return "; ".join(dict.fromkeys(found)) + "."


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
