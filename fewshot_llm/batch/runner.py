"""`run_batch`: label every row of an input on this machine, lose none, and go on after any crash.

A shard is the unit of work: the same rows are always scored together, because a float score depends in its last
digits on its batch. Shards are prepared and written by this thread, in order; up to `workers` of them are scored
at once. A text that comes again is not scored again: answers are kept by prompt, in SQLite (`ResultCache`).

To be byte-identical, a resumed job must therefore find exactly the answers that an undisturbed one finds. Two rules
give that: a job sees, of other jobs, only what was there when it began; and of its own, only what shards at least `lag`
before the asking one have stored. Both hold however often a job is killed, and whatever shares the file meanwhile.

Beside the answers the cache keeps how far the scoring of unfinished shards is (`scoring.Session`). Only the shard
itself, in a later run of the same job, is given that: it goes on with exactly the passes that are left.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event
from typing import TypeAlias

from fewshot_llm.batch.drift import SupportProfile
from fewshot_llm.batch.job import (
    BatchReport,
    Job,
    Output,
    finish_job,
    how_far,
    job_lock,
    model_fingerprint,
    open_job,
    shards_of,
    write_shard,
)
from fewshot_llm.batch.labeller import Answer, Labeller, Rendered
from fewshot_llm.batch.manifest import Disk
from fewshot_llm.batch.progress import Meter, ProgressReport
from fewshot_llm.batch.sources import RowSource
from fewshot_llm.batch.work import Finished, Prepared, Settings, answer_new, assemble, prepare
from fewshot_llm.errors import BatchError
from fewshot_llm.files import RowProblem
from fewshot_llm.scoring.base import OFTEN, Session
from fewshot_llm.types import Progress

__all__ = ["ResultCache", "run_batch"]

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


RESULTS = ".results.sqlite"

ANSWERS = "answers"
"""Under this key all answers of a shard are kept that was scored, but not yet written."""

PATIENCE = 0.2
"""Seconds between two looks, while shards are scored: for Ctrl-C, which waits for none of them, and for states to keep.
On Windows a thread that waits without a limit is not interrupted at all."""

Answers: TypeAlias = dict[str, Answer | RowProblem]


def run_batch(
    labeller: Labeller,
    source: RowSource,
    output: Output,
    settings: Settings,
    *,
    workers: int = 1,
    cache: Path | None = None,
    report: ProgressReport | None = None,
    support: SupportProfile | None = None,
    disk: Disk | None = None,
) -> BatchReport:
    """Label every row of `source` into `output.folder`.

    Ctrl-C ends it after the forward pass that is running. Finished shards stay, and of the unfinished ones what was
    scored is kept: `resume` goes on behind it.

    Args:
        labeller: a fitted classifier's labeller.
        source: the input rows, see `open_source`.
        output: where the shards go.
        settings: the text's columns, long texts, redaction.
        workers: shards scored at once; more than one pays off where the scorer waits (a remote server).
        cache: an SQLite file of answers that may be shared between jobs; by default the job has its own and
            deletes it when it is complete.
        report: called after every shard, and while one is scored.
        support: the support set's profile, for the drift check.
        disk: the writing system calls; a test's may fail.

    Returns:
        The totals. Rows in error are no exception; look at `errors`, and at `changed`.

    Raises:
        BatchError: the folder's job is another one, or a row would be lost.
        BusyError: another process writes the folder.
        OSError: a write failed (a full disk); `resume` goes on from there.
        KeyboardInterrupt: Ctrl-C; its note says what is finished and how to go on.
    """
    if workers < 1:
        raise BatchError(f"At least one worker is needed; workers={workers} was given.")
    disk = disk or Disk()
    with job_lock(output.folder):
        job = open_job(labeller, source, output, settings, f"local, {workers} at once", disk)
        meter = Meter.begin(source.count(), job.journal.entries, report)
        path, name = (cache, str(output.folder.resolve())) if cache else (output.folder / RESULTS, "this")
        results = ResultCache(path, name, resume=output.resume, lag=workers)
        scoring = _Scoring(labeller, job, settings, results, workers, meter)
        try:
            for scored in scoring.shards():
                entry = write_shard(job, scored.finished, disk)
                meter.shard_done(entry, scored.tokens, scored.computed)
            results.forget_unfinished(len(job.journal.entries))
        except BaseException as error:
            kept = scoring.stop()
            if isinstance(error, KeyboardInterrupt):
                error.add_note(str(how_far(job, meter.at.total, kept)))
            raise
        finally:
            results.close()
        ended = finish_job(job, meter.at, support)
        if cache is None:
            for leftover in output.folder.glob(f"{RESULTS}*"):
                leftover.unlink()
    return ended


@dataclass(frozen=True)
class _Scored:
    finished: Finished
    tokens: int
    computed: int


@dataclass(frozen=True)
class _InWork:
    prepared: Prepared
    known: Answers
    new: Future[Answers]
    session: Session


@dataclass
class _Scoring:
    """The shards that the journal lacks, some of them in work."""

    labeller: Labeller
    job: Job
    settings: Settings
    results: ResultCache
    workers: int
    meter: Meter
    stopped: Event = field(default_factory=Event)
    in_work: deque[_InWork] = field(default_factory=deque)
    kept_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.pool = ThreadPoolExecutor(self.workers, thread_name_prefix="batch")
        self.model = model_fingerprint(self.labeller)

    def shards(self) -> Iterator[_Scored]:
        """Shards, scored, in order. One counts as in work until the next is asked for: by then it is written."""
        done = len(self.job.journal.entries)
        for number, rows in shards_of(self.job.source, self.job.output.rows_per_shard):
            if number < done:
                continue
            # What the next shard finds in the cache must not depend on how fast the others are: see ResultCache.
            while len(self.in_work) >= self.workers:
                yield self._oldest()
                self.in_work.popleft()
            self._begin(prepare(number, rows, self.labeller, self.settings))
        while self.in_work:
            yield self._oldest()
            self.in_work.popleft()
        self.pool.shutdown()

    def _begin(self, prepared: Prepared) -> None:
        known = _find(self.results, self.model, prepared)
        missing = [one for key, one in prepared.rendered.items() if key not in known]
        session = Session(self.stopped, self.results.unfinished(prepared.shard))
        new: Future[Answers]
        if (kept := session.find(ANSWERS)) is not None:
            new = Future()
            new.set_result({key: Answer(**answer) for key, answer in json.loads(kept).items()})
        else:
            new = self.pool.submit(_answer, session, self.labeller, missing, self.meter.scoring())
        self.in_work.append(_InWork(prepared, known, new, session))

    def _oldest(self) -> _Scored:
        work = self.in_work[0]
        while not wait([work.new], timeout=PATIENCE).done:
            if time.monotonic() - self.kept_at >= OFTEN:
                self._keep_states()
                self.kept_at = time.monotonic()
        new = work.new.result()
        shared = self.labeller.ruler.shared
        _store(self.results, self.model, new, work.prepared.shard)
        self.results.forget_unfinished(work.prepared.shard)
        finished = assemble(work.prepared, work.known | new, self.model)
        computed = sum(work.prepared.tokens[key] for key in new) + (shared if new else 0)
        return _Scored(finished, work.prepared.row_tokens + shared * len(work.prepared.rows), computed)

    def stop(self) -> int:
        """End the scoring after the passes that are running, and keep what was scored.

        Returns:
            How many prompts of unfinished shards need not be scored again.
        """
        self.stopped.set()
        self.pool.shutdown(cancel_futures=True)
        with suppress(BatchError):  # the error that is under way matters more
            self._keep_states()
            return sum(self._keep_answers(work) or work.session.prompts for work in self.in_work)
        return 0

    def _keep_states(self) -> None:
        for work in self.in_work:
            if states := work.session.take():
                self.results.keep_unfinished(states, work.prepared.shard)

    def _keep_answers(self, work: _InWork) -> int:
        """Keep all answers of a shard that is scored; none where one failed, for that may succeed next time."""
        if work.new.cancelled() or work.new.exception() is not None:
            return 0
        answers = work.new.result()
        good = {key: asdict(answer) for key, answer in answers.items() if isinstance(answer, Answer)}
        if len(good) < len(answers):
            return 0
        state = json.dumps(good, ensure_ascii=False).encode("utf-8")
        self.results.keep_unfinished({ANSWERS: state}, work.prepared.shard)
        return len(good)


def _answer(session: Session, labeller: Labeller, rendered: Sequence[Rendered], progress: Progress | None) -> Answers:
    with session.active():
        session.check()
        return answer_new(labeller, rendered, progress)


def _cache_key(model: str, key: str) -> bytes:
    return hashlib.sha256(f"{model}\n{key}".encode()).digest()


def _find(results: ResultCache, model: str, prepared: Prepared) -> Answers:
    keys = {_cache_key(model, key): key for key in prepared.rendered}
    found = results.find(list(keys), prepared.shard)
    return {keys[key]: Answer(**json.loads(answer)) for key, answer in found.items()}


def _store(results: ResultCache, model: str, answers: Answers, shard: int) -> None:
    """Answers only: what failed may succeed next time."""
    good = {key: answer for key, answer in answers.items() if isinstance(answer, Answer)}
    lines = {_cache_key(model, key): json.dumps(asdict(a), ensure_ascii=False) for key, a in good.items()}
    results.store(lines, shard)
