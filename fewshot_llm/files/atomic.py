"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fewshot_llm.errors import DataFileError

__all__ = ["atomic_write", "atomic_write_json", "atomic_write_text", "sha256_file"]

_CANNOT_WRITE = {
    errno.ENOSPC: "the disk is full; free some space, then run it again",
    errno.EDQUOT: "the disk quota is used up; free some space, then run it again",
    errno.EACCES: "there is no permission to write there; choose another place",
    errno.EPERM: "there is no permission to write there; choose another place",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another place",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
    errno.EISDIR: "that is a folder; give the path of a file",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file under a temporary name, then put it in place: a reader sees the old file or the new one.

    Args:
        path: the file to write. Missing parent folders are made; a symbolic link is written through.

    Yields:
        A path in the same folder that does not exist yet. Write the whole file there.

    Raises:
        DataFileError: the disk is full, the place is not writable, or the path is not a regular file.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise DataFileError(f"{path} is not a regular file, so it cannot be replaced. Give the path of a file.")
    temporary = target.with_name(f".{target.name[:60]}.{secrets.token_hex(4)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except OSError as error:
        reason = _CANNOT_WRITE.get(error.errno or 0)
        if reason is None:
            raise
        raise DataFileError(f"Could not write {path}: {reason}.") from error
    finally:
        with suppress(OSError):  # a folder that cannot be reached has nothing to remove
            temporary.unlink()


def atomic_write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, all of it or nothing. Line ends are written as given."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def atomic_write_json(path: str | os.PathLike[str], value: object) -> None:
    """Write `value` as indented JSON, readable in every script, all of it or nothing."""
    atomic_write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
