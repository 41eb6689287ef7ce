"""The first sheet with rows of an Excel workbook: its cells as a person typed them."""

from __future__ import annotations

import datetime
import re
import warnings
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from fewshot_llm.errors import DataFileError
from fewshot_llm.files.delimited import Cells, read_table
from fewshot_llm.files.formats import Note, Reading

__all__ = ["read_xlsx"]

DIGITS = 15
"""Excel keeps so many of a number and shows no more."""
BROKEN = (zipfile.BadZipFile, KeyError, OSError, ValueError, TypeError, AttributeError, EOFError, SyntaxError)
"""What openpyxl raises for a damaged workbook."""
_CONTROL = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NO_VALUE = re.compile(rb"</f>\s*(?:<v\s*/>|<v></v>|</c>)")


def read_xlsx(path: Path, notes: list[Note]) -> Iterator[Reading]:
    """The rows of a workbook's first visible sheet that holds any, below a header.

    Whole numbers are `int`, dates and times ISO text, percentages text with their sign, text stays text. The value of
    a formula is what the program that saved the file computed.

    Raises:
        DataFileError: it is no workbook, or its first row is a title.
    """
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about drop-down lists and the like, which are no rows
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except BROKEN as error:
        raise DataFileError(
            f"{path} cannot be read as an Excel workbook ({' '.join(str(error).split())[:120]}). Save it again as "
            ".xlsx without a password, or as “CSV UTF-8”."
        ) from error
    try:
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
        for sheet in sheets:
            sheet.reset_dimensions()  # programs write wrong ones
        full = [sheet for sheet in sheets if next(_records(sheet), None) is not None]
        if len(full) > 1:
            others = ", ".join(repr(sheet.title) for sheet in full[1:])
            notes.append(
                Note(
                    "sheet",
                    f"{path.name} has several sheets; {full[0].title!r} is read, not {others}.",
                    f"{path.name} 有几张工作表；读取的是 {full[0].title!r}，不读 {others}。",
                )
            )
        if _formulas_without_value(path):
            notes.append(
                Note(
                    "formulas",
                    f"{path.name} has formulas whose values are not in the file, so that their cells are empty. Open "
                    "it in a spreadsheet program and save it there.",
                    f"{path.name} 中有些公式没有保存计算结果，这些单元格读作空。请用表格软件打开并重新保存。",
                )
            )
        if full:
            yield from read_table(_records(full[0]), str(path), notes, pad=True)
    finally:
        book.close()


def _formulas_without_value(path: Path) -> bool:
    """Whether a program wrote formulas that no spreadsheet has computed yet."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                with archive.open(name) as stream:
                    rest = b""
                    while piece := stream.read(1 << 20):
                        if _NO_VALUE.search(rest + piece):
                            return True
                        rest = piece[-64:]
    return False


def _records(sheet: Any) -> Iterator[Cells]:
    for number, row in enumerate(sheet.iter_rows(), start=1):
        cells = [_typed(cell) for cell in row]
        while cells and cells[-1] is None:
            cells.pop()
        if cells:
            yield Cells(number, cells)


def _typed(cell: Any) -> object:
    """A cell's value as a person typed it, by its number format."""
    value = cell.value
    match value:
        case None | bool():
            return value
        case datetime.datetime():
            whole_day = value.time() == datetime.time() and not re.search("[hs]", str(cell.number_format), re.I)
            return value.date().isoformat() if whole_day else value.isoformat(sep=" ", timespec="auto")
        case datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return _hours(value)
        case int() | float():
            return _number(value, str(cell.number_format))
        case str():
            if cell.data_type == "e":
                return None  # #N/A and its like: no value
            return _CONTROL.sub(lambda match: chr(int(match[1], 16)), value) or None
        case _:
            return str(value)


def _hours(value: datetime.timedelta) -> str:
    """`30:00:00`, as a sheet shows more than a day."""
    minutes, seconds = divmod(round(abs(value).total_seconds()), 60)
    sign = "-" if value < datetime.timedelta() else ""
    return f"{sign}{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _number(value: float, form: str) -> object:
    section = re.sub(r'"[^"]*"|\\.|\[[^]]*\]', "", form.split(";")[0])
    if section.endswith("%"):
        return f"{_shortest(value * 100)}%"
    if re.fullmatch("0{2,}", section) and float(value).is_integer():
        return f"{int(value):0{len(section)}d}"
    return _shortest(value)


def _shortest(value: float) -> int | float:
    if isinstance(value, int):
        return value
    rounded = float(f"{value:.{DIGITS}g}")
    return int(Decimal(repr(rounded))) if rounded.is_integer() else rounded
