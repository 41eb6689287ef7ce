"""Shards: the labelled rows of a fixed range of the input, as the bytes of one Parquet or JSONL file.

The same rows give the same bytes: the columns are fixed when the job starts, nothing in a shard tells the time,
and probabilities are rounded before they get here.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from fewshot_llm.files.values import json_line, json_text, same_value, text_of, typed_value, utf8_text
from fewshot_llm.files.writing import result_names

__all__ = [
    "OTHER_COLUMNS",
    "Format",
    "LabelledRow",
    "ShardSchema",
    "answer_columns",
    "answer_schema",
    "encode_shard",
    "input_schema",
    "output_names",
    "written_schema",
]

Format: TypeAlias = Literal["parquet", "jsonl"]

OTHER_COLUMNS = "other_columns"
"""What does not fit the columns that the job started with, as a JSON object: a column of every Parquet shard; in JSONL
only of rows with a column that came later and is called like one of ours."""

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


UNFIT = (pa.ArrowException, TypeError, ValueError, OverflowError)
"""What Arrow raises for a value that does not fit a type."""


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
        names: what the columns that the job adds are called, see `output_names`.
    """

    columns: pa.Schema
    labels: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=lambda: output_names(()))

    @property
    def arrow(self) -> pa.Schema:
        """Input columns under their own names, then the output's."""
        added = [pa.field(OTHER_COLUMNS, pa.string()), *answer_schema(self.labels)]
        return pa.schema([*self.columns, *(pa.field(self.names[one.name], one.type) for one in added)])


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


def output_names(columns: Iterable[str]) -> dict[str, str]:
    """What the columns that a job adds are called beside the input's, by `result_names`.

    >>> output_names(["text", "row"])["row"], output_names(["text"])["row"]
    ('row_2', 'row')
    """
    return result_names(columns, (OTHER_COLUMNS, *OUTPUT_COLUMNS))


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


def written_schema(declared: pa.Schema) -> pa.Schema:
    """The schema of an input as its shards can have it: each name once, and text where Parquet has no such type.

    >>> written_schema(pa.schema([("text", pa.string()), ("meta", pa.struct([]))]))
    text: string
    meta: string
    """
    first = {one.name: one for one in reversed(declared)}
    return pa.schema([pa.field(name, _stored(first[name].type)) for name in dict.fromkeys(declared.names)])


def _stored(kind: pa.DataType) -> pa.DataType:
    try:
        pq.write_table(pa.table({"values": pa.array([None], kind)}), pa.BufferOutputStream())
        return kind
    except UNFIT:
        return pa.string()


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
    return _parquet(rows, schema) if form == "parquet" else _jsonl(rows, schema)


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


def _jsonl(rows: Sequence[LabelledRow], schema: ShardSchema) -> bytes:
    ours = set(schema.names.values())
    lines = []
    for row in rows:
        late = {name: value for name, value in row.values.items() if name in ours}
        line = {name: value for name, value in row.values.items() if name not in ours}
        if late:
            line[schema.names[OTHER_COLUMNS]] = late
        lines.append(json_line(line | {schema.names[name]: value for name, value in answer_columns(row).items()}))
    return b"".join(lines)


def _parquet(rows: Sequence[LabelledRow], schema: ShardSchema) -> bytes:
    arrow = schema.arrow
    known = set(schema.columns.names)
    others: list[dict[str, Any]] = [
        {name: value for name, value in row.values.items() if name not in known} for row in rows
    ]
    arrays = [_column([row.values.get(one.name) for row in rows], one, others) for one in schema.columns]
    arrays.append(pa.array([utf8_text(json_text(other)) if other else None for other in others], pa.string()))
    answers = [answer_columns(row) for row in rows]
    arrays += [
        pa.array([answer[name] for answer in answers], arrow.field(schema.names[name]).type) for name in OUTPUT_COLUMNS
    ]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=arrow), sink, compression="zstd")
    return sink.getvalue()


def _column(values: list[Any], field: pa.Field, others: list[dict[str, Any]]) -> pa.Array:
    """One input column; a value of another type is null here and goes to `others`."""
    values = [typed_value(value) for value in values]
    if field.type == pa.string():
        values = [None if value is None else utf8_text(text_of(value)) for value in values]
    array = _fitting(values, field.type)
    if array is not None:
        return array
    kept: list[Any] = []
    for value, other in zip(values, others, strict=True):
        fits = _fitting([value], field.type) is not None
        kept.append(value if fits else None)
        if not fits:
            other[field.name] = value
    return pa.array(kept, field.type)


def _fitting(values: list[Any], kind: pa.DataType) -> pa.Array | None:
    """The values in a type, if they come back from it as they were."""
    try:
        array = pa.array(values, kind)
        return array if all(map(same_value, values, array.to_pylist())) else None
    except UNFIT:
        return None
