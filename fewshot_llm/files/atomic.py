"""Files that are either whole or absent.

A folder that is either whole or absent.

A folder of the cache that is made whole or not at all, by one process at a time.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from fewshot_llm.errors import AdapterError, DataFileError, PullError
from fewshot_llm.files.locking import sole_writer

__all__ = [
    "atomic_folder",
    "atomic_write",
    "atomic_write_json",
    "atomic_write_text",
    "folder_lock",
    "locked_cache_folder",
    "publish",
    "require_free",
    "sha256_file",
]

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


@contextmanager
def atomic_folder(folder: Path, *, owned: str, overwrite: bool = False) -> Iterator[Path]:
    """Fill a folder under a temporary name, then put it in place.

    Args:
        folder: where it shall be.
        owned: a file by which a folder of the same kind is known; nothing else is ever replaced.
        overwrite: replace a folder of that kind.

    Yields:
        A new, empty folder beside it. What is written there appears all at once, or, on any error, not at all.

    Raises:
        AdapterError: `folder` holds something; raised before anything is written, and again before it is put in
            place if somebody else has filled it meanwhile.
        BusyError: another process is about to write it.
        OSError: the disk is full, or there is no permission; the old folder is as it was.
    """
    folder = folder.absolute()
    require_free(folder, owned=owned, overwrite=overwrite)
    temporary, old = (folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp") for _ in range(2))
    with folder_lock(folder):
        temporary.mkdir()
        try:
            yield temporary
            require_free(folder, owned=owned, overwrite=overwrite)
            if folder.exists():
                os.replace(folder, old)
            os.replace(temporary, folder)
        except BaseException:
            if old.exists() and not folder.exists():
                os.replace(old, folder)
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Within it, no other process writes `folder`: for what takes long before its folder is put in place.

    Raises:
        BusyError: another process is at it.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with sole_writer(folder.with_name(f".{folder.name}.lock"), f"the folder {folder}"):
        yield


def require_free(folder: Path, *, owned: str, overwrite: bool) -> None:
    """Refuse a folder that `atomic_folder` would not replace, before any work is done.

    Raises:
        AdapterError: it is a file, holds something else, or holds the same and may not be replaced.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir() or not (folder / owned).is_file():
        raise AdapterError(f"{folder} holds something else (it has no {owned}). Choose another folder.")
    if not overwrite:
        raise AdapterError(f"{folder} is there already. Choose another folder, or allow it to be replaced.")


@contextmanager
def locked_cache_folder(folder: Path, needed: int, on_wait: Callable[[], None]) -> Iterator[Path]:
    """A temporary folder beside `folder`, alone: under a file lock, with what a killed process left removed.

    The lock is the kernel's: it ends with the process that holds it, however that ends.

    Args:
        folder: what is going to be made, by `publish`.
        needed: free space without which the work is not begun, bytes.
        on_wait: called when another process is at work on the same folder, before waiting for it.

    Yields:
        An empty folder, removed at the end unless it was published.

    Raises:
        PullError: the cache cannot be written, or the disk is or becomes full.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / f".{folder.name}.lock", on_wait):
            for leftover in folder.parent.glob(f".{folder.name}.part-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            free = shutil.disk_usage(folder.parent).free
            if free < needed:
                raise OSError(errno.ENOSPC, f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free")
            temporary = _beside(folder)
            temporary.mkdir()
            try:
                yield temporary
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise _explain(folder, error) from error


def publish(temporary: Path, folder: Path) -> None:
    """Put a finished folder in place; an old one steps aside first, as a folder cannot be replaced at once."""
    aside = _beside(folder)
    if folder.exists():
        os.replace(folder, aside)
    os.replace(temporary, folder)
    shutil.rmtree(aside, ignore_errors=True)


def _beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.part-{secrets.token_hex(4)}")


@contextmanager
def _locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _explain(folder: Path, error: OSError) -> PullError:
    where = f"{folder.parent} (set FEWSHOT_HOME to keep models elsewhere)"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PullError(f"The disk is full at {where}: {error.strerror}. Free some space and pull again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return PullError(f"The model cache cannot be written at {where}: {error.strerror}.")
    return PullError(f"The model cache at {where} failed: {error}.")
