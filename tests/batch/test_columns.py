"""Columns of a batch job: the input's keep their names, ours never clash with them, whenever they come."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from fewshot_llm.batch import OTHER_COLUMNS, OUTPUT_COLUMNS, Output, Settings, open_source, run_batch
from fewshot_llm.files import json_value
from tests.batch.helpers import Run, contents, read_shards, write_jsonl
from tests.batch.stand_in import StandIn

OURS = (OTHER_COLUMNS, *OUTPUT_COLUMNS)
NAMES = st.sampled_from([f"{name}{suffix}" for name in (*OURS, "input_row", "id") for suffix in ("", "_2", "_3")])
VALUES = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3)),
    *(st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.floats(), max_size=2)),
)


def read_jsonl(folder: Path) -> list[dict[str, Any]]:
    lines = [line for path in sorted(folder.glob("shard-*.jsonl")) for line in path.read_text("utf-8").split("\n")]
    return [json.loads(line) for line in lines if line]


def test_row_and_input_row(label: Run, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": "good", "row": 111, "input_row": 222}])
    report = label(path, "parquet")
    label(path, "jsonl", form="jsonl")
    assert report.columns == {name: f"{name}_2" for name in OURS}
    for row in (*read_shards(tmp_path / "parquet"), *read_jsonl(tmp_path / "jsonl")):
        assert (row["text"], row["row"], row["input_row"], row["row_2"]) == ("good", 111, 222, 0)
    manifest = json.loads(report.manifest.read_text("utf-8"))
    assert manifest["job"]["result_columns"] == report.columns


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_former_output_is_labelled_again(label: Run, tmp_path: Path, form: Any) -> None:
    label(write_jsonl(tmp_path / "in.jsonl", [{"text": f"text {i}"} for i in range(25)]), "0", form=form)
    for number in (1, 2):
        label(str(tmp_path / str(number - 1) / f"shard-*.{form}"), str(number), form=form)
    read = read_shards if form == "parquet" else read_jsonl
    before, after = read(tmp_path / "1"), read(tmp_path / "2")
    assert [{name: row[name] for name in before[0]} for row in after] == before
    assert [row["row_3"] for row in after] == list(range(25))


@pytest.mark.parametrize("stop_after", [1, 2])
def test_resuming_keeps_the_names(label: Run, tmp_path: Path, stop_after: int) -> None:
    class Stopping(StandIn):
        calls = 0

        def answer(self, rendered, progress=None):  # type: ignore[no-untyped-def]
            Stopping.calls += 1
            if Stopping.calls > stop_after:
                raise KeyboardInterrupt
            return super().answer(rendered, progress)

    rows = [{"text": f"text {i}", "row": i} for i in range(15)] + [{"text": f"late {i}", "row_2": 5} for i in range(15)]
    path = write_jsonl(tmp_path / "in.jsonl", rows)
    label(path, "undisturbed")
    with pytest.raises(KeyboardInterrupt):
        label(path, "stopped", labeller=Stopping())
    label(path, "stopped", resume=True)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "undisturbed")


def collected(row: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    """The input's columns of an output row, those in `other_columns` among them."""
    added = set(columns.values())
    others = row.get(columns[OTHER_COLUMNS])
    others = json.loads(others) if isinstance(others, str) else others or {}
    return {name: value for name, value in row.items() if name not in added} | others


@settings(max_examples=60)
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=5), st.integers(1, 3))
def test_nothing_is_lost_whatever_comes_when(rows: list[dict[str, Any]], rows_per_shard: int) -> None:
    given_rows = [row | {"text": f"text {i}"} for i, row in enumerate(rows)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = open_source(write_jsonl(folder / "in.jsonl", given_rows))
        for form in ("jsonl", "parquet"):
            output = Output(folder / form, form, rows_per_shard)  # type: ignore[arg-type]
            report = run_batch(StandIn(), source, output, Settings({"text": "text"}))
            assert report.labelled == len(rows)
        columns = dict(report.columns)
        for row, found in zip(given_rows, read_jsonl(folder / "jsonl"), strict=True):
            assert collected(found, columns) == json_value(row)
        shards = [pq.read_table(path) for path in sorted((folder / "parquet").glob("*.parquet"))]
        assert all(len(set(shard.column_names)) == len(shard.column_names) for shard in shards)
        found_rows = [row for shard in shards for row in shard.to_pylist()]
        for row, found in zip(given_rows, found_rows, strict=True):
            kept = collected(found, columns)
            for column, value in json_value(row).items():
                if not (isinstance(row[column], float) and value is None):  # Parquet holds infinite numbers
                    assert kept[column] in (value, json.dumps(value, ensure_ascii=False))


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_types_of_parquet_come_out(label: Run, tmp_path: Path, form: Any) -> None:
    values: dict[str, Any] = {
        "day": dt.date(2024, 5, 1),
        "time": dt.time(1, 2, 3),
        "at": dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC),
        "took": dt.timedelta(seconds=3),
        "price": Decimal("2.50"),
        "raw": b"\x00",
        "nested": {"a": [{"b": 1}]},
    }
    table = pa.table({"text": ["good"], **{name: [value] for name, value in values.items()}})
    table = table.append_column("map", pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())))
    table = table.append_column("code", pa.array(["x"], pa.dictionary(pa.int32(), pa.string())))
    pq.write_table(table, tmp_path / "in.parquet")
    label(tmp_path / "in.parquet", "out", form=form)
    if form == "parquet":
        (row,) = read_shards(tmp_path / "out")
        assert {name: row[name] for name in values} == values
        assert (row["map"], row["code"], row["other_columns"]) == ([("k", 1)], "x", None)
    else:
        (row,) = read_jsonl(tmp_path / "out")
        assert {name: row[name] for name in values} == json_value(values)


def test_a_value_that_a_later_file_has_in_another_type_is_kept(label: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(pa.table({"text": ["a"], "n": [1], "day": [dt.date(2024, 5, 1)]}), folder / "1.parquet")
    later = {"text": ["b"], "n": [True], "day": [dt.datetime(2024, 5, 1, 12)]}
    pq.write_table(pa.table(later), folder / "2.parquet")
    label(folder, "out")
    row = read_shards(tmp_path / "out")[1]
    assert (row["n"], row["day"]) == (None, None)
    assert json.loads(row["other_columns"]) == {"n": True, "day": "2024-05-01 12:00:00"}
