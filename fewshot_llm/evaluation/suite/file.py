"""`Suite`: what is measured, read from `eval/suites/*.toml` and checked before anything is computed."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fewshot_llm.data.task import Task, load_task
from fewshot_llm.errors import TaskError, nearest
from fewshot_llm.models.trust import ModelName, RecordedModel

__all__ = ["Data", "HubRows", "Method", "ScriptRows", "Suite", "eval_folder", "list_suites", "load_suite"]

Method: TypeAlias = Literal["zero-shot", "in-context", "calibrated", "lora", "ladder"]
"""A rung that is taken whatever it is worth, or the one that the ladder chooses itself."""

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
        rungs: which steps of the ladder to measure; `ladder` is the step that it chooses itself.
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
