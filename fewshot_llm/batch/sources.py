"""`RowSource`: the input of a batch job as one stream of rows, from files of any kind or a data set of the hub."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from fewshot_llm.batch.manifest import ERRORS, JOURNAL, MANIFEST, Change, FileState, ReadHash, change_of
from fewshot_llm.errors import BatchError, DataFileError
from fewshot_llm.files import Note, Reading, RowProblem, count_rows, kind_of, scan_rows
from fewshot_llm.files.delimited import as_delimiter
from fewshot_llm.files.encodings import known_encoding
from fewshot_llm.files.formats import COMPRESSED, ENDINGS, distinct_names
from fewshot_llm.models.trust import open_data_set

__all__ = [
    "FileSource",
    "HubSource",
    "InputRow",
    "Limited",
    "RowSource",
    "columns_of",
    "open_source",
]


@dataclass(frozen=True)
class InputRow:
    """One row of the input, readable or not.

    Attributes:
        position: 0-based position over the whole input; every row has one, also those in error.
        source: name of the file (or data set) it came from.
        line: 1-based line of a text file, row number in a Parquet file or a data set.
        values: its columns; empty where the row could not be read.
        problem: why it cannot be labelled, if that is known already.
    """

    position: int
    source: str
    line: int
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: RowProblem | None = None


LOOKED_AT = 100
"""Rows of a file from which is told what its columns are and how it is read."""


class RowSource(Protocol):
    """Where rows come from. Reading twice gives the same rows in the same order."""

    def rows(self) -> Iterator[InputRow]:
        """Every row, in order, one at a time."""
        ...

    def count(self) -> int:
        """How many rows there are; reads the input once where no index says so."""
        ...

    def notes(self) -> tuple[Note, ...]:
        """How the input is read, where that is not as its name promises."""
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
        delimiter: between the cells of text tables; found by content where it is left out.
        encoding: of text files; found by content where it is left out.
    """

    files: tuple[tuple[str, Path], ...]
    delimiter: str | None = None
    encoding: str | None = None
    _began: dict[Path, FileState] = field(default_factory=dict, init=False, repr=False, compare=False)
    _read: dict[Path, ReadHash] = field(default_factory=dict, init=False, repr=False, compare=False)

    def rows(self) -> Iterator[InputRow]:
        """Every row of every file, bad ones included."""
        position = 0
        for name, path in self.files:
            for line, values, problem in self._readings(path, [], self._watched(path)):
                yield InputRow(position, name, line, values, problem)
                position += 1

    def notes(self) -> tuple[Note, ...]:
        """How the files are read, where their beginnings are not as their names promise."""
        notes: list[Note] = []
        for _, path in self.files:
            for _ in islice(self._readings(path, notes), LOOKED_AT):
                pass
        return tuple(dict.fromkeys(notes))

    def _watched(self, path: Path) -> Callable[[BinaryIO], BinaryIO]:
        """Hashes a file's bytes while they are read; a file that is opened again is hashed anew."""

        def watch(stream: BinaryIO) -> BinaryIO:
            self._read[path] = ReadHash()
            return self._read[path].watch(stream)

        return watch

    def _readings(
        self, path: Path, notes: list[Note], watch: Callable[[BinaryIO], BinaryIO] | None = None
    ) -> Iterator[Reading]:
        """The file's rows; a file that cannot be read at all is one bad row."""
        try:
            yield from scan_rows(path, delimiter=self.delimiter, encoding=self.encoding, notes=notes, watch=watch)
        except DataFileError as error:
            yield Reading(1, {}, RowProblem("unreadable-file", str(error)))

    def count(self) -> int:
        """Rows in all; Parquet says so in its footer, other files are read once."""
        return sum(self._count(path) for _, path in self.files)

    def _count(self, path: Path) -> int:
        try:
            return count_rows(path, delimiter=self.delimiter, encoding=self.encoding)
        except DataFileError:
            return sum(1 for _ in self._readings(path, []))

    def identity(self) -> list[dict[str, Any]]:
        """Name, size and SHA-256 of every file, and how they are read where that was told."""
        self._began.update((path, FileState.of(path)) for _, path in self.files)
        self._read.clear()
        began = [(name, self._began[path]) for name, path in self.files]
        described = [{"file": name, "bytes": state.size, "sha256": state.sha256} for name, state in began]
        told = {"delimiter": self.delimiter, "encoding": self.encoding}
        return [*described, *([{"read_as": told}] if any(told.values()) else [])]

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
            found = pq.read_schema(path).remove_metadata()
        except (OSError, pa.ArrowInvalid):
            return None  # reading the rows will report it, with the file's name
        fields = [field.with_name(str(name)) for field, name in zip(found, distinct_names(found.names), strict=True)]
        return pa.schema(fields)


@dataclass(frozen=True)
class Limited:
    """The first `limit` rows of another source."""

    source: RowSource
    limit: int

    def rows(self) -> Iterator[InputRow]:
        """The first rows."""
        return islice(self.source.rows(), self.limit)

    def count(self) -> int:
        """At most `limit`; no more than `limit` rows are read to find out."""
        return sum(1 for _ in self.rows())

    def notes(self) -> tuple[Note, ...]:
        """The source's."""
        return self.source.notes()

    def identity(self) -> list[dict[str, Any]]:
        """The source's, and the limit."""
        return [*self.source.identity(), {"limit": self.limit}]

    def schema(self) -> Any | None:
        """The source's."""
        return self.source.schema()

    def changes(self) -> list[Change]:
        """The source's."""
        return self.source.changes()


def columns_of(source: RowSource) -> list[str]:
    """The columns of a source's first rows, in order of first appearance.

    Raises:
        DataFileError: none of these rows can be read.
    """
    first = list(islice(source.rows(), LOOKED_AT))
    names = list(dict.fromkeys(name for row in first for name in row.values))
    if first and not names:
        problem = first[0].problem
        raise DataFileError(f"{first[0].source}: no row can be read. {problem.reason if problem else ''}")
    return names


def open_source(
    paths: str | Path | Sequence[str | Path],
    *,
    limit: int | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    results: Path | None = None,
) -> RowSource:
    """The rows of files, folders, globs or one hub data set.

    Args:
        paths: files (`.jsonl`, `.json`, `.csv`, `.tsv`, each also `.gz` or `.zst`; `.parquet`, `.xlsx`), folders
            (every such file below, sorted), globs (sorted), or one `hub:NAME[@REVISION][:SPLIT]`.
        limit: only the first rows.
        delimiter: between the cells of text tables; found by content where it is left out.
        encoding: of text files; found by content where it is left out.
        results: where the job's results go; what lies there is no input, also below a folder that is.

    Raises:
        BatchError: nothing is there, or a named file has an ending that is not known.
        DataFileError: no such delimiter or encoding.
    """
    if delimiter is not None:
        as_delimiter(delimiter)
    if encoding is not None:
        known_encoding(encoding)
    if limit is not None and limit < 1:
        raise BatchError(f"The limit must be at least 1 row; {limit} was given.")
    named = [paths] if isinstance(paths, str | Path) else list(paths)
    source: RowSource
    if any(str(path).startswith("hub:") for path in named):
        if len(named) > 1:
            raise BatchError("A hub data set is an input of its own: give it alone, without other files.")

        source = HubSource.parse(str(named[0]))
    else:
        files = tuple(file for path in named for file in _files(str(path), results))
        if not files:
            raise BatchError(
                f"No input rows: {', '.join(map(str, named)) or 'no path'} holds no file that can be read. "
                f"Expected files ending in {', '.join(ENDINGS)}."
            )
        source = FileSource(files, delimiter, encoding)
    return source if limit is None else Limited(source, limit)


def _files(path: str, results: Path | None) -> Iterable[tuple[str, Path]]:
    place = Path(path)
    if place.is_dir():
        found = sorted(p for p in place.rglob("*") if kind_of(p) and p.is_file() and not _no_rows(p, place))
        ours = None if results is None else results.resolve()
        return [(p.relative_to(place).as_posix(), p) for p in found if ours not in p.resolve().parents]
    if not place.exists() and glob.has_magic(path):
        return [(p.name, p) for p in map(Path, sorted(glob.glob(path, recursive=True))) if kind_of(p)]
    if not place.exists():
        raise BatchError(f"There is no input at {path}. Give a file, a folder, a glob or hub:NAME.")
    if kind_of(place) is None:
        raise BatchError(
            f"The input {place.name} has an ending that is not known. Expected one of {', '.join(ENDINGS)}, "
            f"the text formats also with {' or '.join(COMPRESSED)}."
        )
    return [(place.name, place)]


def _no_rows(path: Path, root: Path) -> bool:
    """Hidden files, and what a batch job writes beside its shards."""
    if any(part.startswith((".", "_")) for part in path.relative_to(root).parts):
        return True
    return path.name in (MANIFEST, ERRORS, JOURNAL) and (path.parent / JOURNAL).exists()


ADDRESS = re.compile(r"hub:(?P<name>[^@#:]+)(?:@(?P<revision>[^#:]+))?(?:#(?P<config>[^:]+))?(?::(?P<split>.+))?")


@dataclass(frozen=True)
class HubSource:
    """One split of a hub data set (or of a local data set folder), read while it is fetched.

    Attributes:
        name: `owner/name`, or a folder that `datasets.load_dataset` understands.
        revision: a commit; without it two runs may read different rows, so a resumed run should name one.
        config: the data set's configuration, where it has several.
        split: `train` by default.
    """

    name: str
    revision: str | None = None
    config: str | None = None
    split: str = "train"

    @classmethod
    def parse(cls, address: str) -> HubSource:
        """From `hub:NAME[@REVISION][#CONFIG][:SPLIT]`.

        >>> HubSource.parse("hub:shop/reviews@1a2b3c#zh:test")
        HubSource(name='shop/reviews', revision='1a2b3c', config='zh', split='test')
        """
        match = ADDRESS.fullmatch(address)
        if match is None:
            raise BatchError(f"{address!r} names no hub data set. Expected hub:NAME[@REVISION][#CONFIG][:SPLIT].")
        return cls(match["name"], match["revision"], match["config"], match["split"] or "train")

    def rows(self) -> Iterator[InputRow]:
        """Every row; where the stream breaks off, the last row carries the reason."""
        position = 0
        stream = iter(self._open())
        while True:
            try:
                values = next(stream)
            except StopIteration:
                return
            except (OSError, ValueError) as error:
                reason = f"The rest of the data set cannot be read: {' '.join(str(error).split())[:200]}."
                yield InputRow(position, self.name, position + 1, {}, RowProblem("file-broke-off", reason))
                return
            yield InputRow(position, self.name, position + 1, values)
            position += 1

    def count(self) -> int:
        """Rows in all: from the data set's card, else by reading it once."""
        split = (self._open().info.splits or {}).get(self.split)
        known = getattr(split, "num_examples", 0)
        return int(known) if known else sum(1 for _ in self.rows())

    def notes(self) -> tuple[Note, ...]:
        """Nothing: a data set says how it is read."""
        return ()

    def identity(self) -> list[dict[str, Any]]:
        """Name, revision, configuration and split."""
        return [{"hub": self.name, "revision": self.revision, "config": self.config, "split": self.split}]

    def schema(self) -> Any | None:
        """The data set's features as an Arrow schema, where they are declared."""
        features = self._open().features
        return None if features is None else features.arrow_schema.remove_metadata()

    def changes(self) -> list[Change]:
        """None: a revision does not change."""
        return []

    def _open(self) -> Any:
        try:
            return open_data_set(self.name, self.config, self.split, self.revision, streaming=True)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise BatchError(f"The data set {self.name} (split {self.split}) cannot be opened: {reason}") from error
