"""The same job on a Ray cluster: shards go to actors, finished shards come back and are written here.

Ray Data does the distributing (`range → map_batches → iter_batches`): actors on any number of machines, fractions
of GPUs, retries when an actor dies. An actor reads its shards from the input itself, which must lie where every
machine can read it; only this process writes, so the journal's promise holds as it does locally. Ray's own readers
are not used: one bad row stops them, and they know no row positions.

Nothing is shared between shards here, so a text is scored once per shard, not once per job. And nothing is kept of an
unfinished shard when the job is stopped: the actors are ended, and it is scored again.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fewshot_llm.batch.disk import Disk
from fewshot_llm.batch.drift import SupportProfile
from fewshot_llm.batch.files import Source
from fewshot_llm.batch.job import (
    BatchReport,
    Output,
    finish_job,
    how_far,
    job_lock,
    model_fingerprint,
    open_job,
    write_shard,
)
from fewshot_llm.batch.labeller import Labeller
from fewshot_llm.batch.progress import Meter, Report
from fewshot_llm.batch.rows import InputRow
from fewshot_llm.batch.work import Finished, Settings, answer_new, assemble, prepare
from fewshot_llm.errors import BatchError

__all__ = ["Cluster", "RayLabeller", "run_batch_on_ray"]


@dataclass(frozen=True)
class Cluster:
    """Where and how wide.

    Attributes:
        actors: how many hold the model.
        address: of a running cluster, `auto` for this machine's; `None` starts one here and ends it again.
        gpus: per actor; a fraction lets several share one.
        cpus: per actor.
    """

    actors: int = 1
    address: str | None = None
    gpus: float = 0.0
    cpus: float = 1.0

    def __post_init__(self) -> None:
        if self.actors < 1:
            raise BatchError(f"At least one actor is needed; {self.actors} were asked for.")


class RayLabeller:
    """One actor: it makes the labeller once and then labels the shards it is given.

    Args:
        make: gives the labeller; called in the actor, so that a model is loaded there.
        source: the input.
        settings: what is done to every row.
        rows_per_shard: input rows per shard.
    """

    def __init__(self, make: Callable[[], Labeller], source: Source, settings: Settings, rows_per_shard: int) -> None:
        self._labeller = make()
        self._source = source
        self._settings = settings
        self._size = rows_per_shard
        self._rows: Iterator[InputRow] = iter(())
        self._next = -1

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The finished shards of a batch of shard numbers, pickled."""
        finished = [pickle.dumps(self._label(int(number))) for number in batch["shard"]]
        return {"shard": list(batch["shard"]), "finished": finished}

    def _label(self, number: int) -> tuple[Finished, int, int]:
        labeller = self._labeller
        prepared = prepare(number, self._read(number), labeller, self._settings)
        answers = answer_new(labeller, list(prepared.rendered.values()))
        shared = labeller.ruler.shared
        tokens = prepared.row_tokens + shared * len(prepared.rows)
        computed = sum(prepared.tokens.values()) + shared
        return assemble(prepared, answers, model_fingerprint(labeller)), tokens, computed

    def _read(self, number: int) -> list[InputRow]:
        # Shards come in rising order, but for retries: reading goes on from where it is, or begins again.
        if self._next < 0 or number < self._next:
            self._rows, self._next = self._source.rows(), 0
        skipped = (number - self._next) * self._size
        rows = list(islice(self._rows, skipped, skipped + self._size))
        self._next = number + 1
        return rows


def run_batch_on_ray(
    make: Callable[[], Labeller],
    source: Source,
    output: Output,
    settings: Settings,
    cluster: Cluster,
    *,
    report: Report | None = None,
    support: SupportProfile | None = None,
    disk: Disk | None = None,
) -> BatchReport:
    """Label every row of `source`, with the model in `cluster.actors` processes.

    Args:
        make: gives the labeller; a picklable function. Called here once (to describe the job) and in every actor.
        source: the input, readable on every machine of the cluster.
        output: where this process writes.
        settings: the text's columns, long texts, redaction.
        cluster: where to run.
        report: called after every shard.
        support: the support set's profile, for the drift check.
        disk: the writing system calls.

    Raises:
        BatchError: Ray is not installed, the folder's job is another one, or a row would be lost.
        BusyError: another process writes the folder.
        KeyboardInterrupt: Ctrl-C; finished shards stay, the running ones are lost. Its note says how to go on.
    """
    disk = disk or Disk()
    with job_lock(output.folder), _connected(cluster):
        described = make()
        job = open_job(described, source, output, settings, "ray", disk)
        meter = Meter.begin(source.count(), job.journal.entries, report)
        del described  # the actors need the memory
        shards = -(-meter.at.total // output.rows_per_shard)
        missing = range(len(job.journal.entries), shards)
        try:
            for finished, tokens, computed in _finished(missing, make, source, output, settings, cluster):
                entry = write_shard(job, finished, disk)
                meter.shard_done(entry, tokens, computed)
        except KeyboardInterrupt as stop:
            stop.add_note(how_far(job, meter.at.total))
            raise
        return finish_job(job, meter.at, support)


def _finished(
    shards: range,
    make: Callable[[], Labeller],
    source: Source,
    output: Output,
    settings: Settings,
    cluster: Cluster,
) -> Iterator[tuple[Finished, int, int]]:
    if not shards:
        return
    import ray

    context = ray.data.DataContext.get_current().copy()
    context.execution_options.preserve_order = True  # the journal is written in the input's order
    with ray.data.DataContext.current(context):
        numbers = ray.data.from_items([{"shard": number} for number in shards], override_num_blocks=len(shards))
        done = numbers.map_batches(
            RayLabeller,
            fn_constructor_args=(make, source, settings, output.rows_per_shard),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(cluster.actors, len(shards))),
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus or None,
        )
        for row in done.iter_rows():
            yield pickle.loads(row["finished"])


@contextmanager
def _connected(cluster: Cluster) -> Iterator[None]:
    """Ray for the length of a job; a connection that is there already is used and left."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise BatchError(
            "The Ray engine needs the package ray. Install it with: pip install 'fewshot-llm[ray]'."
        ) from error
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address=cluster.address, log_to_driver=False, include_dashboard=False)
    try:
        yield
    finally:
        ray.shutdown()
