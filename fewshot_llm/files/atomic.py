"""Files and folders that are either whole or absent, and `sole_writer`: one process at a time at a place on the disk.

The lock is the kernel's: it ends with the process that holds it, however that ends (kill -9, a crash, a reboot). A
small file beside it says who holds it. Where the place lies on storage that several machines share, a kernel may not
see the locks of another one. So that file also counts on every few seconds while its process lives, and what another
machine left is taken over only when its count has stood still.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import secrets
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from filelock import FileLock, Timeout

from fewshot_llm.errors import AdapterError, BusyError, DataFileError, PullError

__all__ = [
    "Holder",
    "atomic_folder",
    "atomic_write",
    "atomic_write_json",
    "atomic_write_text",
    "folder_lock",
    "holder_of",
    "locked_cache_folder",
    "publish",
    "require_free",
    "sha256_file",
    "sole_writer",
]

BEAT = 5.0
"""Seconds between two signs of life."""

SILENCE = 4 * BEAT
"""Seconds without one after which a process of another machine counts as dead."""

NO_LOCKS_HERE = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}

_LOG = logging.getLogger(__name__)
_held: ContextVar[frozenset[Path]] = ContextVar("fewshot_locks", default=frozenset())


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        pid: its number.
        host: its machine's name.
        boot: what names the running kernel; empty where there is nothing like it.
        since: when it took the lock, local time.
        command: its command line.
        beat: counts on while it lives.
    """

    pid: int
    host: str
    boot: str
    since: str
    command: str
    beat: int = 0

    @classmethod
    def here(cls) -> Holder:
        """This process, now."""
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) if sys.argv and sys.argv[0] else "python"
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
        return cls(os.getpid(), socket.gethostname(), _boot(), since, command[:300])

    @property
    def near(self) -> bool:
        """Whether the kernel here knows what it holds."""
        return self.host == socket.gethostname() or (bool(self.boot) and self.boot == _boot())

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}: {self.command}"


def holder_of(lock: Path) -> Holder | None:
    """Who holds a lock, or held it when it died; `None` where nothing readable says so."""
    try:
        return Holder(**json.loads(_record(lock).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def sole_writer(lock: Path, what: str, *, wait: float = 0.0) -> Iterator[None]:
    """Within it, no other process and no other thread holds `lock`. May be nested.

    Args:
        lock: the lock's file, in a folder that is there; gone again when it is let go.
        what: what is written, for the message: `the output folder labelled`.
        wait: seconds to wait for another holder.

    Raises:
        BusyError: another process holds it; the message names it.
    """
    lock = Path(os.path.realpath(lock))
    if lock in _held.get():
        yield
        return
    kernel, sees_all = FileLock(lock), True
    try:
        kernel.acquire(timeout=max(wait, 0.1), poll_interval=0.02)
    except Timeout:
        raise BusyError(_busy(what, holder_of(lock))) from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in NO_LOCKS_HERE:
            raise
        sees_all = False
    token = None
    ended = Event()
    try:
        left = holder_of(lock)
        if left is not None and not (left.near and sees_all):
            _await_silence(lock, what, left)
        own = Holder.here()
        _write(lock, own)
        beat = Thread(target=_beat, args=(lock, own, ended), name="lock", daemon=True)
        beat.start()
        token = _held.set(_held.get() | {lock})
        try:
            yield
        finally:
            ended.set()
            beat.join()
            for path in (_record(lock), _temporary(lock)):
                with suppress(OSError):
                    path.unlink()
    finally:
        if token is not None:
            _held.reset(token)
            if os.name != "nt":  # there the lock's file goes when it is let go
                with suppress(OSError):
                    lock.unlink()
        kernel.release()


def _await_silence(lock: Path, what: str, left: Holder) -> None:
    """Return when the one who left its record shows no sign of life any more."""
    _LOG.warning(
        "%s was in use by %s. Its locks cannot be seen from here; waiting %.0f s for a sign of life.",
        what,
        left,
        SILENCE,
    )
    until = time.monotonic() + SILENCE
    while time.monotonic() < until:
        time.sleep(min(0.2, SILENCE / 10))
        now = holder_of(lock)
        if now is None:
            return
        if now != left:
            raise BusyError(_busy(what, now))
    _LOG.warning("There was none: that process is taken for dead, and its place is taken over.")


def _busy(what: str, holder: Holder | None) -> str:
    by = f"by {holder}" if holder else "by another process"
    return (
        f"{what[:1].upper()}{what[1:]} is in use {by}. Two at once would spoil each other's work. Wait for it, stop "
        "it, or name another place."
    )


def _beat(lock: Path, own: Holder, ended: Event) -> None:
    beat = 0
    while not ended.wait(BEAT):
        beat += 1
        with suppress(OSError):
            _write(lock, replace(own, beat=beat))


def _write(lock: Path, holder: Holder) -> None:
    temporary = _temporary(lock)
    temporary.write_text(json.dumps(asdict(holder), ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, _record(lock))


def _record(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}.json")


def _temporary(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}.json.tmp")


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


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
