"""A folder of the cache that is made whole or not at all, by one process at a time."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fewshot_llm.errors import PullError

__all__ = ["publish", "workplace"]


@contextmanager
def workplace(folder: Path, needed: int, on_wait: Callable[[], None]) -> Iterator[Path]:
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
