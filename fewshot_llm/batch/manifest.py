"""The manifest of a job: what it is, which shards are finished, and whether its input files are still the same.

`journal.jsonl` is append-only and says how far a job has come: one line that names the job, one line per finished
shard. A shard's line is written after its file and its errors are on the disk, so what the journal says is true
after any crash; a line that a crash tore is cut off. `manifest.json` is made from it when the job is complete.
Nothing in either tells the time: an interrupted job leaves the same bytes as an undisturbed one.

That promise rests on a few file operations. They are methods of `Disk`, so that each can be made to fail.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from fewshot_llm.errors import BatchError
from fewshot_llm.types import Text

__all__ = [
    "ERRORS",
    "JOURNAL",
    "MANIFEST",
    "Change",
    "Disk",
    "FileState",
    "Journal",
    "ReadHash",
    "ShardEntry",
    "change_of",
    "differences",
]


@dataclass(frozen=True)
class FileState:
    """A file at one moment.

    Attributes:
        size: bytes.
        modified: time of the last change, nanoseconds.
        sha256: of its bytes.
    """

    size: int
    modified: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileState:
        """The file as it is now; reads all of it."""
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, digest)

    def same_time(self, path: Path) -> bool:
        """Whether the file has this size and time of change now."""
        status = path.stat()
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified)


class ReadHash:
    """SHA-256 of a file's bytes, taken while they are read.

    Attributes:
        size: bytes read so far.
        sha256: of the whole file; `None` until its end was read.
    """

    def __init__(self) -> None:
        self.size = 0
        self.sha256: str | None = None
        self._digest = hashlib.sha256()

    def watch(self, stream: BinaryIO) -> BinaryIO:
        """The same bytes, from the beginning to the end; closing the result closes `stream`."""
        return cast(BinaryIO, io.BufferedReader(_Watched(stream, self), 1 << 16))

    def add(self, data: memoryview) -> None:
        """Count what was read; nothing read is the file's end."""
        self.size += len(data)
        self._digest.update(data)
        if not data:
            self.sha256 = self._digest.hexdigest()


class _Watched(io.RawIOBase):
    def __init__(self, stream: BinaryIO, seen: ReadHash) -> None:
        self._stream = stream
        self._seen = seen

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._seen.add(memoryview(data))
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


@dataclass(frozen=True)
class Change:
    """An input file that is not what the job began with.

    Attributes:
        file: its name in reports.
        began: when the job began.
        read: size and SHA-256 of what was read; `None` where not all of it was, or not front to back.
        ended: when the job ended; `None` where the file was gone.
    """

    file: str
    began: FileState
    read: tuple[int, str] | None
    ended: FileState | None

    def to_json(self) -> dict[str, Any]:
        """For journal and manifest; nothing in them tells the time."""

        def plain(size: int, sha256: str) -> Mapping[str, Any]:
            return {"bytes": size, "sha256": sha256}

        return {
            "file": self.file,
            "began": plain(self.began.size, self.began.sha256),
            "read": None if self.read is None else plain(*self.read),
            "ended": None if self.ended is None else plain(self.ended.size, self.ended.sha256),
        }

    @property
    def said(self) -> Text:
        """It in words."""
        if self.read is None:
            how = UNKNOWN_WHICH
        elif self.read[1] == self.began.sha256:
            how = READ_AS_BEGUN
        else:
            how = READ_OTHERWISE.fill(read=_told(*self.read))
        template = GONE if self.ended is None else CHANGED_FILE
        ended = None if self.ended is None else _told(self.ended.size, self.ended.sha256)
        return template.fill(file=self.file, began=_told(self.began.size, self.began.sha256), ended=ended, how=how)

    def __str__(self) -> str:
        return self.said.en


BYTES = Text("{size:,} bytes (SHA-256 {digest})", "{size:,} 字节（SHA-256 {digest}）")
CHANGED_FILE = Text(
    "{file} changed while the job ran: it had {began} at the beginning and has {ended} now. {how}",
    "{file} 在作业运行期间有改动：开始时为 {began}，现在为 {ended}。{how}",
)
GONE = Text(
    "{file} changed while the job ran: it had {began} at the beginning and is gone now. {how}",
    "{file} 在作业运行期间有改动：开始时为 {began}，现在已不存在。{how}",
)
UNKNOWN_WHICH = Text("It cannot be said which of the two was read.", "无法确定读到的是哪一个。")
READ_AS_BEGUN = Text("What was read is what it began with.", "读到的是开始时的内容。")
READ_OTHERWISE = Text("What was read has {read}: the labels belong to that.", "读到的内容为 {read}：标签属于该内容。")


def _told(size: int, sha256: str) -> Text:
    return BYTES.fill(size=size, digest=sha256[:12])


def change_of(name: str, path: Path, began: FileState, read: ReadHash | None) -> Change | None:
    """What became of one file; `None` where it is, and what was read of it was, as at the beginning.

    The file is hashed again only where its bytes were not all read front to back, or its size or time differ.
    """
    known = None if read is None or read.sha256 is None else (read.size, read.sha256)
    as_begun = known is not None and known[1] == began.sha256
    try:
        if as_begun and began.same_time(path):
            return None
        ended = FileState.of(path)
    except FileNotFoundError:
        return None if as_begun else Change(name, began, known, None)
    if ended.sha256 == began.sha256 and (as_begun or known is None):
        return None
    return Change(name, began, known, ended)


class Disk:
    """Durable writes. A test's subclass lets any one of the system calls fail."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """`os.write`: may write less than it was given."""
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        """`os.fsync`: after it, the bytes survive a power cut."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """`os.replace`: the target is the old file or the new one, never a part."""
        os.replace(source, target)

    def truncate(self, descriptor: int, length: int) -> None:
        """`os.ftruncate`."""
        os.ftruncate(descriptor, length)

    def replace_file(self, path: Path, data: bytes) -> None:
        """Put `data` at `path`, whole or not at all, and on the disk when this returns."""
        temporary = path.with_name(f".{path.name}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            try:
                self._write_all(descriptor, data)
                self.fsync(descriptor)
            finally:
                os.close(descriptor)
            self.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        self._sync_folder(path.parent)

    def append(self, path: Path, data: bytes, *, at: int) -> int:
        """Put `data` at byte `at` of a file, cutting off what stood there, and on the disk when this returns.

        A failed attempt leaves a torn tail behind `at`; the next call cuts it off.

        Returns:
            The file's length afterwards.
        """
        new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            if os.fstat(descriptor).st_size != at:
                self.truncate(descriptor, at)
            os.lseek(descriptor, at, os.SEEK_SET)
            self._write_all(descriptor, data)
            self.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            self._sync_folder(path.parent)
        return at + len(data)

    def _write_all(self, descriptor: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self.write(descriptor, rest) :]

    def _sync_folder(self, folder: Path) -> None:
        if os.name == "nt":
            return  # Windows cannot open a folder; NTFS journals the rename itself
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            self.fsync(descriptor)
        finally:
            os.close(descriptor)


JOURNAL = "journal.jsonl"
MANIFEST = "manifest.json"
ERRORS = "errors.jsonl"
CHANGED = "input_changed"
FORMAT = 1


@dataclass(frozen=True)
class ShardEntry:
    """One finished shard.

    Attributes:
        shard: its number, from 0.
        file: its file name.
        sha256: of the file.
        first_row: position of its first input row.
        rows: input rows it answers for, labelled and in error.
        labelled: rows in the file.
        errors: how many of its rows are in `errors.jsonl`, by kind.
        errors_end: length of `errors.jsonl` after it, bytes.
        labels: how often each label was predicted.
        mean_margin: over its labelled rows; `None` without any.
        redacted: how many pieces of personal data were replaced, by kind.
    """

    shard: int
    file: str
    sha256: str
    first_row: int
    rows: int
    labelled: int
    errors: Mapping[str, int] = field(default_factory=dict)
    errors_end: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    mean_margin: float | None = None
    redacted: Mapping[str, int] = field(default_factory=dict)


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What differs between two job descriptions, one readable piece each.

    >>> differences({"labeller": {"dtype": "float32"}}, {"labeller": {"dtype": "bfloat16"}})
    ["labeller.dtype was 'float32' and is 'bfloat16'"]
    """
    found = []
    for key in [*there, *(key for key in here if key not in there)]:
        old, new = there.get(key), here.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += [f"{key}.{inner}" for inner in differences(old, new)]
        elif old != new and old is not None and new is not None and _are_parts(old) and _are_parts(new):
            found.append(f"{key} was changed: {', '.join(_parts_differing(old, new))}")
        elif old != new:
            found.append(f"{key} was {_short(old)} and is {_short(new)}")
    return found


def _are_parts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, Mapping) for part in value)


def _parts_differing(old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> list[str]:
    """What differs between the parts of an input: its files, by name."""
    there, here = ({str(part.get("file", "")): part for part in parts} for parts in (old, new))
    if len(there) < len(old) or len(here) < len(new):  # names that repeat, as in several folders
        there, here = ({f"part {number + 1}": part for number, part in enumerate(parts)} for parts in (old, new))
    found = [f"{name or 'a part'} is there no more" for name in there if name not in here]
    found += [f"{name or 'a part'} is new" for name in here if name not in there]
    for name in there:
        found += [
            f"{name} {difference}".strip() for difference in differences(there[name], here.get(name, there[name]))
        ]
    return found or ["the order of the files"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


class Journal:
    """The journal of one output folder, open for going on.

    Attributes:
        entries: finished shards, in order.
    """

    def __init__(self, folder: Path, disk: Disk, length: int, entries: list[ShardEntry], job: dict[str, Any]):
        self._folder, self._disk, self._length, self._job = folder, disk, length, job
        self.entries = entries

    @classmethod
    def start(cls, folder: Path, job: Mapping[str, Any], disk: Disk) -> Journal:
        """Begin a new job in an empty or new folder.

        Raises:
            BatchError: the folder holds something already.
        """
        folder.mkdir(parents=True, exist_ok=True)
        present = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if JOURNAL in present:
            raise BatchError(
                f"The output folder {folder} holds a job already. Go on with it (--resume), or name another folder."
            )
        if present:
            raise BatchError(
                f"The output folder {folder} is not empty ({', '.join(present[:5])}). Name an empty or new folder."
            )
        described = json.loads(json.dumps({"format": FORMAT, **job}, ensure_ascii=False))
        journal = cls(folder, disk, 0, [], described)
        journal._append({"job": described})
        return journal

    @classmethod
    def resume(cls, folder: Path, job: Mapping[str, Any], disk: Disk) -> Journal:
        """Go on with the job in a folder; a folder without one begins it.

        Raises:
            BatchError: the folder's job differs from `job`, the journal is damaged, or a finished shard is not
                what the journal says.
        """
        path = folder / JOURNAL
        lines = _whole_lines(path.read_bytes()) if path.exists() else []
        if not lines:
            path.unlink(missing_ok=True)  # torn before its first line was whole: nothing was done yet
            return cls.start(folder, job, disk)
        try:
            there = json.loads(lines[0])["job"]
            later = [json.loads(line) for line in lines[1:]]
            entries = [ShardEntry(**line["done"]) for line in later if CHANGED not in line]
        except (ValueError, KeyError, TypeError) as error:
            raise BatchError(f"The journal {path} is damaged: {error}. Start again in another folder.") from error
        here = json.loads(json.dumps({"format": FORMAT, **job}, ensure_ascii=False))
        if differing := differences(there, here):
            raise BatchError(
                f"The job in {folder} is another one: {'; '.join(differing)}. Resume it with the settings it was "
                "started with, or start a new job in another folder."
            )
        if changed := [line[CHANGED] for line in later if CHANGED in line]:
            names = ", ".join(str(change["file"]) for change in changed[-1])
            raise BatchError(
                f"The input of the job in {folder} changed while it was read ({names}): its rows cannot be trusted to "
                "be of one input. Start a new job in another folder."
            )
        for entry in entries:
            _check_shard(folder, entry)
        length = disk.append(path, b"", at=sum(len(line) for line in lines))  # cuts a torn line off
        return cls(folder, disk, length, entries, there)

    @property
    def errors_end(self) -> int:
        """Length of `errors.jsonl` as far as it counts, bytes."""
        return self.entries[-1].errors_end if self.entries else 0

    def add(self, entry: ShardEntry) -> None:
        """Write down that a shard is finished."""
        self._append({"done": asdict(entry)})
        self.entries.append(entry)

    def finish(self, rows_in: int, changed: Sequence[Change] = ()) -> dict[str, Any]:
        """Check that no row was lost, and write `manifest.json`.

        Where the input changed meanwhile, journal and manifest say so, and the manifest counts the rows that were read.

        Args:
            rows_in: how many rows the input had when the job began.
            changed: its files that changed since.

        Raises:
            BatchError: the shards do not account for every row of the input.
        """
        if changed:
            self._append({CHANGED: [change.to_json() for change in changed]})
        labelled = sum(entry.labelled for entry in self.entries)
        errors = total(entry.errors for entry in self.entries)
        in_error = sum(errors.values())
        read = sum(entry.rows for entry in self.entries)
        unequal = BatchError(
            f"{rows_in} rows came in, but {labelled} were labelled and {in_error} are in error. "
            + (
                " ".join(map(str, changed))
                if changed
                else "The input changed while it was read, or this is a bug: please report it with the journal."
            )
        )
        if labelled + in_error != read or (read != rows_in and not changed):
            raise unequal
        manifest = {
            "job": self._job,
            "rows": {"in": read, "labelled": labelled, "errors": in_error},
            "errors": dict(sorted(errors.items())),
            "labels": dict(sorted(total(entry.labels for entry in self.entries).items())),
            "redacted": dict(sorted(total(entry.redacted for entry in self.entries).items())),
            "input_changed": [change.to_json() for change in changed],
            "shards": [asdict(entry) for entry in self.entries],
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
        self._disk.replace_file(self._folder / MANIFEST, text.encode("utf-8"))
        if read != rows_in:
            raise unequal
        return manifest

    def _append(self, line: Mapping[str, Any]) -> None:
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8")
        self._length = self._disk.append(self._folder / JOURNAL, data, at=self._length)


def total(counts: Any) -> Counter[str]:
    """Sum of several counts."""
    summed: Counter[str] = Counter()
    for count in counts:
        summed.update(count)
    return summed


def _whole_lines(data: bytes) -> list[bytes]:
    lines = data.splitlines(keepends=True)
    if lines and not _is_written_whole(lines[-1]):
        lines.pop()
    return lines


def _is_written_whole(line: bytes) -> bool:
    """Whether it is JSON and a line break; with anything between the two it is no line that was written here."""
    if not line.endswith(b"}\n"):
        return False
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _check_shard(folder: Path, entry: ShardEntry) -> None:
    path = folder / entry.file
    if not path.is_file():
        raise BatchError(f"{path} is finished by the journal, but is not there. Put it back, or start a new folder.")
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != entry.sha256:
            raise BatchError(
                f"{path} is not the file that the journal knows: its SHA-256 differs. Put the original back, or "
                "start a new folder."
            )
