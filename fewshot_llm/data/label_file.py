"""A file of labels, in place of a task's own: their words, and what they mean. With it no labelled row is needed."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fewshot_llm.data.task import Task, misfit, read_task_file
from fewshot_llm.errors import TaskError, nearest

__all__ = ["with_label_file"]

KEYS = ("labels", "label_words", "label_descriptions")


def with_label_file(task: Task, path: str | os.PathLike[str]) -> Task:
    """The task with the labels of a TOML file.

    `labels` is a list, or a table of label = "what it means". `[label_words]` and `[label_descriptions]` are as in a
    `task.toml`, for each language; without a language they hold for all. Without `labels` the task keeps its own.

    Args:
        task: asks for labels; those that it has are replaced, and words and descriptions of the same label are kept
            where the file gives none.
        path: the file.

    Raises:
        TaskError: the file is missing or malformed, or its labels are unusable; the message says where.
    """
    file = Path(path).expanduser()
    try:
        table = tomllib.loads(read_task_file(file.resolve()))
    except OSError as error:
        raise TaskError(f"The file of labels {file} cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TaskError(
            f'{file} is not valid TOML in UTF-8: {error}. A file of labels has a line labels = ["…", "…"].'
        ) from None
    for key in table:
        if key not in KEYS:
            raise TaskError(f"{file} has an unknown key {key!r}. {nearest(key, KEYS)} Known: {', '.join(KEYS)}.")
    labels, meant = _labels(file, table.get("labels"), task)
    words = _spoken(file, "label_words", table, task)
    texts = _spoken(file, "label_descriptions", table, task)
    try:
        chosen = task.with_labels(labels)
        changes = {
            "label_words": {spoken: chosen.label_words[spoken] | words[spoken] for spoken in task.languages},
            "label_descriptions": {
                spoken: chosen.label_descriptions[spoken] | meant | texts[spoken] for spoken in task.languages
            },
        }
        return Task(**(chosen.model_dump() | changes))
    except ValidationError as error:
        raise misfit(file, error) from None
    except TaskError as error:
        raise TaskError(f"{file}: {error}") from None


def _labels(file: Path, given: Any, task: Task) -> tuple[tuple[str, ...], dict[str, str]]:
    """The labels, and what the same table says of their meaning."""
    if given is None and task.labels:
        return task.labels, {}
    named = list(given) if isinstance(given, list | dict) else []
    texts = list(given.values()) if isinstance(given, dict) else []
    if len(named) < 2 or not all(isinstance(one, str) for one in (*named, *texts)):
        raise TaskError(
            f'{file}: labels is {given!r}; expected two or more, as a list labels = ["a", "b"] or as a table [labels] '
            'with a line a = "what it means" for each.'
        )
    return tuple(named), {label: text for label, text in zip(named, texts, strict=False) if text}


def _spoken(file: Path, key: str, table: Mapping[str, Any], task: Task) -> dict[str, dict[str, Any]]:
    """Language → label → text; a table without languages counts for each of them."""
    given = table.get(key, {})
    if not isinstance(given, dict):
        raise TaskError(f'{file}: {key} is {given!r}; expected a table [{key}] with a line label = "…" for each.')
    if not any(isinstance(text, dict) for text in given.values()):
        return {spoken: dict(given) for spoken in task.languages}
    for spoken, texts in given.items():
        if spoken not in task.languages or not isinstance(texts, dict):
            raise TaskError(
                f"{file}: [{key}] has {spoken!r} beside tables for languages; the task {task.name} speaks "
                f"{', '.join(task.languages)}. Write [{key}.{task.languages[0]}], or no language at all."
            )
    return {spoken: given.get(spoken, {}) for spoken in task.languages}
