"""`TableLabeller`: labels as one step of a Ray Data pipeline of one's own.

    ray.data.read_parquet("reviews/")
        .map_batches(TableLabeller, fn_constructor_args=(make, settings), batch_format="pyarrow", batch_size=512,
                     compute=ray.data.ActorPoolStrategy(size=2), num_cpus=0.5, num_gpus=0.5)
        .write_parquet("labelled/")

The actors must leave the cluster a CPU to read with, or nothing moves. There is no journal and no resume, and a file
that Ray's reader cannot read stops the pipeline; `run_batch_on_ray` has all that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from fewshot_llm.batch.job import model_fingerprint
from fewshot_llm.batch.labeller import Labeller
from fewshot_llm.batch.rows import InputRow
from fewshot_llm.batch.shards import answer_columns, answer_schema
from fewshot_llm.batch.work import Settings, answer_new, assemble, prepare
from fewshot_llm.errors import BatchError
from fewshot_llm.files import result_names

__all__ = ["TableLabeller"]


class TableLabeller:
    """A picklable function of tables; where it runs it makes its labeller once.

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
