"""`ResultCache`: answers by prompt, in SQLite, so that a text that comes again is not scored again.

A float result depends in its last digits on which prompts were scored together. To be byte-identical, a resumed
job must therefore find exactly the answers that an undisturbed one finds. Two rules give that: a job sees, of
other jobs, only what was there when it began; and of its own, only what shards at least `lag` before the asking
one have stored. Both hold however often a job is killed, and whatever shares the file meanwhile.

Beside the answers it keeps how far the scoring of unfinished shards is (`scoring.session`). Only the shard itself, in
a later run of the same job, is given that: it goes on with exactly the passes that are left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from fewshot_llm.errors import BatchError

__all__ = ["ResultCache"]

TABLES = """
CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, name TEXT NOT NULL, horizon INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL, job INTEGER NOT NULL, shard INTEGER NOT NULL, answer TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS by_key ON answers (key, job);
CREATE TABLE IF NOT EXISTS unfinished (
    job INTEGER NOT NULL, shard INTEGER NOT NULL, key TEXT NOT NULL, state BLOB NOT NULL, PRIMARY KEY (job, shard, key)
);
"""


class ResultCache:
    """Answers of this and earlier jobs.

    Args:
        path: the SQLite file; made when it is not there. `:memory:` keeps nothing.
        name: of the job in the file: its output folder, or anything where the file is its own.
        resume: go on with the last job of this name, if there is one.
        lag: how many shards may be in work at once.

    Raises:
        BatchError: the file is not such a cache, or cannot be written.
    """

    def __init__(self, path: Path | str, name: str, *, resume: bool, lag: int) -> None:
        self._lag = lag
        try:
            self._open(path, name, resume)
        except sqlite3.Error as error:
            raise BatchError(
                f"The result cache {path} cannot be used: {error}. Name another file, or delete this one."
            ) from error

    def _open(self, path: Path | str, name: str, resume: bool) -> None:
        self._base = sqlite3.connect(path, timeout=60)
        self._base.execute("PRAGMA journal_mode = WAL")
        # A shard that the journal knows must have its answers here even after a power cut.
        self._base.execute("PRAGMA synchronous = FULL")
        self._base.executescript(TABLES)
        with self._base:
            query = "SELECT id, horizon FROM jobs WHERE name = ? ORDER BY id DESC LIMIT 1"
            row: tuple[int, int] | None = self._base.execute(query, (name,)).fetchone() if resume else None
            if row is None:
                horizon: int = self._base.execute("SELECT COALESCE(MAX(id), 0) FROM answers").fetchone()[0]
                added = self._base.execute("INSERT INTO jobs (name, horizon) VALUES (?, ?)", (name, horizon))
                row = (added.lastrowid or 0, horizon)
        self._job, self._horizon = row

    def find(self, keys: Sequence[bytes], shard: int) -> dict[bytes, str]:
        """The answers that `shard` may see, by key."""
        query = "SELECT answer FROM answers WHERE key = ? AND (id <= ? OR (job = ? AND shard <= ?)) ORDER BY id LIMIT 1"
        seen = (self._horizon, self._job, shard - self._lag)
        found = ((key, self._base.execute(query, (key, *seen)).fetchone()) for key in keys)
        return {key: row[0] for key, row in found if row is not None}

    def store(self, answers: Mapping[bytes, str], shard: int) -> None:
        """Keep a shard's new answers: all of them, on the disk, or none."""
        rows = [(key, self._job, shard, answer) for key, answer in answers.items()]
        with self._writing():
            self._base.executemany("INSERT OR IGNORE INTO answers (key, job, shard, answer) VALUES (?, ?, ?, ?)", rows)

    def unfinished(self, shard: int) -> dict[str, bytes]:
        """How far the scoring of a shard was when the job was stopped, by key."""
        query = "SELECT key, state FROM unfinished WHERE job = ? AND shard = ?"
        return dict(self._base.execute(query, (self._job, shard)).fetchall())

    def keep_unfinished(self, states: Mapping[str, bytes], shard: int) -> None:
        """Keep how far the scoring of a shard is: all of it, on the disk, or none."""
        rows = [(self._job, shard, key, state) for key, state in states.items()]
        with self._writing():
            self._base.executemany(
                "INSERT OR REPLACE INTO unfinished (job, shard, key, state) VALUES (?, ?, ?, ?)", rows
            )

    def forget_unfinished(self, before: int) -> None:
        """Shards below `before` are finished: their states are not needed any more."""
        with self._writing():
            self._base.execute("DELETE FROM unfinished WHERE job = ? AND shard < ?", (self._job, before))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._base:
                yield
        except sqlite3.Error as error:
            raise BatchError(
                f"The result cache cannot be written: {error}. Nothing is lost; resume the job."
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._base.close()
