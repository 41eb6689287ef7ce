"""Whatever a reader can give goes to every output: nothing fails, nothing is lost, no column is renamed."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import math
import tempfile
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings, strategies as st
from openpyxl.utils.escape import unescape

from fewshot_llm.errors import DataFileError
from fewshot_llm.files import (
    json_value,
    require_writable,
    result_names,
    same_value,
    text_of,
    typed_value,
    write_rows,
    written_form,
)
from fewshot_llm.labelling import RESULT_COLUMNS

ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz", ".json.zst", ".csv.gz", ".tsv.zst", ".parquet", ".xlsx")

ODD: dict[str, tuple[Any, Any]] = {
    "date": (dt.date(2024, 5, 1), "2024-05-01"),
    "time": (dt.time(1, 2, 3, 4), "01:02:03.000004"),
    "with a zone": (dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC), "2024-05-01 12:00:00+00:00"),
    "without": (dt.datetime(2024, 5, 1, 12, 30), "2024-05-01 12:30:00"),
    "before 1900": (dt.date(1789, 7, 14), "1789-07-14"),
    "duration": (dt.timedelta(days=-1, seconds=3), "-1 day, 0:00:03"),
    "decimal": (Decimal("2.50"), "2.50"),
    "not a decimal": (Decimal("NaN"), None),
    "bytes": (b"\x00\xff", "b'\\x00\\xff'"),
    "uuid": (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    "numpy number": (np.float32(0.5), 0.5),
    "numpy truth": (np.bool_(True), True),
    "numpy array": (np.array([[1, 2]]), [[1, 2]]),
    "numpy time": (np.datetime64("2024-01-01T00:00:00", "ns"), "2024-01-01 00:00:00"),
    "finer": (np.datetime64("2024-01-01T00:00:00.000000001", "ns"), "2024-01-01T00:00:00.000000001"),
    "numpy NaT": (np.datetime64("NaT"), None),
    "pandas NaT": (pd.NaT, None),
    "pandas NA": (pd.NA, None),
    "timestamp": (pd.Timestamp("2024-01-01"), "2024-01-01 00:00:00"),
    "NaN": (math.nan, None),
    "infinite": (-math.inf, None),
    "big": (2**80, 2**80),
    "nested": ({"a": [{"b": math.nan}], "d": dt.date(2024, 5, 1)}, {"a": [{"b": None}], "d": "2024-05-01"}),
    "tuple": ((1, None), [1, None]),
    "set": ({"b", "a"}, ["a", "b"]),
    "number as a key": ({1: "a"}, {"1": "a"}),
    "nothing": ({}, {}),
}  # fmt: skip


def strictly(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def read_back(path: Path) -> tuple[list[str], list[list[Any]]]:
    """Columns and cells, by other readers than ours."""
    kind, compression = written_form(path)
    if kind == "parquet":
        table = pq.read_table(path)
        return table.column_names, [[column[i].as_py() for column in table.columns] for i in range(table.num_rows)]
    if kind == "xlsx":
        rows = list(openpyxl.load_workbook(path).active.iter_rows(values_only=True))
        rows = [[unescape(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        return [name or "" for name in rows[0]], rows[1:]
    data = path.read_bytes()
    if compression:
        data = gzip.decompress(data) if compression == ".gz" else pa.input_stream(path, compression="zstd").read()
    text = data.decode("utf-8", "surrogateescape")
    if kind in ("csv", "tsv"):
        cells = list(csv.reader(io.StringIO(text, newline=""), delimiter="," if kind == "csv" else "\t"))
        return cells[0], cells[1:]
    found = strictly(text) if kind == "json" else [strictly(line) for line in text.split("\n") if line]
    columns = list(dict.fromkeys(name for row in found for name in row))
    return columns, [[row.get(name) for name in columns] for row in found]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ODD)
def test_a_value_of_any_kind_is_written(tmp_path: Path, ending: str, kind: str) -> None:
    value, in_json = ODD[kind]
    path = tmp_path / f"rows{ending}"
    write_rows(path, [{"id": "1", "odd": value}, {"id": "2", "odd": None}])
    columns, rows = read_back(path)
    assert columns == ["id", "odd"]
    form, _ = written_form(path)
    if form in ("jsonl", "json"):
        assert rows == [["1", in_json], ["2", None]]
    elif form in ("csv", "tsv"):
        assert rows == [["1", text_of(value)], ["2", ""]]
    elif form == "parquet":
        assert same_value(typed_value(value), rows[0][1]) or rows[0][1] == text_of(value)
        assert rows[1] == ["2", None]
    else:
        shown = rows[0][1]
        native = shown == typed_value(value) or (isinstance(shown, dt.datetime) and shown.date() == value)
        assert native or (shown or "") == text_of(value)


def test_text_is_the_same_in_every_output() -> None:
    for kind, (value, in_json) in ODD.items():
        if isinstance(in_json, str):
            assert text_of(value) == json_value(value) == in_json, kind


@pytest.mark.parametrize("ending", ENDINGS)
def test_timestamps_of_a_parquet_file(tmp_path: Path, ending: str) -> None:
    zone = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
    table = pa.table({"id": [1, 2], "created_at": pa.array([zone, None], pa.timestamp("us", "UTC"))})
    pq.write_table(table, tmp_path / "in.parquet")
    write_rows(tmp_path / f"out{ending}", pq.read_table(tmp_path / "in.parquet").to_pylist())
    _, rows = read_back(tmp_path / f"out{ending}")
    assert rows[0][1] in (zone, "2024-05-01 12:00:00+00:00")
    assert not rows[1][1]


def test_missing_number_is_null(tmp_path: Path) -> None:
    rows = [{"id": 1, "stars": math.nan}, {"id": 2, "stars": 4.5}]
    write_rows(tmp_path / "out.jsonl", rows)
    assert (tmp_path / "out.jsonl").read_text() == '{"id": 1, "stars": null}\n{"id": 2, "stars": 4.5}\n'
    write_rows(tmp_path / "out.csv", rows)
    assert (tmp_path / "out.csv").read_text() == "id,stars\n1,\n2,4.5\n"


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.decimals(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=8))])),
    st.timedeltas(),
    st.binary(max_size=5),
    st.uuids(),
    st.text(max_size=8),
    st.text(st.characters(categories=["Cs"]), max_size=2),
    st.sampled_from(["=1+1", "+1", "-x", "@a", "007", "123456789012345678", "#N/A", "_x0041_", "a\r\nb", " x "]),
    st.sampled_from([pd.NaT, pd.NA, np.int64(3), np.float64("nan"), pd.Timestamp("2024-01-01"), np.array([1.5])]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5) | st.sampled_from(
    [f"{name}{suffix}" for name in RESULT_COLUMNS for suffix in ("", "_2", "_3")]
)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), min_size=1, max_size=4)


@pytest.mark.parametrize("ending", ENDINGS)
@given(rows=ROWS)
@settings(max_examples=40)
@example(rows=[{"a": {"x": 1}}, {"a": {"y": 2}}])
@example(rows=[{"a": 1}, {"a": True}])
@example(rows=[{"a": Decimal("sNaN")}])
def test_nothing_is_lost(ending: str, rows: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows{ending}"
        require_writable(path, rows)
        write_rows(path, rows)
        columns, cells = read_back(path)
    assert columns == list(dict.fromkeys(name for row in rows for name in row))
    assert len(cells) == len(rows)
    form, _ = written_form(f"rows{ending}")
    for row, found in zip(rows, cells, strict=True):
        for name, cell in zip(columns, found, strict=True):
            value = row.get(name)
            if form in ("jsonl", "json"):
                assert same_value(strictly(json.dumps(json_value(value))), cell)  # which joins halves of a pair
            elif form in ("csv", "tsv"):
                assert text_of(value) in (cell, bytes_back(text_of(value), cell))
            elif form == "parquet":
                assert same_value(escaped(typed_value(value)), cell) or escaped(text_of(value)) == cell
            else:
                assert_in_a_sheet(typed_value(value), cell)


def bytes_back(text: str, cell: str) -> str:
    """The text, where the cell is what UTF-8 can hold of it."""
    held = "".join(c if not 0xD800 <= ord(c) < 0xDC80 and not 0xDD00 <= ord(c) <= 0xDFFF else escaped(c) for c in text)
    return text if held.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == cell else ""


def escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [escaped(part) for part in value]
    return {escaped(key): escaped(part) for key, part in value.items()} if isinstance(value, dict) else value


def assert_in_a_sheet(value: Any, cell: Any) -> None:
    if isinstance(cell, dt.datetime):
        assert cell == value or (cell.date() == value and cell.time() == dt.time())
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        assert float(cell) == pytest.approx(float(value), rel=1e-15)
    elif isinstance(cell, bool):
        assert cell == value
    else:
        assert (cell or "") == escaped(text_of(value))


@given(st.sets(NAMES | st.text(max_size=3)), st.sampled_from([RESULT_COLUMNS, ("text",), ("a", "a_2")]))
def test_names_of_results_never_clash(columns: set[str], names: tuple[str, ...]) -> None:
    found = result_names(columns, names)
    assert list(found) == list(names)
    assert not columns & set(found.values())
    assert len(set(found.values())) == len(names)
    assert len({column.removeprefix(name) for name, column in found.items()}) == 1


def test_labelling_an_output_again_and_again() -> None:
    columns = ["text"]
    for suffix in ("", "_2", "_3"):
        found = result_names(columns, RESULT_COLUMNS)
        assert list(found.values()) == [f"{name}{suffix}" for name in RESULT_COLUMNS]
        columns += found.values()


def test_a_spreadsheet_runs_no_formula_and_shortens_no_number(tmp_path: Path) -> None:
    row = {
        "formula": "=cmd|' /C calc'!A0",
        "error": "#N/A",
        "id": "123456789012345678",
        "whole id": 123456789012345678,
        "zeros": "007",
        "phone": "+8613800138000",
        "number": 12.5,
        "amount": Decimal("2.50"),
        "day": dt.date(2024, 5, 1),
    }
    write_rows(tmp_path / "out.xlsx", [row])
    cells = list(openpyxl.load_workbook(tmp_path / "out.xlsx").active.iter_rows())[1]
    assert [cell.data_type for cell in cells] == ["s"] * 6 + ["n", "n", "d"]
    assert [cell.value for cell in cells] == [
        *("=cmd|' /C calc'!A0", "#N/A", "123456789012345678", "123456789012345678", "007", "+8613800138000"),
        *(12.5, 2.5, dt.datetime(2024, 5, 1)),
    ]
    assert [cell.number_format for cell in cells[-2:]] == ["0.00", "yyyy-mm-dd"]


LABELLED = {
    "id": "123456789012345678",
    "zeros": "007",
    "text": "=1+1",
    "dash": "- too small",
    "minus": "-5",
    "stars": 4.5,
    "probability_bad": "mine",
    "predicted_label": "good",
    "probability": 2 / 3,
    "probabilities": {"good": 2 / 3, "bad": 1 / 3},
}
UNLABELLED = dict.fromkeys(LABELLED) | {"id": "1", "text": "+49 30 123"}


@pytest.mark.parametrize(("excel", "delimiter", "mark"), [(True, ",", "."), ("semicolon", ";", ",")])
def test_csv_for_people(tmp_path: Path, excel: Any, delimiter: str, mark: str) -> None:
    path = tmp_path / "out.csv"
    write_rows(path, [LABELLED, UNLABELLED], excel=excel, results=RESULT_COLUMNS)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    first, second = csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline=""), delimiter=delimiter)
    assert first == {
        "id": '="123456789012345678"',
        "zeros": '="007"',
        "text": "'=1+1",
        "dash": "'- too small",
        "minus": "-5",
        "stars": f"4{mark}5",
        "probability_bad": "mine",
        "predicted_label": "good",
        "probability": f"0{mark}6667",
        "probability_good_2": f"0{mark}6667",
        "probability_bad_2": f"0{mark}3333",
    }
    assert second["text"] == "+49 30 123"
    assert [second[name] for name in second if name not in ("id", "text")] == [""] * 9


def test_a_sheet_has_a_column_for_each_label(tmp_path: Path) -> None:
    write_rows(tmp_path / "out.xlsx", [LABELLED, UNLABELLED], results=RESULT_COLUMNS)
    header, first, _ = openpyxl.load_workbook(tmp_path / "out.xlsx").active.iter_rows()
    assert [cell.value for cell in header][-3:] == ["probability", "probability_good_2", "probability_bad_2"]
    assert first[-1].value == pytest.approx(1 / 3)
    assert first[-1].number_format == "0.0000"


def test_lists_of_results_are_read_by_people(tmp_path: Path) -> None:
    ranked = {"ranking": ["a", "b"], "probabilities": {f"title {i}": 1 / 3 for i in range(2_000)}}
    write_rows(tmp_path / "out.csv", [ranked], excel=True, results=("ranking", "probabilities"))
    (found,) = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8-sig")))
    assert found["ranking"] == "a|b"
    assert found["probabilities"].startswith("title 0 0.3333|title 1 0.3333|")


def test_what_a_sheet_cannot_hold_is_found_before(tmp_path: Path) -> None:
    rows = [{"text": "fine"}, {"text": "x" * 32_768}]
    with pytest.raises(DataFileError, match="Row 2 has more than 32,767 characters in 'text'"):
        require_writable(tmp_path / "out.xlsx", rows)
    with pytest.raises(DataFileError, match="16,384 columns"):
        require_writable(tmp_path / "out.xlsx", [dict.fromkeys(map(str, range(16_385)))])
    require_writable(tmp_path / "out.csv", rows)


@pytest.mark.parametrize("name", ["out.txt", "out.parquet.gz", "out.xlsx.zst", "out", "out.gz"])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(DataFileError, match="expected one of"):
        require_writable(name, [])


def test_the_same_rows_are_the_same_compressed_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / f"{name}.csv.gz", [{"text": "好"}])
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_no_rows_are_a_valid_array(tmp_path: Path) -> None:
    write_rows(tmp_path / "out.json", [])
    assert json.loads((tmp_path / "out.json").read_text()) == []
