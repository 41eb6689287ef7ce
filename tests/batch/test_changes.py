"""An input file that changes while a job reads it, or before the job goes on."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fewshot_llm.errors import BatchError
from tests.batch.helpers import Run, write_jsonl
from tests.batch.stand_in import StandIn

ROWS = [{"id": i, "text": f"text number {i:03d}"} for i in range(3000)]


@dataclass
class Meanwhile(StandIn):
    """Does something to the input while the job is at work; the first time, or the last."""

    do: Callable[[], object] = lambda: None
    at: str = "text number 000"

    def answer(self, rendered, progress=None):  # type: ignore[no-untyped-def]
        if any(self.at in one.query["text"] for one in rendered):
            self.do()
        return super().answer(rendered, progress)


def _manifest(folder: Path) -> dict:  # type: ignore[type-arg]
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def _write(path: Path, rows: list[dict[str, object]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if path.suffix == ".csv":
        lines = b"id,text\n" + "".join(f"{row['id']},{row['text']}\n" for row in rows).encode()
    if path.suffix == ".zst":
        with pa.output_stream(str(path), compression="zstd") as stream:
            stream.write(lines)
    else:
        path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


@pytest.mark.parametrize("name", ["in.jsonl", "in.csv", "in.jsonl.gz", "in.jsonl.zst", "in.parquet"])
def test_a_file_that_is_left_alone_is_no_finding(label: Run, tmp_path: Path, name: str) -> None:
    report = label(_write(tmp_path / name, ROWS[:50]), "out")
    assert report.changed == ()
    assert _manifest(tmp_path / "out")["input_changed"] == []


def test_a_byte_that_changes_is_found_with_size_and_time_as_before(label: Run, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ROWS)
    before = path.stat()

    def change() -> None:
        with path.open("r+b") as stream:
            stream.seek(-5, os.SEEK_END)
            stream.write(b"X")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    report = label(path, "out", labeller=Meanwhile(do=change), rows_per_shard=10)
    (said,) = map(str, report.changed)
    assert "in.jsonl changed while the job ran" in said
    assert "the labels belong to that" in said
    (change_there,) = _manifest(tmp_path / "out")["input_changed"]
    assert change_there["file"] == "in.jsonl"
    assert change_there["read"] == change_there["ended"] != change_there["began"]


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.jsonl.zst", "in.parquet", "in.csv"])
def test_a_file_that_is_replaced_is_found_whatever_its_kind(label: Run, tmp_path: Path, name: str) -> None:
    path = _write(tmp_path / name, ROWS[:30])
    other = _write(tmp_path / f"other{path.suffix}", ROWS[:31])
    report = label(path, "out", labeller=Meanwhile(do=lambda: other.exists() and os.replace(other, path)))
    assert len(report.changed) == 1
    assert report.labelled == 30


def test_rows_that_are_added_after_the_end_was_read_are_found(label: Run, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ROWS[:20])

    def add() -> None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write('{"text": "late"}\n')

    report = label(path, "out", labeller=Meanwhile(do=add, at="text number 019"), rows_per_shard=50)
    (said,) = map(str, report.changed)
    assert "What was read is what it began with." in said
    with pytest.raises(BatchError, match=r"in.jsonl bytes was \d+ and is \d+"):
        label(path, "out", rows_per_shard=50, resume=True)


def test_a_new_time_alone_is_no_change(label: Run, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ROWS[:20])
    assert label(path, "out", labeller=Meanwhile(do=lambda: os.utime(path, (1, 1)))).changed == ()


def test_a_file_that_is_removed_after_it_was_read_is_no_change(label: Run, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ROWS[:20])
    remove = Meanwhile(do=lambda: path.unlink(missing_ok=True), at="text number 019")
    assert label(path, "out", labeller=remove).changed == ()


def test_the_part_that_a_limit_leaves_unread_counts(label: Run, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ROWS[:20])

    def add() -> None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write('{"text": "late"}\n')

    (said,) = map(str, label(path, "out", labeller=Meanwhile(do=add), limit=5).changed)
    assert "cannot be said which of the two was read" in said


def test_a_job_whose_input_changed_is_not_gone_on_with(label: Run, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ROWS)
    original = path.read_bytes()
    changed = original.replace(b"text number 2999", b"text number xxxx")
    assert label(path, "out", labeller=Meanwhile(do=lambda: path.write_bytes(changed)), rows_per_shard=10).changed
    path.write_bytes(original)
    with pytest.raises(BatchError, match=r"changed while it was read \(in.jsonl\)"):
        label(path, "out", rows_per_shard=10, resume=True)


def test_resume_names_the_files_that_differ(label: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        write_jsonl(tmp_path / "in" / f"{name}.jsonl", ROWS[:5])
    label(tmp_path / "in", "out")
    (tmp_path / "in" / "a.jsonl").unlink()
    write_jsonl(tmp_path / "in" / "b.jsonl", ROWS[:6])
    write_jsonl(tmp_path / "in" / "d.jsonl", ROWS[:5])
    with pytest.raises(BatchError) as refused:
        label(tmp_path / "in", "out", resume=True)
    said = str(refused.value)
    assert "a.jsonl is there no more, d.jsonl is new, b.jsonl bytes was" in said
    assert "c.jsonl" not in said
