"""`Source`: the input of a batch job as one stream of rows, whatever files it lies in."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from fewshot_llm.batch.changes import Change, FileState, ReadHash, change_of
from fewshot_llm.batch.readers import ENDINGS, count_rows, kind_of, read_file
from fewshot_llm.batch.rows import InputRow
from fewshot_llm.errors import BatchError

__all__ = ["FileSource", "Limited", "Source", "open_source"]


class Source(Protocol):
    """Where rows come from. Reading twice gives the same rows in the same order."""

    def rows(self) -> Iterator[InputRow]:
        """Every row, in order, one at a time."""
        ...

    def count(self) -> int:
        """How many rows there are; reads the input once where no index says so."""
        ...

    def identity(self) -> list[dict[str, Any]]:
        """What tells this input from any other, JSON-able; paths are no part of it."""
        ...

    def schema(self) -> Any | None:
        """The Arrow schema of the columns, where the input has one."""
        ...

    def changes(self) -> list[Change]:
        """What is, or was read, otherwise than when `identity` was asked last."""
        ...


@dataclass(frozen=True)
class FileSource:
    """Files in a fixed order.

    Attributes:
        files: pairs of (name in reports, path).
    """

    files: tuple[tuple[str, Path], ...]
    _began: dict[Path, FileState] = field(default_factory=dict, init=False, repr=False, compare=False)
    _read: dict[Path, ReadHash] = field(default_factory=dict, init=False, repr=False, compare=False)

    def rows(self) -> Iterator[InputRow]:
        """Every row of every file, bad ones included."""
        position = 0
        for name, path in self.files:
            read = ReadHash()
            for line, values, problem in read_file(path, read):
                yield InputRow(position, name, line, values, problem)
                position += 1
            self._read[path] = read

    def count(self) -> int:
        """Rows in all; Parquet says so in its footer, other files are read once."""
        return sum(count_rows(path) for _, path in self.files)

    def identity(self) -> list[dict[str, Any]]:
        """Name, size and SHA-256 of every file."""
        self._began.update((path, FileState.of(path)) for _, path in self.files)
        self._read.clear()
        began = [(name, self._began[path]) for name, path in self.files]
        return [{"file": name, "bytes": state.size, "sha256": state.sha256} for name, state in began]

    def changes(self) -> list[Change]:
        """The files that are, or were read, otherwise than when the job began."""
        found = (
            change_of(name, path, self._began[path], self._read.get(path))
            for name, path in self.files
            if path in self._began
        )
        return [change for change in found if change is not None]

    def schema(self) -> Any | None:
        """The first file's schema if that is Parquet; the other formats have none."""
        _, path = self.files[0]
        if kind_of(path) != "parquet":
            return None
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.read_schema(path).remove_metadata()
        except (OSError, pa.ArrowInvalid):
            return None  # reading the rows will report it, with the file's name


@dataclass(frozen=True)
class Limited:
    """The first `limit` rows of another source."""

    source: Source
    limit: int

    def rows(self) -> Iterator[InputRow]:
        """The first rows."""
        return islice(self.source.rows(), self.limit)

    def count(self) -> int:
        """At most `limit`; no more than `limit` rows are read to find out."""
        return sum(1 for _ in self.rows())

    def identity(self) -> list[dict[str, Any]]:
        """The source's, and the limit."""
        return [*self.source.identity(), {"limit": self.limit}]

    def schema(self) -> Any | None:
        """The source's."""
        return self.source.schema()

    def changes(self) -> list[Change]:
        """The source's."""
        return self.source.changes()


def open_source(paths: str | Path | Sequence[str | Path], *, limit: int | None = None) -> Source:
    """The rows of files, folders, globs or one hub data set.

    Args:
        paths: files (`.jsonl`, `.csv`, `.tsv`, each also `.gz` or `.zst`; `.parquet`), folders (every such file
            below, sorted), globs (sorted), or one `hub:NAME[@REVISION][:SPLIT]`.
        limit: only the first rows.

    Raises:
        BatchError: nothing is there, or a named file has an ending that is not known.
    """
    if limit is not None and limit < 1:
        raise BatchError(f"The limit must be at least 1 row; {limit} was given.")
    named = [paths] if isinstance(paths, str | Path) else list(paths)
    source: Source
    if any(str(path).startswith("hub:") for path in named):
        if len(named) > 1:
            raise BatchError("A hub data set is an input of its own: give it alone, without other files.")
        from fewshot_llm.batch.hub import HubSource

        source = HubSource.parse(str(named[0]))
    else:
        files = tuple(file for path in named for file in _files(str(path)))
        if not files:
            raise BatchError(
                f"No input rows: {', '.join(map(str, named)) or 'no path'} holds no file that can be read. "
                f"Expected files ending in {', '.join(ENDINGS)}."
            )
        source = FileSource(files)
    return source if limit is None else Limited(source, limit)


def _files(path: str) -> Iterable[tuple[str, Path]]:
    place = Path(path)
    if place.is_dir():
        found = sorted(p for p in place.rglob("*") if kind_of(p) and p.is_file() and not _hidden(p, place))
        return [(p.relative_to(place).as_posix(), p) for p in found]
    if not place.exists() and glob.has_magic(path):
        return [(p.name, p) for p in map(Path, sorted(glob.glob(path, recursive=True))) if kind_of(p)]
    if not place.exists():
        raise BatchError(f"There is no input at {path}. Give a file, a folder, a glob or hub:NAME.")
    if kind_of(place) is None:
        raise BatchError(
            f"The input {place.name} has an ending that is not known. Expected one of {', '.join(ENDINGS)}, "
            "the text formats also with .gz or .zst."
        )
    return [(place.name, place)]


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(root).parts)
