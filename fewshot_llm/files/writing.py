"""Rows out: the one writer of rows, by a path's ending, and the names of the columns that we add to them.

Whatever a reader can give is written to every format, as the same text as far as the format lets it (`values.py`).
"""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, cast

from fewshot_llm.errors import DataFileError
from fewshot_llm.files.atomic import atomic_write
from fewshot_llm.files.formats import COMPRESSED, DELIMITERS, ENDINGS, Kind, compression_of, kind_of
from fewshot_llm.files.values import distinct, json_line, same_value, text_of, typed_value, utf8_text

__all__ = ["Excel", "columns_of", "require_writable", "result_names", "write_rows", "written_form"]

Excel: TypeAlias = bool | Literal["semicolon"]
"""Whether a file is for a person's spreadsheet; `semicolon`: one that expects `;` and a decimal comma."""

SHEET_ROWS, SHEET_COLUMNS, SHEET_CELL = 1_048_576, 16_384, 32_767
"""What a sheet of Excel holds at most: rows with the header, columns, and characters of a cell."""

_EXACT_DIGITS = 15
"""A spreadsheet keeps so many digits of a number."""

# What a spreadsheet would take for a number and thereby change: long ids, leading zeros, phone numbers, 12E3.
_DIGITS = re.compile(r"\+?[0-9]{12,}|-[0-9]{16,}|0[0-9]+|\+[0-9]{7,}|[0-9]+[eE][0-9]+")
_PLAIN_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:[.,' ][0-9]+)*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?%?")
_FORMULA = "=+-@\t\r＝＋－＠"
_NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_FIRST_DAY = datetime.date(1900, 3, 1)
"""Before it the calendars of spreadsheets differ."""

_MOST_SPREAD = 1_000
"""A mapping with more keys than this stays in one cell."""

_NOT_IN_CSV = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def result_names(columns: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """What the columns that we add are called beside the input's, which keep their names.

    Args:
        columns: the input's.
        names: of the columns to add.

    Returns:
        Name → column. All columns of a run have the same ending: none, or the first of `_2`, `_3`, … with which none of
        them is taken.

    >>> result_names(["text", "predicted_label"], ("predicted_label", "probability"))
    {'predicted_label': 'predicted_label_2', 'probability': 'probability_2'}
    """
    taken = set(columns)
    number = 1
    while taken.intersection(f"{name}_{number}" if number > 1 else name for name in names):
        number += 1
    return {name: f"{name}_{number}" if number > 1 else name for name in names}


def written_form(path: str | os.PathLike[str]) -> tuple[Kind, str]:
    """In which format rows are written there, and the ending of the compression: `("csv", ".gz")`.

    Raises:
        DataFileError: another ending.
    """
    if os.fspath(path) == "-":
        return "jsonl", ""
    target = Path(path)
    kind = kind_of(target)
    if kind is None:
        raise DataFileError(
            f"{path} ends in {target.suffix or 'nothing'}; expected one of {', '.join(ENDINGS)}, the text formats also "
            f"with {' or '.join(COMPRESSED)} behind it."
        )
    return kind, compression_of(target)


def require_writable(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Find what the file could not hold before any work is done on the rows.

    Only a spreadsheet has such limits; for all other formats whatever a row holds is converted.

    Raises:
        DataFileError: another ending, or rows that do not fit.
    """
    kind, _ = written_form(path)
    if kind != "xlsx":
        return
    hint = "Write CSV, JSONL or Parquet instead."
    columns = columns_of(rows)
    if len(rows) >= SHEET_ROWS or len(columns) > SHEET_COLUMNS:
        raise DataFileError(
            f"A sheet of {path} holds {SHEET_ROWS - 1:,} rows and {SHEET_COLUMNS:,} columns; there are {len(rows):,} "
            f"rows and {len(columns):,} columns. {hint}"
        )
    for number, row in enumerate(rows, start=1):
        for column, value in row.items():
            if len(_sheet_text(text_of(value))) > SHEET_CELL:
                raise DataFileError(
                    f"Row {number} has more than {SHEET_CELL:,} characters in {column!r}, and a cell of {path} holds "
                    f"no more. {hint}"
                )


def write_rows(
    path: str | os.PathLike[str],
    rows: Iterable[Mapping[str, Any]],
    overwrite: bool = False,
    *,
    excel: Excel = False,
    results: Sequence[str] = (),
) -> None:
    """Write rows as JSONL, JSON, CSV, TSV, Parquet or XLSX, by the path's ending; `-` is JSONL on standard output.

    Text formats are compressed where `.gz` or `.zst` stands behind their ending. Columns are the union of the rows'
    keys in order of first appearance. A missing value is `null` in JSON and an empty cell elsewhere; lists and mappings
    are JSON where a format has none. A Parquet column whose values are of several types is text.

    Args:
        path: where to write.
        rows: the rows.
        overwrite: replace a file that is already there.
        excel: CSV and TSV for a spreadsheet: a byte order mark, results with four digits, a column for each label, long
            ids and leading zeros kept, and nothing that is run as a formula. A `.xlsx` file is always so.
        results: columns that were computed; only these are rounded and spread over several columns.

    Raises:
        DataFileError: the file exists, has another ending, or a spreadsheet cannot hold the rows.
    """
    if os.fspath(path) == "-":
        for row in rows:
            sys.stdout.buffer.write(json_line(row))
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    kind, compression = written_form(target)
    if target.exists() and not overwrite:
        raise DataFileError(f"{target} already exists. Choose another path, or allow it to be replaced (--overwrite).")
    with atomic_write(target) as temporary:
        if kind == "parquet":
            _write_parquet(temporary, list(rows), results)
        elif kind == "xlsx":
            _write_sheet(temporary, list(rows), results)
        else:
            with _opened(temporary, compression) as stream:
                if kind == "json":
                    _write_array(stream, rows)
                elif kind in DELIMITERS and excel:
                    _write_for_people(stream, list(rows), DELIMITERS[kind], excel, results)
                elif kind in DELIMITERS:
                    given = list(rows)
                    columns = columns_of(given)
                    cells = ([text_of(row.get(column)) for column in columns] for row in given)
                    _write_csv(stream, columns, cells, DELIMITERS[kind])
                else:
                    stream.writelines(map(json_line, rows))


@contextmanager
def _opened(path: Path, compression: str) -> Iterator[IO[bytes]]:
    with path.open("wb") as file:
        if compression == ".gz":
            # Without a name and a time inside: the same rows are the same bytes.
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                yield cast(IO[bytes], packed)
        elif compression == ".zst":
            import pyarrow

            with pyarrow.CompressedOutputStream(file, "zstd") as packed:
                yield packed
        else:
            yield file


def columns_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The columns of rows, in the order in which they first appear."""
    return list(dict.fromkeys(column for row in rows for column in row))


def _write_array(stream: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
    between = b"[\n"
    for row in rows:
        stream.write(between + json_line(row).rstrip(b"\n"))
        between = b",\n"
    stream.write(b"[]\n" if between == b"[\n" else b"\n]\n")


def _for_people(
    rows: Sequence[Mapping[str, Any]], results: Sequence[str]
) -> tuple[list[str], Sequence[Mapping[str, Any]], set[str]]:
    """Columns and rows for a spreadsheet, and which columns are computed.

    Of a computed column that holds mappings every key gets a column; where there are too many keys for that, as with
    the candidates of a ranking, they stand in the cell, as lists do.
    """
    columns = columns_of(rows)
    computed = set(results)
    for column in results:
        found = [value if isinstance(value, Mapping) else {} for value in (row.get(column) for row in rows)]
        keys = list(dict.fromkeys(key for value in found for key in value))
        if not 0 < len(keys) <= _MOST_SPREAD:
            continue
        stem = re.sub(r"^probabilities", "probability", column)
        wanted = result_names(set(columns) - {column}, [f"{stem}_{key}" for key in keys])
        named = dict(zip(keys, wanted.values(), strict=True))
        at = columns.index(column)
        columns[at : at + 1] = named.values()
        computed.update(named.values())
        rows = [
            {name: value for name, value in row.items() if name != column or not found[place]}
            | {named[key]: value for key, value in found[place].items()}
            for place, row in enumerate(rows)
        ]
    return columns, rows, computed


def _listed(value: Any) -> Any:
    """A computed list or mapping as people write it: its parts between `|`."""
    parts = [f"{key} {part:.4f}" for key, part in value.items()] if isinstance(value, dict) else value
    if isinstance(parts, list) and all(isinstance(part, str) and "|" not in part for part in parts):
        return "|".join(parts)
    return value


def _write_csv(stream: IO[bytes], columns: Iterable[str], rows: Iterable[Sequence[str]], delimiter: str) -> None:
    # csv quotes a cell that holds a character of the line terminator, and readers stop at a bare "\r":
    # so each line is made with "\r\n" and then ended in the way other tools here end lines.
    for cells in (columns, *rows):
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
        text = _NOT_IN_CSV.sub(lambda found: utf8_text(found[0]), line.getvalue()[:-2] + "\n")
        stream.write(text.encode("utf-8", "surrogateescape"))


def _write_for_people(
    stream: IO[bytes], rows: Sequence[Mapping[str, Any]], delimiter: str, excel: Excel, results: Sequence[str]
) -> None:
    columns, rows, computed = _for_people(rows, results)
    decimal = "," if excel == "semicolon" else "."
    if excel == "semicolon" and delimiter == ",":
        delimiter = ";"
    cells = ([_person_cell(row.get(column), column in computed, decimal) for column in columns] for row in rows)
    stream.write(b"\xef\xbb\xbf")
    _write_csv(stream, map(_safe_cell, columns), cells, delimiter)


def _person_cell(value: Any, computed: bool, decimal: str) -> str:
    value = typed_value(value)
    if computed:
        value = _listed(value)
    if isinstance(value, float):
        return (f"{value:.4f}" if computed else repr(value)).replace(".", decimal)
    if isinstance(value, Decimal):
        return str(value).replace(".", decimal)
    return _safe_cell(text_of(value))


def _safe_cell(text: str) -> str:
    """A cell that a spreadsheet shows as it is written: no number is shortened, no formula is run."""
    if _DIGITS.fullmatch(text):
        return f'="{text}"'
    return f"'{text}" if text and text[0] in _FORMULA and not _PLAIN_NUMBER.fullmatch(text) else text


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], results: Sequence[str]) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = columns_of(rows)
    arrays = [_arrow_column([row.get(column) for row in rows], column in results) for column in columns]
    table = pyarrow.Table.from_arrays(arrays, names=distinct(map(utf8_text, columns)))
    pyarrow.parquet.write_table(table, path)


def _arrow_column(values: Sequence[Any], computed: bool) -> Any:
    """The values with a type of their own, where they come back as they were; else as text."""
    import pyarrow
    import pyarrow.parquet

    typed = [utf8_text(value) if isinstance(value, str) else value for value in map(typed_value, values)]
    simple = {type(value) for value in typed} - {type(None)}
    try:
        array = pyarrow.array(typed)
        if len(simple) <= 1 and simple <= {str, int, float, bool}:
            return array
        stored = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(pyarrow.table({"values": array}), stored)
        found = pyarrow.parquet.read_table(pyarrow.BufferReader(stored.getvalue())).column(0).to_pylist()
        # A computed mapping may have other keys in every row: it is one type all the same.
        if computed or all(map(same_value, typed, found)):
            return array
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError):
        pass
    return pyarrow.array([None if value is None else utf8_text(text_of(value)) for value in typed], pyarrow.string())


def _write_sheet(path: Path, rows: Sequence[Mapping[str, Any]], results: Sequence[str]) -> None:
    from openpyxl import Workbook

    columns, rows, computed = _for_people(rows, results)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("rows")
    sheet.freeze_panes = "A2"
    if columns:
        sheet.append([_text_cell(sheet, name) for name in columns])
    for row in rows:
        cells = [_sheet_cell(sheet, row.get(column), column in computed) for column in columns]
        # A row without any cell would be no row to a reader.
        sheet.append(cells if any(cell is not None for cell in cells) else [_text_cell(sheet, "")])
    book.save(path)


def _sheet_cell(sheet: Any, value: Any, computed: bool) -> Any:
    """A cell with a number or a date where a sheet keeps it as it is, else with text; never a formula."""
    from openpyxl.cell import WriteOnlyCell

    value = typed_value(value)
    if computed:
        value = _listed(value)
    if value is None or isinstance(value, bool):
        return value
    shown = None
    match value:
        case int() if abs(value) < 10**_EXACT_DIGITS:
            shown = "0"
        case float() if math.isfinite(value):
            shown = "0.0000" if computed else "General"
        case Decimal():
            _, digits, exponent = value.as_tuple()
            if isinstance(exponent, int) and -_EXACT_DIGITS < exponent <= 0 and len(digits) <= _EXACT_DIGITS:
                shown = f"0.{'0' * -exponent}" if exponent else "0"
        case datetime.datetime() if not (value.tzinfo or value.microsecond or getattr(value, "nanosecond", 0)):
            shown = "yyyy-mm-dd hh:mm:ss" if value.date() >= _FIRST_DAY else None
        case datetime.date() if not isinstance(value, datetime.datetime) and value >= _FIRST_DAY:
            shown = "yyyy-mm-dd"
    if shown is None:
        return _text_cell(sheet, text_of(value))
    cell = WriteOnlyCell(sheet, value)
    cell.number_format = shown
    return cell


def _text_cell(sheet: Any, text: str) -> Any:
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, "")
    # Set past openpyxl's own reading of the text, which makes a formula of "=…" and an error of "#N/A".
    cell._value, cell.data_type = _sheet_text(text)[:SHEET_CELL], "s"
    if _DIGITS.fullmatch(text):
        cell.number_format = "@"
    return cell


def _sheet_text(text: str) -> str:
    """The text with what XML cannot hold as `_x000B_`, the way of Office files."""
    return _NOT_IN_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", utf8_text(text))
