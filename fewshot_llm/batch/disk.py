"""`Disk`: the few file operations a batch job's promise rests on, in one place so that each can be made to fail."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["Disk"]


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
