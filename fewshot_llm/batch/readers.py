"""Rows out of one file, one at a time. A row that cannot be read is a row with a problem, never an exception."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from fewshot_llm.batch.changes import ReadHash
from fewshot_llm.batch.rows import Problem

__all__ = ["ENDINGS", "Reading", "count_rows", "kind_of", "open_bytes", "read_file"]

Reading = tuple[int, dict[str, Any], Problem | None]
"""Line (1-based), the row's columns, and why the row could not be read."""

ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
COMPRESSED = (".gz", ".zst")
LONGEST_LINE = 16 << 20
"""Bytes. A longer line is one bad row and is never held in memory whole."""

UNREADABLE = (OSError, EOFError, ValueError, zlib.error)
"""What a damaged file raises; Arrow's errors are among them."""


def kind_of(path: Path) -> str | None:
    """`jsonl`, `csv`, `tsv` or `parquet` by the file's ending, `None` for any other file.

    >>> kind_of(Path("reviews.jsonl.zst")), kind_of(Path("reviews.txt"))
    ('jsonl', None)
    """
    name = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    kind = ENDINGS.get(name.suffix.lower())
    return None if kind == "parquet" and name != path else kind


def open_bytes(path: Path, read: ReadHash | None = None) -> BinaryIO:
    """The file's bytes, decompressed while they are read, and hashed before that into `read`."""
    plain = path.open("rb") if read is None else read.watch(path.open("rb"))
    match path.suffix.lower():
        case ".gz":
            unpacked: Any = gzip.GzipFile(fileobj=plain, mode="rb")
            unpacked.myfileobj = plain  # to be closed with it
            return cast(BinaryIO, unpacked)
        case ".zst":
            import pyarrow as pa

            return cast(BinaryIO, io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(plain), "zstd")))
        case _:
            return plain


def read_file(path: Path, read: ReadHash | None = None) -> Iterator[Reading]:
    """Every row of one file. A file that breaks off (cut archive, damaged Parquet) ends in one bad row.

    Args:
        path: the file.
        read: takes the hash of the bytes that are read; a Parquet file is not read front to back and leaves it empty.
    """
    line = 0
    try:
        match kind_of(path):
            case "jsonl":
                rows = _jsonl(path, read)
            case "csv":
                rows = _csv(path, ",", read)
            case "tsv":
                rows = _csv(path, "\t", read)
            case _:
                rows = _parquet(path)
        for reading in rows:
            line = reading[0]
            yield reading
    except UNREADABLE as error:
        reason = f"The rest of the file cannot be read: {' '.join(str(error).split())[:200]}."
        yield line + 1, {}, Problem("file-broke-off", reason)


def count_rows(path: Path) -> int:
    """How many rows `read_file` gives; without parsing them where that is possible."""
    kind = kind_of(path)
    try:
        if kind == "parquet":
            import pyarrow.parquet as pq

            return int(pq.read_metadata(path).num_rows)
        if kind == "jsonl":
            with open_bytes(path) as stream:
                return sum(1 for _ in _lines(stream))
    except UNREADABLE:
        pass  # only reading it row by row says where it breaks off
    return sum(1 for _ in read_file(path))


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Line number, line, and whether it was longer than `LONGEST_LINE` (then only its beginning is given).

    Blank lines are counted and left out.
    """
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        rest, cut = line, False
        while len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
            rest, cut = stream.readline(LONGEST_LINE), True
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if cut or line.strip(b" \t\r\n"):
            yield number, line[:200] if cut else line, cut


def _jsonl(path: Path, read: ReadHash | None) -> Iterator[Reading]:
    with open_bytes(path, read) as stream:
        for number, line, cut in _lines(stream):
            if cut:
                reason = f"The line is longer than {LONGEST_LINE >> 20} MiB."
                yield number, {}, Problem("line-too-long", reason, line.decode("utf-8", "replace"))
            else:
                yield _json_line(number, line)


def _json_line(number: int, line: bytes) -> Reading:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        hint = " It looks like UTF-16: save the file as UTF-8." if b"\x00" in line else ""
        reason = f"Byte {error.start + 1} of the line is not UTF-8.{hint}"
        return number, {}, Problem("invalid-utf8", reason, line[:200].decode("utf-8", "replace"))
    excerpt = text.strip()[:200]
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except _RepeatedKeyError as error:
        return number, {}, Problem("repeated-key", f"The object has the key {error} twice.", excerpt)
    except json.JSONDecodeError as error:
        return number, {}, Problem("broken-json", f"Not JSON: {error.msg} at character {error.pos + 1}.", excerpt)
    except (ValueError, RecursionError) as error:
        reason = f"Not readable JSON: {type(error).__name__}."
        return number, {}, Problem("unreadable-json", reason, excerpt)
    if not isinstance(value, dict):
        reason = f"A line must be a JSON object; this is a {type(value).__name__}."
        return number, {}, Problem("not-an-object", reason, excerpt)
    if "\\u" in text and not _encodable(value):
        return number, {}, Problem("lone-surrogate", "The text holds half of a surrogate pair.", excerpt)
    return number, value, None


class _RepeatedKeyError(Exception):
    """The second value would silently replace the first."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(next(repr(key) for key in keys if keys.count(key) > 1))
    return row


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _csv(path: Path, delimiter: str, read: ReadHash | None) -> Iterator[Reading]:
    # The module's own limit (128 KiB a field) is global; ours is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    with open_bytes(path, read) as stream:
        # surrogateescape keeps the file readable past a bad byte; such bytes become lone surrogates.
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        records = csv.reader(text, delimiter=delimiter)
        header = next(records, None)
        if header is None:
            return
        while True:
            try:
                record = next(records)
            except StopIteration:
                return
            except csv.Error as error:
                yield records.line_num, {}, Problem("broken-csv", f"Not CSV: {error}.")
                continue
            if record:
                yield _csv_record(records.line_num, header, record)


def _csv_record(line: int, header: list[str], record: list[str]) -> Reading:
    excerpt = ",".join(record)[:200].encode("utf-8", "replace").decode("utf-8")
    if len(record) != len(header):
        reason = f"The row has {len(record)} columns, the header {len(header)}."
        return line, {}, Problem("column-count", reason, excerpt)
    if not _encodable(record):
        return line, {}, Problem("invalid-utf8", "The row holds bytes that are not UTF-8.", excerpt)
    return line, dict(zip(header, record, strict=True)), None


def _parquet(path: Path) -> Iterator[Reading]:
    import pyarrow.parquet as pq

    line = 0
    with pq.ParquetFile(path, memory_map=True) as file:
        for batch in file.iter_batches(batch_size=256):
            try:
                rows = batch.to_pylist()
            except UnicodeDecodeError:
                rows = [_parquet_row(batch.slice(index, 1)) for index in range(batch.num_rows)]
            for row in rows:
                line += 1
                yield (line, {}, row) if isinstance(row, Problem) else (line, row, None)


def _parquet_row(batch: Any) -> dict[str, Any] | Problem:
    try:
        return cast(dict[str, Any], batch.to_pylist()[0])
    except UnicodeDecodeError as error:
        excerpt = bytes(error.object)[:200].decode("utf-8", "replace")
        return Problem("invalid-utf8", "A text of the row is not UTF-8.", excerpt)
