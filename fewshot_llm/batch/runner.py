"""`run_batch`: label every row of an input on this machine, lose none, and go on after any crash.

A shard is the unit of work: the same rows are always scored together, because a float score depends in its last
digits on its batch. Shards are prepared and written by this thread, in order; up to `workers` of them are scored
at once.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from fewshot_llm.batch.cache import ResultCache
from fewshot_llm.batch.disk import Disk
from fewshot_llm.batch.drift import SupportProfile
from fewshot_llm.batch.files import Source
from fewshot_llm.batch.job import (
    BatchReport,
    Output,
    finish_job,
    model_fingerprint,
    open_job,
    shards_of,
    write_shard,
)
from fewshot_llm.batch.labeller import Answer, Labeller
from fewshot_llm.batch.manifest import Journal
from fewshot_llm.batch.progress import Meter, Report
from fewshot_llm.batch.rows import Problem
from fewshot_llm.batch.work import Finished, Prepared, Settings, answer_new, assemble, prepare
from fewshot_llm.errors import BatchError

__all__ = ["run_batch"]

RESULTS = ".results.sqlite"

Answers: TypeAlias = dict[str, Answer | Problem]


def run_batch(
    labeller: Labeller,
    source: Source,
    output: Output,
    settings: Settings,
    *,
    workers: int = 1,
    cache: Path | None = None,
    report: Report | None = None,
    support: SupportProfile | None = None,
    disk: Disk | None = None,
) -> BatchReport:
    """Label every row of `source` into `output.folder`.

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
        The totals. Rows in error are no exception; look at `errors`.

    Raises:
        BatchError: the folder's job is another one, or a row would be lost.
        OSError: a write failed (a full disk); `resume` goes on from there.
    """
    if workers < 1:
        raise BatchError(f"At least one worker is needed; workers={workers} was given.")
    disk = disk or Disk()
    journal, schema = open_job(labeller, source, output, settings, f"local, {workers} at once", disk)
    meter = Meter.begin(source.count(), journal.entries, report)
    path, name = (cache, str(output.folder.resolve())) if cache else (output.folder / RESULTS, "this")
    results = ResultCache(path, name, resume=output.resume, lag=workers)
    try:
        for scored in _scored(labeller, source, journal, output, settings, results, workers, meter):
            entry = write_shard(journal, scored.finished, schema, output, disk)
            meter.shard_done(entry, scored.tokens, scored.computed)
    finally:
        results.close()
    ended = finish_job(journal, output, meter.at, support)
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


def _scored(
    labeller: Labeller,
    source: Source,
    journal: Journal,
    output: Output,
    settings: Settings,
    results: ResultCache,
    workers: int,
    meter: Meter,
) -> Iterator[_Scored]:
    """Shards that the journal lacks, in order."""
    model = model_fingerprint(labeller)
    shared = labeller.ruler.shared
    done = len(journal.entries)
    waiting: deque[_InWork] = deque()

    def finish(work: _InWork) -> _Scored:
        new = work.new.result()
        _store(results, model, new, work.prepared.shard)
        finished = assemble(work.prepared, work.known | new, model)
        computed = sum(work.prepared.tokens[key] for key in new) + (shared if new else 0)
        return _Scored(finished, work.prepared.row_tokens + shared * len(work.prepared.rows), computed)

    with ThreadPoolExecutor(workers) as pool:
        for number, rows in shards_of(source, output.rows_per_shard):
            if number < done:
                continue
            # What the next shard finds in the cache must not depend on how fast the others are: see ResultCache.
            while len(waiting) >= workers:
                yield finish(waiting.popleft())
            prepared = prepare(number, rows, labeller, settings)
            known = _find(results, model, prepared)
            missing = [one for key, one in prepared.rendered.items() if key not in known]
            new = pool.submit(answer_new, labeller, missing, meter.scoring())
            waiting.append(_InWork(prepared, known, new))
        while waiting:
            yield finish(waiting.popleft())


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
