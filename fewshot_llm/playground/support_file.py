"""`SupportFile`: the labelled rows on disk, corrected one at a time, with undo."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from fewshot_llm.errors import SupportError, nearest
from fewshot_llm.files import Rows, atomic_write, columns_of, read_rows, write_rows
from fewshot_llm.files.locking import sole_writer
from fewshot_llm.language import normalise_text
from fewshot_llm.support import Example, SupportSet
from fewshot_llm.support.columns import LABEL, resolve_columns
from fewshot_llm.task import Task

__all__ = ["SupportFile"]

WAIT = 10.0
"""Seconds to wait for another process that is writing the file."""


@dataclass(frozen=True)
class _Change:
    before: bytes
    after: bytes


@dataclass(frozen=True)
class SupportFile:
    """A support file that people correct. Every change is on disk, whole, when the method returns.

    Attributes:
        path: a file that rows can be read from and written to.
        task: its fields and labels.
        columns: field (or `label`) → column, where the file names a column otherwise.
        delimiter: between the cells of a text table, before the first change.
        encoding: of a text file, likewise.
        merge_labels: take spellings of one label as the most frequent of them.
    """

    path: Path
    task: Task
    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str | None = None
    merge_labels: bool = False
    _changes: list[_Change] = field(default_factory=list, init=False, repr=False)

    @property
    def changes(self) -> int:
        """How many changes `undo` can take back."""
        return len(self._changes)

    def read(self) -> SupportSet:
        """The rows, cleaned.

        Raises:
            DataFileError: the file cannot be read.
            SupportError: no usable rows.
        """
        return SupportSet.from_read(self._rows(), self.path, self.task, self.columns, self.merge_labels)

    def put(self, example: Example, label: str) -> None:
        """Give a text its label: rows that hold it already are changed, else a row is added at the end.

        Args:
            example: the text.
            label: one of the task's labels.

        Raises:
            SupportError: an empty text, or no such label.
            DataFileError: the file cannot be read or written, or another process has been writing it for long.
        """
        text = normalise_text(example.text)
        if not text:
            raise SupportError("There is no text to label. Type or paste one.")
        if label not in self.task.labels:
            raise SupportError(f"The task {self.task.name} has no label {label!r}. {nearest(label, self.task.labels)}")
        with self._alone():
            self._put(text, example, label)

    def _put(self, text: str, example: Example, label: str) -> None:
        before, rows = self.path.read_bytes(), self._rows()
        names = columns_of(rows)
        task = self.task
        where = resolve_columns(names, task.fields, task.optional_fields, self.columns, kind=task.kind, task=task.name)
        changed, found = [], False
        for row in rows:
            same = normalise_text(Example(where.fields(row)).text) == text
            found |= same
            changed.append({**row, where.names[LABEL]: label} if same else row)
        if not found:
            fields = {where.names[name]: value for name, value in example.fields.items() if name in where.names}
            changed.append({**fields, where.names[LABEL]: label})
        write_rows(self.path, changed, overwrite=True)
        self._changes.append(_Change(before, self.path.read_bytes()))

    def _rows(self) -> Rows:
        """What is there; what is written here is UTF-8 with the usual delimiter."""
        if self._changes:
            return read_rows(self.path)
        return read_rows(self.path, delimiter=self.delimiter, encoding=self.encoding)

    def undo(self) -> bool:
        """Put the file back as it was before the last change; False where there is none to take back.

        Raises:
            SupportError: somebody else has changed the file since, and their work would be lost.
        """
        if not self._changes:
            return False
        change = self._changes[-1]
        with self._alone():
            if self.path.read_bytes() != change.after:
                raise SupportError(
                    f"{self.path.name} was changed by another program since the last correction; taking it back would "
                    "lose that. Edit the file by hand."
                )
            with atomic_write(self.path) as temporary:
                temporary.write_bytes(change.before)
            self._changes.pop()
        return True

    def _alone(self) -> AbstractContextManager[None]:
        """Two pages may correct one file: each reads it and writes it before the other does."""
        return sole_writer(self.path.with_name(f".{self.path.name}.lock"), f"the file {self.path.name}", wait=WAIT)
