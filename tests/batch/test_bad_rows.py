"""1,000 malformed rows of 20 kinds among 10,000 good ones: each in `errors.jsonl`, all others labelled."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.batch.helpers import Run, read_errors, read_shards, write_jsonl

MALFORMED: dict[str, tuple[bytes, str]] = {
    "empty": (b'{"text": ""}', "empty-text"),
    "spaces": (b'{"text": " \\t\\u3000 "}', "empty-text"),
    "invisible": ('{"text": "\u200b\u2060\ufeff"}'.encode(), "empty-text"),
    "control characters": (b'{"text": "\\u0001\\u0002"}', "empty-text"),
    "NUL": (b'{"text": "a\\u0000b"}', "control-characters"),
    "null": (b'{"text": null}', "null-text"),
    "no column": (b'{"body": "wrong name"}', "missing-column"),
    "number": (b'{"text": 42}', "not-a-string"),
    "truth value": (b'{"text": true}', "not-a-string"),
    "list": (b'{"text": ["a", "b"]}', "not-a-string"),
    "object": (b'{"text": {"zh": "a"}}', "not-a-string"),
    "NaN": (b'{"text": NaN}', "not-a-string"),
    "cut line": (b'{"text": "the line stops he', "broken-json"),
    "single quotes": (b"{'text': 'python'}", "broken-json"),
    "not JSON": (b"just text", "broken-json"),
    "array": (b'["text", "a"]', "not-an-object"),
    "latin-1": ('{"text": "café"}'.encode("latin-1"), "invalid-utf8"),
    "GBK": ('{"text": "物流很快"}'.encode("gbk"), "invalid-utf8"),
    "half a surrogate": (b'{"text": "\\ud83d"}', "lone-surrogate"),
    "repeated key": (b'{"text": "a", "text": "b"}', "repeated-key"),
    "huge number": (b'{"text": "a", "n": ' + b"9" * 5000 + b"}", "unreadable-json"),
    "deep nesting": (b'{"text": "a", "n": ' + b"[" * 100_000 + b"}", "unreadable-json"),
    "too long": (json.dumps({"text": "long " * 200}).encode(), "too-long"),
}


def test_a_thousand_malformed_rows_among_ten_thousand(label: Run, tmp_path: Path) -> None:
    kinds = list(MALFORMED)
    assert len(kinds) >= 20
    light = [kind for kind in kinds if kind not in ("deep nesting", "huge number")]
    lines = [(json.dumps({"text": f"good row {i}"}).encode(), None) for i in range(10_000)]
    lines += [MALFORMED[kind] for kind in kinds]
    lines += [MALFORMED[light[i % len(light)]] for i in range(1_000 - len(kinds))]
    random.Random(0).shuffle(lines)
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(b"\n".join(line for line, _ in lines) + b"\n")

    report = label(path, "out", rows_per_shard=1000)

    expected = {row: kind for row, (_, kind) in enumerate(lines) if kind is not None}
    errors = read_errors(tmp_path / "out")
    assert {error["row"]: error["kind"] for error in errors} == expected
    assert [error["row"] for error in errors] == sorted(expected)
    assert all(error["line"] == error["row"] + 1 and error["reason"] for error in errors)
    labelled = [row["row"] for row in read_shards(tmp_path / "out")]
    assert labelled == [row for row in range(11_000) if row not in expected]
    assert report.errors == dict(sorted(Counter(expected.values()).items()))


def test_bad_csv_rows(label: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b'\xef\xbb\xbfid,text\r\n1,good\r\n2\r\n3,a,b\r\n4,caf\xe9\r\n5,"two\nlines"\r\n6,\r\n')
    label(path, "out")
    assert [(row["id"], row["text"]) for row in read_shards(tmp_path / "out")] == [("1", "good"), ("5", "two\nlines")]
    kinds = ["column-count", "column-count", "invalid-utf8", "empty-text"]
    assert [error["kind"] for error in read_errors(tmp_path / "out")] == kinds


def test_a_parquet_file_with_another_schema(label: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pq.write_table(pa.table({"text": ["a", "b"], "stars": [1, 2]}), folder / "1.parquet")
    pq.write_table(pa.table({"text": ["c"], "stars": ["many"], "shop": ["x"]}), folder / "2.parquet")
    pq.write_table(pa.table({"body": ["d"], "stars": [3]}), folder / "3.parquet")
    pq.write_table(pa.table({"text": [7]}), folder / "4.parquet")
    (folder / "5.parquet").write_bytes(b"PAR1 this is none")
    label(folder, "out")
    rows = read_shards(tmp_path / "out")
    assert [(row["text"], row["stars"], row["other_columns"]) for row in rows] == [
        ("a", 1, None),
        ("b", 2, None),
        ("c", None, '{"shop": "x", "stars": "many"}'),
    ]
    assert [(error["file"], error["kind"]) for error in read_errors(tmp_path / "out")] == [
        ("3.parquet", "missing-column"),
        ("4.parquet", "not-a-string"),
        ("5.parquet", "file-broke-off"),
    ]


def test_invalid_utf8_inside_a_parquet_file(label: Run, tmp_path: Path) -> None:
    texts = pa.array([b"good", b"caf\xe9", b"fine"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": texts}), tmp_path / "in.parquet")
    label(tmp_path / "in.parquet", "out")
    assert [row["text"] for row in read_shards(tmp_path / "out")] == ["good", "fine"]
    assert [(error["row"], error["kind"]) for error in read_errors(tmp_path / "out")] == [(1, "invalid-utf8")]


@pytest.mark.parametrize("column", ["row", "margin", "predicted_label"])
def test_an_input_column_named_like_an_output_column_is_kept(label: Run, tmp_path: Path, column: str) -> None:
    label(write_jsonl(tmp_path / "in.jsonl", [{"text": "a", column: "mine"}]), "out")
    row = read_shards(tmp_path / "out")[0]
    assert row[column] == "mine"
    assert row["row_2"] == 0


def test_a_column_that_comes_late_or_changes_its_type_is_kept(label: Run, tmp_path: Path) -> None:
    rows = [{"text": "a", "n": 1}] * 10 + [{"text": "b", "n": "one", "late": True}, {"text": "c", "n": 2**80}]
    label(write_jsonl(tmp_path / "in.jsonl", rows), "out")
    assert [(row["n"], row["other_columns"]) for row in read_shards(tmp_path / "out")[-2:]] == [
        (None, '{"late": true, "n": "one"}'),
        (None, '{"n": 1208925819614629174706176}'),
    ]
