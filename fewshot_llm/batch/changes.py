"""Whether an input file is still what a job began with: its size, its time of change, and the hash of what was read."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

__all__ = ["Change", "FileState", "ReadHash", "change_of"]


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

    def __str__(self) -> str:
        ended = "is gone now" if self.ended is None else f"has {_told(self.ended.size, self.ended.sha256)} now"
        if self.read is None:
            how = "It cannot be said which of the two was read."
        elif self.read[1] == self.began.sha256:
            how = "What was read is what it began with."
        else:
            how = f"What was read has {_told(*self.read)}: the labels belong to that."
        return (
            f"{self.file} changed while the job ran: it had {_told(self.began.size, self.began.sha256)} at the "
            f"beginning and {ended}. {how}"
        )


def _told(size: int, sha256: str) -> str:
    return f"{size:,} bytes (SHA-256 {sha256[:12]})"


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
