"""`sole_writer`: one process at a time at a place on the disk, and the others are told which.

The lock is the kernel's: it ends with the process that holds it, however that ends (kill -9, a crash, a reboot). A
small file beside it says who holds it. Where the place lies on storage that several machines share, a kernel may not
see the locks of another one. So that file also counts on every few seconds while its process lives, and what another
machine left is taken over only when its count has stood still.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from filelock import FileLock, Timeout

from fewshot_llm.errors import BusyError

__all__ = ["Holder", "holder_of", "sole_writer"]

BEAT = 5.0
"""Seconds between two signs of life."""

SILENCE = 4 * BEAT
"""Seconds without one after which a process of another machine counts as dead."""

NO_LOCKS_HERE = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}

_log = logging.getLogger(__name__)
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
    _log.warning(
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
    _log.warning("There was none: that process is taken for dead, and its place is taken over.")


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
