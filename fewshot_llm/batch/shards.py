"""Shards: the labelled rows of a fixed range of the input, as the bytes of one Parquet or JSONL file.

The same rows give the same bytes: the columns are fixed when the job starts, nothing in a shard tells the time,
and probabilities are rounded before they get here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = [
    "OTHER_COLUMNS",
    "Format",
    "LabelledRow",
    "ShardSchema",
    "answer_columns",
    "answer_schema",
    "encode_shard",
    "input_schema",
    "output_name",
]

Format: TypeAlias = Literal["parquet", "jsonl"]

OTHER_COLUMNS = "other_columns"
"""Column of Parquet shards: what does not fit the columns that the job started with, as a JSON object."""

OUTPUT_COLUMNS = (
    "row",
    "predicted_label",
    "probability",
    "probabilities",
    "margin",
    "abstained",
    "reason",
    "long_text",
    "model_fingerprint",
    "prompt_fingerprint",
)


@dataclass(frozen=True)
class LabelledRow:
    """One row of the output.

    Attributes:
        position: of the row in the input.
        values: the input's columns.
        label: the predicted label.
        probabilities: of every label, in label order, rounded.
        margin: best minus second best probability.
        abstained: the answer is too unsure to be used; its label is not written.
        reason: why.
        long_text: what was done to a text that did not fit (`truncated`, `3 chunks`), `None` for others.
        model_fingerprint: names everything that may change a score.
        prompt_fingerprint: of the rendered prompt.
    """

    position: int
    values: Mapping[str, Any]
    label: str
    probabilities: Mapping[str, float]
    margin: float
    abstained: bool
    reason: str | None
    long_text: str | None
    model_fingerprint: str
    prompt_fingerprint: str


@dataclass(frozen=True)
class ShardSchema:
    """The columns of every shard of a job.

    Attributes:
        columns: the input's columns and their Arrow types.
        labels: in label order; each is a field of the column `probabilities`.
    """

    columns: pa.Schema
    labels: tuple[str, ...]

    @property
    def arrow(self) -> pa.Schema:
        """Input columns under their own names (`input_…` where an output column has that name), then the output's."""
        given = [pa.field(output_name(field.name), field.type) for field in self.columns]
        return pa.schema([*given, pa.field(OTHER_COLUMNS, pa.string()), *answer_schema(self.labels)])


def answer_schema(labels: Sequence[str]) -> pa.Schema:
    """The columns that a job adds, and their types."""
    probabilities = pa.struct([pa.field(label, pa.float64()) for label in labels])
    types = [
        pa.int64(),
        pa.string(),
        pa.float64(),
        probabilities,
        pa.float64(),
        pa.bool_(),
        pa.string(),
        pa.string(),
        pa.string(),
        pa.string(),
    ]
    return pa.schema([pa.field(name, kind) for name, kind in zip(OUTPUT_COLUMNS, types, strict=True)])


def output_name(column: str) -> str:
    """Name of an input column in the output.

    >>> output_name("text"), output_name("row")
    ('text', 'input_row')
    """
    return f"input_{column}" if column in (*OUTPUT_COLUMNS, OTHER_COLUMNS) else column


def input_schema(rows: Sequence[Mapping[str, Any]]) -> pa.Schema:
    """Arrow types of rows that declare none: whole numbers, numbers, truth values, texts; JSON text for the rest.

    >>> input_schema([{"text": "a", "stars": 5}, {"text": "b", "stars": 4.5, "tags": ["x"]}])
    text: string
    stars: double
    tags: string
    """
    kinds: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(name, set()).add(type(value))
    return pa.schema([pa.field(name, _arrow_type(seen - {type(None)})) for name, seen in kinds.items()])


def _arrow_type(seen: set[type]) -> pa.DataType:
    if seen == {bool}:
        return pa.bool_()
    if seen == {int}:
        return pa.int64()
    if seen and seen <= {int, float}:
        return pa.float64()
    return pa.string()


def encode_shard(rows: Sequence[LabelledRow], schema: ShardSchema, form: Format) -> bytes:
    """The bytes of one shard file; no rows give a valid empty file."""
    return _parquet(rows, schema) if form == "parquet" else _jsonl(rows)


def answer_columns(row: LabelledRow) -> dict[str, Any]:
    """One row's values for `answer_schema`."""
    answer = (
        row.position,
        None if row.abstained else row.label,
        row.probabilities[row.label],
        dict(row.probabilities),
        row.margin,
        row.abstained,
        row.reason,
        row.long_text,
        row.model_fingerprint,
        row.prompt_fingerprint,
    )
    return dict(zip(OUTPUT_COLUMNS, answer, strict=True))


def _jsonl(rows: Sequence[LabelledRow]) -> bytes:
    lines = (
        json.dumps(
            {output_name(name): value for name, value in row.values.items()} | answer_columns(row),
            ensure_ascii=False,
            default=str,
        )
        for row in rows
    )
    return "".join(line + "\n" for line in lines).encode("utf-8")


def _parquet(rows: Sequence[LabelledRow], schema: ShardSchema) -> bytes:
    arrow = schema.arrow
    others: list[dict[str, Any]] = [
        {name: value for name, value in row.values.items() if name not in schema.columns.names} for row in rows
    ]
    arrays = [_column([row.values.get(field.name) for row in rows], field, others) for field in schema.columns]
    arrays.append(pa.array([_json(other) if other else None for other in others], pa.string()))
    answers = [answer_columns(row) for row in rows]
    arrays += [pa.array([answer[name] for answer in answers], arrow.field(name).type) for name in OUTPUT_COLUMNS]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=arrow), sink, compression="zstd")
    return sink.getvalue()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _column(values: list[Any], field: pa.Field, others: list[dict[str, Any]]) -> pa.Array:
    """One input column; a value of another type is null here and goes to `others`."""
    if field.type == pa.string():
        values = [value if value is None or isinstance(value, str) else _json(value) for value in values]
    try:
        return pa.array(values, field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        pass
    kept: list[Any] = []
    for value, other in zip(values, others, strict=True):
        try:
            pa.scalar(value, field.type)
            kept.append(value)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            kept.append(None)
            other[field.name] = value
    return pa.array(kept, field.type)
