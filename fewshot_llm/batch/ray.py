"""A batch job on a Ray cluster, and the same labels as a step of a Ray Data pipeline of one's own.

`run_batch_on_ray`: shards go to actors, finished shards come back and are written here. Ray Data does the distributing
(`range → map_batches → iter_batches`): actors on any number of machines, fractions of GPUs, retries when an actor dies.
An actor reads its shards from the input itself, which must lie where every machine can read it; only this process
writes, so the journal's promise holds as it does locally. Ray's own readers are not used: one bad row stops them, and
they know no row positions. Nothing is shared between shards, so a text is scored once per shard, not once per job; and
nothing is kept of an unfinished shard when the job is stopped: the actors are ended, and it is scored again.

In a pipeline labels come from a model in its actors (`TableLabeller`) or from a fleet of servers (`ServedLabels`).
There is no journal and no resume there, and one bad row stops it.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from fewshot_llm.batch.drift import SupportProfile
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
from fewshot_llm.batch.manifest import Disk
from fewshot_llm.batch.progress import Meter, ProgressReport
from fewshot_llm.batch.shards import answer_columns, answer_schema
from fewshot_llm.batch.sources import InputRow, RowSource
from fewshot_llm.batch.work import Finished, Settings, answer_new, assemble, prepare
from fewshot_llm.data import Example, SupportSet
from fewshot_llm.errors import BatchError, ServerError
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.files import result_names
from fewshot_llm.predictors.prompted import PromptedPredictor, Sum
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.scoring.encoding import Encoded, encode
from fewshot_llm.scoring.remote.candidates import in_order
from fewshot_llm.scoring.remote.servers import EchoCompletions, echo_score
from fewshot_llm.stats.calibration import Calibration

__all__ = ["Cluster", "RayLabeller", "ServedLabels", "TableLabeller", "run_batch_on_ray"]


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

    def __init__(
        self, make: Callable[[], Labeller], source: RowSource, settings: Settings, rows_per_shard: int
    ) -> None:
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
    source: RowSource,
    output: Output,
    settings: Settings,
    cluster: Cluster,
    *,
    report: ProgressReport | None = None,
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
            stop.add_note(str(how_far(job, meter.at.total)))
            raise
        return finish_job(job, meter.at, support)


def _finished(
    shards: range,
    make: Callable[[], Labeller],
    source: RowSource,
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


class TableLabeller:
    """One step of a Ray Data pipeline: a picklable function of tables; where it runs it makes its labeller once.

        ray.data.read_parquet("reviews/")
            .map_batches(TableLabeller, fn_constructor_args=(make, settings), batch_format="pyarrow", batch_size=512,
                         compute=ray.data.ActorPoolStrategy(size=2), num_cpus=0.5, num_gpus=0.5)
            .write_parquet("labelled/")

    The actors must leave the cluster a CPU to read with, or nothing moves. There is no journal and no resume, and a
    file that Ray's reader cannot read stops the pipeline; `run_batch_on_ray` has all that.

    Args:
        make: gives the labeller, for example a `SavedClassifier`.
        settings: what is done to every row; without a redactor, for the table's own columns pass through.

    Raises:
        BatchError: the settings ask for redaction.
    """

    def __init__(self, make: Callable[[], Labeller], settings: Settings) -> None:
        if settings.redactor is not None:
            raise BatchError(
                "A TableLabeller leaves the table's columns as they are, so it cannot redact them. Use "
                "run_batch_on_ray, or redact in a step before."
            )
        self._labeller = make()
        self._model = model_fingerprint(self._labeller)
        self._settings = settings

    def __call__(self, table: pa.Table) -> pa.Table:
        """The table with the columns of a shard, less `row`, and `error`: why a row has no label, else null.

        Where the table has a column of such a name, the added ones end in `_2`.
        """
        rows = [InputRow(place, "table", place + 1, values) for place, values in enumerate(table.to_pylist())]
        if not rows:
            return table
        prepared = prepare(0, rows, self._labeller, self._settings)
        answers = answer_new(self._labeller, list(prepared.rendered.values()))
        finished = assemble(prepared, answers, self._model)
        schema = answer_schema(self._labeller.labels).append(pa.field("error", pa.string()))
        columns: dict[str, list[Any]] = {name: [None] * len(rows) for name in schema.names}
        for labelled in finished.labelled:
            for name, value in answer_columns(labelled).items():
                columns[name][labelled.position] = value
        for failed in finished.errors:
            columns["error"][failed["row"]] = f"{failed['kind']}: {failed['reason']}"
        added = [field for field in schema if field.name != "row"]  # known only to those who read the input in order
        names = result_names(table.column_names, [field.name for field in added])
        for field in added:
            table = table.append_column(names[field.name], pa.array(columns[field.name], field.type))
        return table


SERVER = "The server"


@dataclass(frozen=True, eq=False)
class ServedLabels:
    """A fleet of servers asked through `ray.data.llm`'s HTTP processor: a row becomes a request, an answer a label.

    For servers that echo a prompt with log-probabilities (vLLM, SGLang). Nothing is loaded where it runs but the
    tokenizer. Needs `pip install fewshot-llm[ray]`. One bad row stops such a pipeline: filter before it. The local
    engine with a `RemoteScorer` has a journal besides.

        steps = ServedLabels.of(classifier, model="base")
        config = HttpRequestProcessorConfig(url="http://HOST:8000/v1/completions", concurrency=4, max_retries=3)
        label = build_processor(config, preprocess=steps.request, postprocess=steps.label)
        label(ray.data.read_parquet("reviews/")).write_parquet("labelled/")

    Attributes:
        builder: makes the prompts; it has the tokenizer.
        support: where demonstrations come from.
        calibration: makes scores probabilities.
        model: the served model's or adapter's name.
        columns: for each field of the task, the column that holds it.
    """

    builder: PromptBuilder
    support: SupportSet
    calibration: Calibration
    model: str
    columns: Mapping[str, str]

    @classmethod
    def of(cls, classifier: FewShotClassifier, model: str, columns: Mapping[str, str] | None = None) -> ServedLabels:
        """From a fitted classifier.

        Args:
            classifier: fitted with the model that is served, so that its calibration fits.
            model: the served model's or adapter's name.
            columns: for each field of the task, the column that holds it; by default of the same name.

        Raises:
            BatchError: what answers is no prompt alone, averages over several prompts, or does not simply sum a label's
                tokens.
        """
        predictor = classifier.predictor_
        if not isinstance(predictor, PromptedPredictor):
            raise BatchError(
                "This recipe asks a server one prompt a row, and what answers here is no prompt alone. Fit with "
                "ladder=None, or save the classifier and label with a TableLabeller."
            )
        inference, calibrations = predictor.inference, predictor.calibrations
        if len(calibrations) != 1 or not isinstance(inference.normalisation, Sum):
            raise BatchError(
                "This recipe asks one prompt a row and sums its scores. Fit with permutations=1 and "
                "normalisation='sum', or use a RemoteScorer, which knows the others too."
            )
        fields = inference.builder.task.fields
        return cls(
            inference.builder,
            inference.support,
            calibrations[0],
            model,
            {name: name for name in fields} if columns is None else columns,
        )

    def request(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with `payload`: one request for a prompt with each of its answers, as token ids."""
        encoded = self._encoded(row)
        payload = {
            "model": self.model,
            "prompt": [[*encoded.context, *answer] for answer in encoded.answers],
            "max_tokens": 1,
            "temperature": 0,
            "echo": True,
            "logprobs": 1,
        }
        return {**row, "payload": payload}

    def label(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with `predicted_label`, `probability` and `margin`, from `http_response`.

        Raises:
            ServerError: the server did not answer every prompt with log-probabilities.
        """
        encoded = self._encoded(row)
        try:
            told = EchoCompletions.model_validate(row["http_response"])
        except ValidationError as error:
            said = f"{error.errors()[0]['msg']}: {str(row['http_response'])[:200]}"
            raise ServerError(f"The server answered in another form than expected. {said}") from None
        choices = in_order(SERVER, told.choices, len(encoded.answers))
        start = len(encoded.context)
        pairs = zip(encoded.answers, choices, strict=True)
        scores = np.array([[echo_score(SERVER, choice, start, start + len(answer)) for answer, choice in pairs]])
        p = self.calibration.probabilities(scores)[0]
        best = int(p.argmax())
        ranked = np.sort(p)
        kept = {name: value for name, value in row.items() if name not in ("payload", "http_response")}
        return {
            **kept,
            "predicted_label": self.builder.labels[best],
            "probability": float(p[best]),
            "margin": float(ranked[-1] - ranked[-2]) if len(p) > 1 else 1.0,
        }

    def _encoded(self, row: Mapping[str, Any]) -> Encoded:
        fields = {name: row[column] for name, column in self.columns.items() if column in row}
        return encode(self.builder.tokenizer, [self.builder.build(Example(fields), self.support)])[0]
