"""Rows in: JSONL, CSV, TSV and Parquet by a path's ending."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TextIO

from fewshot_llm.errors import DataFileError
from fewshot_llm.files.formats import DELIMITERS, Row, ending_of

__all__ = ["iter_rows", "read_rows"]


def read_rows(path: str | os.PathLike[str]) -> list[Row]:
    """All rows of a JSONL, CSV, TSV or Parquet file, by its ending; `-` is JSONL on standard input.

    A byte order mark and CRLF line ends are accepted. Values of CSV files stay strings. Bytes that are not
    UTF-8 are kept as lone surrogates (`surrogateescape`), so that `write_rows` can give them back unchanged.

    Raises:
        DataFileError: the file is missing, has another ending, is not UTF-8, or a line is malformed.
    """
    return list(iter_rows(path))


def iter_rows(path: str | os.PathLike[str]) -> Iterator[Row]:
    """The rows of `read_rows`, one at a time, for files larger than memory."""
    if os.fspath(path) == "-":
        # The wrapper is detached, not closed: standard input belongs to the caller.
        stream = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
        try:
            yield from _iter_jsonl(stream, "standard input")
        finally:
            stream.detach()
        return
    source = Path(path)
    ending = ending_of(source)
    if not source.is_file():
        raise DataFileError(f"There is no file {source}. Check the path; the working folder is {Path.cwd()}.")
    if ending == ".parquet":
        yield from _iter_parquet(source)
        return
    _require_utf8(source)
    with source.open(
        encoding="utf-8-sig", errors="surrogateescape", newline="" if ending in DELIMITERS else "\n"
    ) as text:
        if ending in DELIMITERS:
            yield from _iter_csv(text, str(source), DELIMITERS[ending])
        else:
            yield from _iter_jsonl(text, str(source))


def _require_utf8(path: Path) -> None:
    """Refuse a file in another encoding; a few broken bytes in a UTF-8 file are left to the cleaning."""
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    hint = "Save it as UTF-8 (in Excel: “CSV UTF-8”) and try again."
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataFileError(f"{path} is in UTF-16, expected UTF-8. {hint}")
    lines = [line for line in head.split(b"\n")[:-1] or [head] if not line.isascii()]
    broken = sum(not _is_utf8(line) for line in lines)
    if broken > max(1, len(lines) // 2):
        raise DataFileError(
            f"{path} is not UTF-8: {broken} of its first {len(lines)} non-ASCII lines cannot be read; "
            f"it may be GB18030 (GBK), which Excel writes on Chinese systems. {hint}"
        )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _iter_jsonl(stream: IO[str], name: str) -> Iterator[Row]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataFileError(
                f"{name}, line {number} is not JSON ({error}). Expected one JSON object per line."
            ) from error
        if not isinstance(row, dict):
            raise DataFileError(
                f"{name}, line {number} holds a JSON {type(row).__name__}, expected one object per line, "
                'for example {"text": "…", "label": "…"}.'
            )
        yield row


def _iter_csv(stream: TextIO, name: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(stream, delimiter=delimiter)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                repeated = sorted({column for column in header if header.count(column) > 1})
                if repeated:
                    raise DataFileError(f"{name} has more than one column named {', '.join(repeated)}. Rename them.")
                continue
            if len(cells) > len(header):
                raise DataFileError(
                    f"{name}, line {reader.line_num} has {len(cells)} cells, but the header has {len(header)}. "
                    f"Put texts that contain “{delimiter}” in double quotes."
                )
            yield dict(zip(header, cells + [""] * (len(header) - len(cells)), strict=True))
    except csv.Error as error:
        raise DataFileError(
            f"{name}, near line {reader.line_num}: {error}. Is there a double quote that is never closed? "
            f"A text longer than {csv.field_size_limit():,} characters fits JSONL or Parquet, not CSV."
        ) from error


def _iter_parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            for batch in table.iter_batches():
                yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise DataFileError(f"{path} cannot be read as Parquet: {error}. Write it again, or use JSONL.") from error
