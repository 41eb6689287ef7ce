"""From option values to the library's objects: the one place where the command line's names become parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fewshot_llm.support import SupportSet
    from fewshot_llm.task import Task

__all__ = ["column_names", "read_support"]


def column_names(task: Task, text_column: str | None, label_column: str | None = None) -> dict[str, str]:
    """Field → column, as the user told it; `--text-column` is the task's main text, its last field."""
    told = {task.fields[-1]: text_column, "label": label_column}
    return {field: column for field, column in told.items() if column is not None}


def read_support(task: str, path: Path, text_column: str | None, label_column: str | None) -> tuple[Task, SupportSet]:
    """The task and its labelled rows; the labels come from the rows where the task has none of its own."""
    from fewshot_llm.support import SupportSet
    from fewshot_llm.task import load_task

    described = load_task(task)
    support = SupportSet.from_file(path, described, column_names(described, text_column, label_column))
    return support.complete(described), support
