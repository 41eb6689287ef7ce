from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from fewshot_llm.batch import FileSource, HubSource, open_source
from fewshot_llm.errors import BatchError
from fewshot_llm.files import formats, scan_rows
from tests.batch.helpers import write_jsonl

ROWS = [{"text": "物流很快", "stars": "5"}, {"text": 'said "no",\nthen left', "stars": "1"}]


def write(path: Path) -> Path:
    """`ROWS` in the format of the path's ending."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
    table = 'text,stars\n物流很快,5\n"said ""no"",\nthen left",1\n'.encode()
    match path.suffixes:
        case [".parquet"]:
            pq.write_table(pa.Table.from_pylist(ROWS), path)
        case [ending, ".gz"]:
            path.write_bytes(gzip.compress(lines if ending == ".jsonl" else table))
        case [ending, ".zst"]:
            path.write_bytes(pa.compress(lines if ending == ".jsonl" else table, "zstd", asbytes=True))
        case [".tsv"]:
            path.write_bytes(
                table.replace(b"stars\n", b"stars\n")
                .replace(b",5", b"\t5")
                .replace(b",1", b"\t1")
                .replace(b"text,", b"text\t")
            )
        case [ending]:
            path.write_bytes(lines if ending in (".jsonl", ".ndjson", ".json") else table)
    return path


ENDINGS = [".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".jsonl.zst", ".csv.gz", ".csv.zst"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_gives_the_same_rows(tmp_path: Path, ending: str) -> None:
    source = open_source(write(tmp_path / f"in{ending}"))
    rows = list(source.rows())
    assert [dict(row.values) for row in rows] == ROWS
    assert [row.problem for row in rows] == [None, None]
    assert [row.position for row in rows] == [0, 1]
    assert source.count() == 2
    assert list(source.rows()) == rows


def test_the_folder_of_a_former_job_is_its_shards(tmp_path: Path) -> None:
    for name in ("journal.jsonl", "errors.jsonl", "manifest.json", "shard-00000.jsonl"):
        (tmp_path / name).write_text('{"text": "a"}\n', encoding="utf-8")
    assert [row.source for row in open_source(tmp_path).rows()] == ["shard-00000.jsonl"]
    (tmp_path / "journal.jsonl").unlink()  # without it the names are anybody's
    assert [row.source for row in open_source(tmp_path).rows()] == [
        "errors.jsonl",
        "manifest.json",
        "shard-00000.jsonl",
    ]


def test_results_below_the_input_folder_are_no_input(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("a.jsonl", "out/shard-00000.jsonl"):
        (tmp_path / name).write_text('{"text": "a"}\n', encoding="utf-8")
    assert [row.source for row in open_source(tmp_path, results=tmp_path / "out").rows()] == ["a.jsonl"]
    assert len(list(open_source(tmp_path).rows())) == 2


def test_folder_glob_and_list_keep_a_fixed_order(tmp_path: Path) -> None:
    for name in ("b.csv", "a.jsonl", "deep/c.parquet", ".hidden.csv", "_temporary/d.csv", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name)
    everything = open_source(tmp_path)
    assert [row.source for row in everything.rows()] == ["a.jsonl"] * 2 + ["b.csv"] * 2 + ["deep/c.parquet"] * 2
    assert [row.position for row in everything.rows()] == list(range(6))
    assert [row.source for row in open_source(str(tmp_path / "*.csv")).rows()] == ["b.csv"] * 2
    both = open_source([tmp_path / "b.csv", tmp_path / "a.jsonl"])
    assert [row.source for row in both.rows()] == ["b.csv"] * 2 + ["a.jsonl"] * 2
    assert both.identity() != open_source([tmp_path / "a.jsonl", tmp_path / "b.csv"]).identity()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere.csv", "no input"),
        ("notes.txt", "not known"),
        ("empty", "no file that can be read"),
        ("*.csv", "no file"),
    ],
)
def test_what_cannot_be_input_is_refused(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BatchError, match=said):
        open_source(str(tmp_path / path))


def test_the_identity_is_the_contents_not_the_place(tmp_path: Path) -> None:
    one = write(tmp_path / "in.jsonl")
    (tmp_path / "elsewhere").mkdir()
    two = tmp_path / "elsewhere" / "in.jsonl"
    two.write_bytes(one.read_bytes())
    assert open_source(one).identity() == open_source(two).identity()
    two.write_bytes(one.read_bytes().replace(b"5", b"4"))
    assert open_source(one).identity() != open_source(two).identity()


@pytest.mark.parametrize("ending", [".jsonl.gz", ".csv.gz", ".jsonl.zst"])
def test_a_cut_archive_ends_in_one_bad_row(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"in{ending}")
    path.write_bytes(path.read_bytes()[:-9])
    source = open_source(path)
    rows = list(source.rows())
    assert rows[-1].problem is not None
    assert rows[-1].problem.kind == "file-broke-off"
    assert all(row.problem is None for row in rows[:-1])
    assert source.count() == len(rows)


def test_a_line_without_an_end_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "LONGEST_LINE", 100)
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "' + b"x" * 1000 + b'"}\n{"text": "b"}\n')
    kinds = [problem.kind if problem else values["text"] for _, values, problem in scan_rows(path)]
    assert kinds == ["a", "line-too-long", "b"]


def test_utf_16_is_read(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a"}\n', encoding="utf-16")
    assert [(reading.values, reading.problem) for reading in scan_rows(path)] == [({"text": "a"}, None)]


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz", ".csv.zst", ".parquet", ".xlsx"]),
)
def test_no_bytes_make_a_reader_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes, ending: str) -> None:
    path = tmp_path_factory.mktemp("any") / f"in{ending}"
    path.write_bytes(data)
    source = FileSource((("in", path),))
    rows = list(source.rows())
    assert source.count() == len(rows)
    assert all(row.values or row.problem for row in rows if row.values != {})


def test_a_data_set_folder_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "reviews").mkdir()
    write_jsonl(tmp_path / "reviews" / "train.jsonl", [{"text": f"t{i}"} for i in range(7)])
    source = open_source(f"hub:{tmp_path / 'reviews'}:train")
    assert isinstance(source, HubSource)
    assert [row.values["text"] for row in source.rows()] == [f"t{i}" for i in range(7)]
    assert source.count() == 7
    with pytest.raises(BatchError, match="cannot be opened"):
        list(HubSource(str(tmp_path / "nothing")).rows())
    with pytest.raises(BatchError, match="give it alone"):
        open_source(["hub:a/b", "c.csv"])
