"""`Session`: scoring that can be stopped between two forward passes and goes on later, with the same bits.

A float score depends in its last digits on what is computed together with it. So what is kept of an unfinished call
is not the scores of some rows, to which others would be added: it is the state of the call itself, after a pass, from
which the passes that follow are exactly those of an undisturbed run. Scorers find the session of their thread here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event, Lock

__all__ = ["Session", "Stopped", "check_stop", "current_session"]

OFTEN = 10.0
"""Seconds between two states of one call that are kept unasked: what `kill -9` costs at most."""


class Stopped(KeyboardInterrupt):
    """Scoring ended because its session was stopped."""


class Session:
    """One piece of work whose scoring may be stopped.

    Args:
        stop: set it, from any thread, to end the scoring after the forward pass that is running.
        kept: states that an earlier session kept, by key.

    Example:
        >>> session = Session(Event())
        >>> with session.active():
        ...     session is current_session()
        True
    """

    def __init__(self, stop: Event, kept: Mapping[str, bytes] | None = None) -> None:
        self._stop = stop
        self._earlier = dict(kept or {})
        self._new: dict[str, bytes] = {}
        self._prompts: dict[str, int] = {}
        self._told = time.monotonic()
        self._lock = Lock()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within it, the scorers that this thread calls belong to the session."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    def check(self) -> None:
        """Raise `Stopped` if the session was stopped."""
        if self._stop.is_set():
            raise Stopped

    def find(self, key: str) -> bytes | None:
        """The state that an earlier session kept of a call, `None` where there is none."""
        return self._earlier.get(key)

    def keep(self, key: str, state: bytes, prompts: int) -> None:
        """Keep a call's state; it replaces an older one.

        Args:
            key: of everything that the call's results depend on.
            state: what `find` gives the next session.
            prompts: how many of the call's prompts need no further pass.
        """
        with self._lock:
            self._new[key], self._prompts[key] = state, prompts

    def keep_often(self, key: str, state: Callable[[], bytes], prompts: int) -> None:
        """`keep`, but only where a while has gone by since the last time."""
        if time.monotonic() - self._told >= OFTEN:
            self._told = time.monotonic()
            self.keep(key, state(), prompts)

    def take(self) -> dict[str, bytes]:
        """The states that are kept and were not taken before."""
        with self._lock:
            new, self._new = self._new, {}
        return new

    @property
    def prompts(self) -> int:
        """How many prompts need no further pass, over all calls whose states are kept."""
        return sum(self._prompts.values())


_CURRENT: ContextVar[Session | None] = ContextVar("fewshot_session", default=None)


def current_session() -> Session | None:
    """The session that this thread works for; `None` outside of any."""
    return _CURRENT.get()


def check_stop() -> None:
    """Raise `Stopped` if this thread works for a session that was stopped."""
    session = _CURRENT.get()
    if session is not None:
        session.check()
