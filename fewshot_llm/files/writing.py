"""Rows out: JSONL, CSV, TSV and Parquet by a path's ending."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fewshot_llm.errors import DataFileError
from fewshot_llm.files.atomic import atomic_write
from fewshot_llm.files.formats import DELIMITERS, ending_of

__all__ = ["write_rows"]


def write_rows(path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]], overwrite: bool = False) -> None:
    """Write rows as JSONL, CSV, TSV or Parquet, by the path's ending; `-` is JSONL on standard output.

    Columns are the union of the rows' keys in order of first appearance. In CSV and TSV, lists and mappings are
    written as JSON and a missing value as an empty cell.

    Args:
        path: where to write.
        rows: the rows.
        overwrite: replace a file that is already there.

    Raises:
        DataFileError: the file exists, has another ending, or a value does not fit the format.
    """
    if os.fspath(path) == "-":
        for row in rows:
            sys.stdout.buffer.write(_json_line(row))
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    ending = ending_of(target)
    if target.exists() and not overwrite:
        raise DataFileError(f"{target} already exists. Choose another path, or allow it to be replaced (--overwrite).")
    with atomic_write(target) as temporary:
        if ending == ".parquet":
            _write_parquet(temporary, list(rows), target)
        elif ending in DELIMITERS:
            _write_csv(temporary, list(rows), DELIMITERS[ending])
        else:
            with temporary.open("wb") as stream:
                stream.writelines(_json_line(row) for row in rows)


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _json_line(row: Mapping[str, Any]) -> bytes:
    line = json.dumps(row, ensure_ascii=False) + "\n"
    try:
        return line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # A lone surrogate that came in as a JSON escape; give it back as one.
        return (json.dumps(row) + "\n").encode("ascii")


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]], delimiter: str) -> None:
    columns = _columns(rows)
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        # csv quotes a cell that holds a character of the line terminator, and readers stop at a bare "\r":
        # so each line is made with "\r\n" and then ended in the way other tools here end lines.
        table: list[list[Any]] = [columns, *([_cell(row.get(column)) for column in columns] for row in rows)]
        for cells in table:
            line = io.StringIO()
            csv.writer(line, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
            stream.write(line.getvalue()[:-2] + "\n")


def _cell(value: object) -> object:
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else value


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], target: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = _columns(rows)
    try:
        table = pyarrow.table({column: [row.get(column) for row in rows] for column in columns})
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, UnicodeEncodeError) as error:
        raise DataFileError(
            f"The rows do not fit Parquet ({error}): a column there holds one type, and text is UTF-8. "
            f"Write JSONL instead of {target.name}."
        ) from error
    pyarrow.parquet.write_table(table, path)
