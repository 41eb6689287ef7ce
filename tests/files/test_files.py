"""Rows survive every format; a file is whole or absent."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from fewshot_llm.data import normalise_text
from fewshot_llm.errors import DataFileError
from fewshot_llm.files import (
    atomic_write,
    atomic_write_json,
    atomic_write_text,
    iter_rows,
    load_rows,
    read_rows,
    sha256_file,
    write_rows,
)

ENDINGS = [".jsonl", ".csv", ".tsv", ".parquet"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ROWS = st.lists(st.fixed_dictionaries({"评论": TEXT, "label": TEXT}), min_size=1, max_size=5)


class Standard:
    """Standard input or output that holds bytes."""

    def __init__(self, content: bytes = b"") -> None:
        self.buffer = io.BytesIO(content)


@pytest.mark.parametrize("ending", ENDINGS)
@given(rows=ROWS)
def test_any_text_comes_back(ending: str, rows: list[dict[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows{ending}"
        write_rows(path, rows)
        assert read_rows(path) == rows
        assert list(iter_rows(path)) == rows


@pytest.mark.parametrize("ending", ENDINGS)
def test_columns_are_the_union_in_order_of_appearance(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows{ending}"
    write_rows(path, [{"a": "1"}, {"b": "2", "a": "3"}])
    rows = read_rows(path)
    missing = {".parquet": {"b": None}, ".jsonl": {}}.get(ending, {"b": ""})
    assert rows == [{"a": "1"} | missing, {"a": "3", "b": "2"}]
    assert list(rows[0]) == ["a", *missing]


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_bytes_that_are_not_utf8_come_back_unchanged(tmp_path: Path, ending: str) -> None:
    before, after = tmp_path / f"before{ending}", tmp_path / f"after{ending}"
    lines = {".jsonl": b'{"text": "go\xffod"}\n{"text": "\xe5\xa5\xbd"}\n', ".csv": b"text\ngo\xffod\n\xe5\xa5\xbd\n"}
    before.write_bytes(lines[ending])
    write_rows(after, load_rows(before))
    assert after.read_bytes() == lines[ending]


def test_lone_surrogate_from_a_json_escape_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [{"text": "\ud800好"}])
    assert read_rows(path) == [{"text": "\ud800好"}]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_byte_order_mark_crlf_and_blank_lines(tmp_path: Path, name: str) -> None:
    lines = {
        "rows.csv": "text,label\r\n很好,p\r\n\r\n差,n\r\n",
        "rows.jsonl": '{"text": "很好", "label": "p"}\r\n\r\n{"text": "差", "label": "n"}',
    }
    path = tmp_path / name
    path.write_bytes(b"\xef\xbb\xbf" + lines[name].encode())
    assert read_rows(path) == [{"text": "很好", "label": "p"}, {"text": "差", "label": "n"}]


def test_line_separators_inside_json_do_not_end_a_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a\u2028b\x0cc"}\n'.replace("\x0c", "\\f"), encoding="utf-8")
    assert read_rows(path) == [{"text": "a\u2028b\x0cc"}]


def test_csv_keeps_numbers_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,label\n007,1.0\n", encoding="utf-8")
    assert read_rows(path) == [{"id": "007", "label": "1.0"}]


def test_nested_values_in_csv_are_json(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, [{"probabilities": {"好": 0.9}, "none": None}])
    assert read_rows(path) == [{"probabilities": '{"好": 0.9}', "none": ""}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text,label\na,b,c\n", r"line 2: The row has 3 cells, but the header has 2"),
        ("a.jsonl", b'{"text": 1}\n{"text": ', "line 2: The line is not JSON"),
        ("a.jsonl", b"[1]\n", "line 1: The line holds a JSON list, expected one object"),
        ("a.parquet", b"nothing", "cannot be read as Parquet"),
        ("a.txt", b"", "ends in .txt; expected one of .jsonl"),
    ],
)
def test_malformed_file_is_one_readable_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=message):
        read_rows(path)


def test_short_csv_row_has_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\na\n", encoding="utf-8")
    assert read_rows(path) == [{"text": "a", "label": ""}]


def test_missing_file_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataFileError, match=r"no file nowhere.csv") as caught:
        read_rows("nowhere.csv")
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("ending", ENDINGS)
def test_empty_file_has_no_rows(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows{ending}"
    write_rows(path, [])
    assert read_rows(path) == []


def test_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(DataFileError, match="--overwrite"):
        write_rows(path, [{"a": 1}])
    assert path.read_text(encoding="utf-8") == "mine"
    write_rows(path, [{"a": 1}], overwrite=True)
    assert read_rows(path) == [{"a": 1}]


def test_parquet_column_of_several_types_is_text(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", [{"a": 1}, {"a": "text"}, {"a": "\udcff"}])
    assert read_rows(tmp_path / "rows.parquet") == [{"a": "1"}, {"a": "text"}, {"a": "\\udcff"}]


def test_standard_input_and_output(monkeypatch: pytest.MonkeyPatch) -> None:
    given_in, given_out = Standard('{"text": "好"}\n'.encode()), Standard()
    monkeypatch.setattr(sys, "stdin", given_in)
    monkeypatch.setattr(sys, "stdout", given_out)
    write_rows("-", read_rows("-"))
    assert given_out.buffer.getvalue() == '{"text": "好"}\n'.encode()
    assert not given_in.buffer.closed


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError, ValueError])
def test_failure_in_the_middle_keeps_the_old_file(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"old")

    def write_half() -> None:
        with atomic_write(path) as temporary:
            temporary.write_bytes(b"half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.bin"]


def test_full_disk_is_a_readable_error(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_write(tmp_path / "a") as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataFileError, match="the disk is full"):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_other_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), atomic_write(tmp_path / "a"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataFileError, match="no permission"):
        atomic_write_text(tmp_path / "a", "x")


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(DataFileError, match="not a folder"):
        atomic_write_text(tmp_path / "file" / "below", "x")


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="not a regular file"):
        atomic_write_text(tmp_path, "x")
    with pytest.raises(DataFileError, match="not a regular file"):
        atomic_write_text(os.devnull, "x")


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links and modes of POSIX")
def test_written_through_a_link_with_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "far" / "target")
    atomic_write_json(tmp_path / "link", {"语言": "中文"})
    (tmp_path / "plain").touch()
    target = tmp_path / "far" / "target"
    assert (tmp_path / "link").is_symlink()
    assert target.read_text(encoding="utf-8") == '{\n  "语言": "中文"\n}\n'
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_sha256_file(tmp_path: Path) -> None:
    atomic_write_text(tmp_path / "a", "abc")
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ＧＯＯＤ　item", "good ITEM"),
        ("很 好\n", " 很  好"),
        ("ﬁne", "FINE"),
        ("ma\u200bil", "mail"),
        ("Straße", "STRASSE"),
    ],
)
def test_texts_that_count_as_the_same(one: str, other: str) -> None:
    assert normalise_text(one) == normalise_text(other)


@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise_text(normalise_text(text)) == normalise_text(text)
