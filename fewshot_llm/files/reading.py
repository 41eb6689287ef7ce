"""Rows in: the one reader of every command, of batch jobs and of `SupportSet`.

JSON lines, JSON arrays, CSV, TSV, Parquet and Excel by a path's ending, text formats also compressed; delimiter and
encoding by content. `scan_rows` gives every row, one at a time; one that cannot be used has a problem and keeps its
place. `read_rows` and `iter_rows` refuse the file at the first such row.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from fewshot_llm.errors import DataFileError
from fewshot_llm.files import formats
from fewshot_llm.files.delimited import as_delimiter, bad_bytes, bytes_problem, note_repeated, read_csv
from fewshot_llm.files.encodings import Encoding, known_encoding, sniff_encoding, utf8_stream
from fewshot_llm.files.formats import (
    COMPRESSED,
    DELIMITERS,
    ENDINGS,
    Kind,
    Note,
    Reading,
    Row,
    RowProblem,
    distinct_names,
    kind_of,
)

__all__ = ["Rows", "count_rows", "iter_rows", "load_rows", "read_rows", "scan_rows"]

SAMPLE = 1 << 17
"""Bytes that the encoding is told from."""
PIECE = 1 << 16
"""Characters of a JSON array that are read at once."""

_SURROGATE = re.compile("[\ud800-\udfff]")

BROKEN = (OSError, EOFError, ValueError, zlib.error)
"""What a damaged file raises; Arrow's errors are among them."""


Watch: TypeAlias = Callable[[BinaryIO], BinaryIO]


class Rows(list[Row]):
    """The rows of one file, and what became of reading it.

    Attributes:
        notes: how the file was read, where that is not as its name promises.
        problems: position (from 0) → why the row there cannot be used.
        lines: position → line of the file, of the rows in `problems`.
    """

    def __init__(self, readings: Iterable[Reading] = (), notes: list[Note] | None = None) -> None:
        self.problems: dict[int, RowProblem] = {}
        self.lines: dict[int, int] = {}
        for position, reading in enumerate(readings):
            self.append(reading.values)
            if reading.problem is not None:
                self.problems[position], self.lines[position] = reading.problem, reading.line
        self.notes: tuple[Note, ...] = tuple(notes or ())

    def change(self, by: Callable[[Row], Row]) -> None:
        """Put another row in each one's place; what became of reading it stays."""
        self[:] = [by(row) for row in self]


def read_rows(path: str | os.PathLike[str], *, delimiter: str | None = None, encoding: str | None = None) -> Rows:
    """All rows of a JSONL, JSON, CSV, TSV, Parquet or Excel file, by its ending; `-` is JSONL on standard input.

    Text may be compressed (`.csv.gz`, `.jsonl.zst`). Values of CSV files stay strings. A row with fewer cells than
    the header has empty ones. A column whose name stands there twice is kept as `name_2`.

    Args:
        path: the file.
        delimiter: between the cells of a text table; found by content where it is left out.
        encoding: of a text file; found by content where it is left out.

    Raises:
        DataFileError: the file is missing, has another ending, or a row cannot be read; with the line.
    """
    notes: list[Note] = []
    return Rows(_strict(path, delimiter, encoding, notes), notes)


def load_rows(path: str | os.PathLike[str], *, delimiter: str | None = None, encoding: str | None = None) -> Rows:
    """As `read_rows`, but a row that cannot be used keeps its place and is named in `problems`.

    Bytes that are not UTF-8 are kept as lone surrogates (`surrogateescape`), so that `write_rows` can give them back
    unchanged.

    Raises:
        DataFileError: the file is missing, has another ending, or is none of its kind.
    """
    notes: list[Note] = []
    rows = Rows(scan_rows(path, delimiter=delimiter, encoding=encoding, notes=notes), notes)
    if len(rows) == len(rows.problems) == 1 and rows.problems[0].kind == "file-broke-off":
        raise DataFileError(f"{os.fspath(path)}: {rows.problems[0].reason}")
    for position, problem in rows.problems.items():
        if problem.kind == "lone-surrogate":
            rows[position] = _writable(rows[position])
    return rows


def _writable(value: Any) -> Any:
    """The value with U+FFFD for halves of surrogate pairs, which no file of UTF-8 can hold."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_writable(name): _writable(part) for name, part in value.items()}
    return [_writable(part) for part in value] if isinstance(value, list) else value


def iter_rows(
    path: str | os.PathLike[str], *, delimiter: str | None = None, encoding: str | None = None
) -> Iterator[Row]:
    """The rows of `read_rows`, one at a time, for files larger than memory."""
    for reading in _strict(path, delimiter, encoding, []):
        yield reading.values


def _strict(
    path: str | os.PathLike[str], delimiter: str | None, encoding: str | None, notes: list[Note]
) -> Iterator[Reading]:
    name = _name(path)
    for reading in _scan(path, delimiter, encoding, notes, pad=True):
        problem = reading.problem
        if problem is not None and problem.kind != "lone-surrogate":  # that is left to the cleaning
            excerpt = f" It begins: {problem.excerpt[:60]}" if problem.excerpt else ""
            raise DataFileError(f"{name}, line {reading.line}: {problem.reason}{excerpt}")
        yield Reading(reading.line, reading.values)


def scan_rows(
    path: str | os.PathLike[str],
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    notes: list[Note] | None = None,
    watch: Watch | None = None,
) -> Iterator[Reading]:
    """Every row of a file, one at a time, in constant memory; reading twice gives the same.

    A row that cannot be used has a problem and keeps its place. A file that breaks off (a cut archive, damaged
    Parquet) ends in one row with a problem.

    Args:
        path: as for `read_rows`.
        delimiter: likewise.
        encoding: likewise.
        notes: gets how the file is read, where that is not as its name promises, before the row that it concerns.

        watch: gets the stream of the file's bytes each time it is opened, before they are decompressed, and gives the
            stream to read instead; the last one is read to its end. Parquet and Excel files are not read front to back.

    Raises:
        DataFileError: the file is missing, has another ending, a title above its header, or an encoding that cannot
            be told.
    """
    return _scan(path, delimiter, encoding, [] if notes is None else notes, pad=False, watch=watch)


def count_rows(path: str | os.PathLike[str], *, delimiter: str | None = None, encoding: str | None = None) -> int:
    """How many rows `scan_rows` gives; without parsing them where that is possible."""
    kind = kind_of(Path(path))
    try:
        if kind == "parquet":
            import pyarrow.parquet as pq

            return int(pq.read_metadata(path).num_rows)
        if kind == "jsonl":
            opened = _opened(path, encoding, [])
            if not _begins_array(opened):
                with opened() as stream:
                    return sum(1 for _ in _lines(stream))
    except BROKEN:
        pass  # only reading it row by row says where it breaks off
    return sum(1 for _ in scan_rows(path, delimiter=delimiter, encoding=encoding))


def _name(path: str | os.PathLike[str]) -> str:
    return "standard input" if os.fspath(path) == "-" else os.fspath(path)


def _scan(
    path: str | os.PathLike[str],
    delimiter: str | None,
    encoding: str | None,
    notes: list[Note],
    pad: bool,
    watch: Watch | None = None,
) -> Iterator[Reading]:
    line = 0
    try:
        for reading in _readings(path, delimiter, encoding, notes, pad, watch):
            line = reading.line
            yield reading
    except DataFileError:
        raise
    except BROKEN as error:
        reason = f"The rest of the file cannot be read: {' '.join(str(error).split())[:200]}."
        yield Reading(line + 1, {}, RowProblem("file-broke-off", reason))


def _readings(
    path: str | os.PathLike[str],
    delimiter: str | None,
    encoding: str | None,
    notes: list[Note],
    pad: bool,
    watch: Watch | None,
) -> Iterator[Reading]:
    told = None if delimiter is None else as_delimiter(delimiter)
    name = _name(path)
    kind = "jsonl" if os.fspath(path) == "-" else _kind(Path(path))
    if kind == "parquet":
        return _parquet(Path(path), notes)
    if kind == "xlsx":
        from fewshot_llm.files.spreadsheet import read_xlsx

        return read_xlsx(Path(path), notes)
    opened = _opened(path, encoding, notes, watch)
    if kind in DELIMITERS:
        return read_csv(opened, name, notes, DELIMITERS[kind], delimiter=told, pad=pad, encoding=opened.encoding)
    if _begins_array(opened) if kind == "jsonl" else not _holds_lines(opened):
        return _json(opened, name, opened.encoding)
    return _jsonl(opened, opened.encoding)


def _kind(path: Path) -> Kind:
    kind = kind_of(path)
    if kind is None:
        cure = " Save it as .xlsx." if path.suffix.lower() in (".xls", ".xlsm", ".xlsb", ".ods") else ""
        raise DataFileError(
            f"{path} ends in {path.suffix.lower() or 'nothing'}; expected one of {', '.join(ENDINGS)}, those of text "
            f"also with {' or '.join(COMPRESSED)}.{cure}"
        )
    if not path.is_file():
        raise DataFileError(f"There is no file {path}. Check the path; the working folder is {Path.cwd()}.")
    return kind


class _Opener:
    """Opens a file's text as UTF-8 bytes, from the beginning, as often as asked."""

    def __init__(self, raw: Callable[[], BinaryIO], encoding: str) -> None:
        self._raw, self.encoding = raw, encoding

    def __call__(self) -> BinaryIO:
        return utf8_stream(self._raw(), self.encoding)


def _opened(
    path: str | os.PathLike[str], encoding: str | None, notes: list[Note], watch: Watch | None = None
) -> _Opener:
    raw: Callable[[], BinaryIO]
    if os.fspath(path) == "-":
        data = sys.stdin.buffer.read()

        def raw() -> BinaryIO:
            return io.BytesIO(data)
    else:

        def raw() -> BinaryIO:
            return _decompressed(Path(path), watch)

    if encoding is not None:
        return _Opener(raw, known_encoding(encoding))
    with raw() as stream:
        sample = _beginning(stream)
    header = kind_of(Path(path)) in DELIMITERS
    return _Opener(raw, _told(sniff_encoding(sample, len(sample) < SAMPLE, header), _name(path), notes))


def _beginning(stream: BinaryIO) -> bytes:
    """The sample, or what can be read of it: reading the rows says where the file breaks off."""
    sample = b""
    try:
        while len(sample) < SAMPLE and (more := stream.read(min(PIECE, SAMPLE - len(sample)))):
            sample += more
    except BROKEN:
        pass
    return sample


def _told(found: Encoding, name: str, notes: list[Note]) -> str:
    if len(found.fits) > 1:
        ways: dict[str, str] = {}
        for sample, fit in zip(found.samples, found.fits, strict=True):
            ways.setdefault(sample, fit)
        shown = "; ".join(f"{fit} reads {sample!r}" for sample, fit in list(ways.items())[:4])
        raise DataFileError(
            f"{name} is not UTF-8. It may be {', '.join(found.fits)}: {shown}. Say which (--encoding {found.fits[0]}; "
            f'in Python encoding="{found.fits[0]}"), or save it as UTF-8 (in Excel: “CSV UTF-8”).'
        )
    if found.fits and found.name != "utf-8":
        fit = found.fits[0]
        notes.append(
            Note(
                "encoding",
                f"{name} is read as {fit}; no other encoding fits. --encoding tells another.",
                f"{name} 按 {fit} 编码读取（只有它合适）；如不对，请用 --encoding 指定。",
            )
        )
    return found.name


def _decompressed(path: Path, watch: Watch | None) -> BinaryIO:
    """The file's bytes, decompressed while they are read."""
    plain: BinaryIO = path.open("rb")
    if watch is not None:
        plain = watch(plain)
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


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Line number, line, and whether it was longer than `LONGEST_LINE` (then only its beginning is given).

    Blank lines are counted and left out.
    """
    number, longest = 0, formats.LONGEST_LINE
    while line := stream.readline(longest):
        number += 1
        rest, cut = line, False
        while len(rest) == longest and not rest.endswith(b"\n"):
            rest, cut = stream.readline(longest), True
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if cut or line.strip(b" \t\r\n"):
            yield number, line[:200] if cut else line, cut


def _jsonl(opened: Callable[[], BinaryIO], encoding: str) -> Iterator[Reading]:
    with opened() as stream:
        for number, line, cut in _lines(stream):
            if cut:
                reason = f"The line is longer than {formats.LONGEST_LINE >> 20} MiB."
                yield Reading(number, {}, RowProblem("line-too-long", reason, line.decode("utf-8", "replace")))
            else:
                yield _json_line(number, line, encoding)


def _json_line(number: int, line: bytes, encoding: str) -> Reading:
    text = line.decode("utf-8", "surrogateescape")
    if not bad_bytes(text):
        return _json_row(number, text)
    # What can be read of it keeps its place beside the others.
    return Reading(number, _json_row(number, text).values, bytes_problem(text, encoding))


def _json_row(number: int, text: str) -> Reading:
    excerpt = text.strip()[:200]
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except _RepeatedKeyError as error:
        return Reading(number, {}, _repeated(error, excerpt))
    except json.JSONDecodeError as error:
        reason = f"The line is not JSON: {error.msg} at character {error.pos + 1}."
        return Reading(number, {}, RowProblem("broken-json", reason, excerpt))
    except (ValueError, RecursionError) as error:
        reason = f"Not readable JSON: {type(error).__name__}."
        return Reading(number, {}, RowProblem("unreadable-json", reason, excerpt))
    return _json_value(number, value, "\\u" in text, excerpt)


def _json_value(number: int, value: Any, escaped: bool, excerpt: str) -> Reading:
    if not isinstance(value, dict):
        reason = (
            f"The line holds a JSON {type(value).__name__}, expected one object, for example "
            '{"text": "…", "label": "…"}.'
        )
        return Reading(number, {}, RowProblem("not-an-object", reason, excerpt))
    if escaped and not _encodable(value):
        return Reading(number, value, RowProblem("lone-surrogate", "The text holds half of a surrogate pair.", excerpt))
    return Reading(number, value)


class _RepeatedKeyError(Exception):
    """The second value would silently replace the first."""


def _repeated(error: _RepeatedKeyError, excerpt: str) -> RowProblem:
    return RowProblem("repeated-key", f"The object has the key {error} twice.", excerpt)


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


def _holds_lines(opened: Callable[[], BinaryIO]) -> bool:
    """Whether a `.json` file has one object a line, as many dumps do."""
    with opened() as stream:
        first = next(_lines(stream), (0, b"", False))[1]
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _begins_array(opened: Callable[[], BinaryIO]) -> bool:
    """Whether a `.jsonl` file is an array of objects all the same; one bad line among others is none."""
    with opened() as stream:
        lines = [line for _, line, _ in islice(_lines(stream), 2)]
    if not lines or not re.match(rb"\s*\[\s*(\{|$)", lines[0]):
        return False
    try:
        json.loads(lines[0])
    except (ValueError, RecursionError):
        return True
    return len(lines) == 1


_BETWEEN = re.compile(r"[ \t\r\n]*")


def _json(opened: Callable[[], BinaryIO], name: str, encoding: str) -> Iterator[Reading]:
    """The objects of a JSON array, one at a time."""
    decoder = json.JSONDecoder(object_pairs_hook=_object)
    with io.TextIOWrapper(opened(), encoding="utf-8", errors="surrogateescape", newline="") as stream:
        buffer = _Buffer(stream)
        if (opening := buffer.next_letter()) == "":
            return
        if opening != "[":
            raise DataFileError(
                f"{name} begins with {opening!r}; expected an array of objects, as in "
                '[{"text": "…"}, {"text": "…"}], or one object per line.'
            )
        while opening == "[":
            buffer.skip()
            if not (yield from _items(buffer, decoder, encoding)):
                return
            buffer.skip()
            opening = buffer.next_letter()  # arrays that were put one behind the other are read on
        if opening:
            reason = "This stands behind the end of the array, so that the rest cannot be read."
            yield Reading(buffer.line, {}, RowProblem("broken-json", reason, buffer.text[:200]))


def _items(buffer: _Buffer, decoder: json.JSONDecoder, encoding: str) -> Generator[Reading, None, bool]:
    """The objects as far as the end of the array; whether that was reached."""
    first = True
    while (letter := buffer.next_letter()) != "]":
        if not first and letter == ",":
            buffer.skip()
            buffer.next_letter()
        line = buffer.line
        first = False
        try:
            text, value = buffer.decode(decoder)
        except _RepeatedKeyError as error:
            yield Reading(line, {}, _repeated(error, buffer.text[:200]))
            buffer.pass_value()
            continue
        except (ValueError, RecursionError) as error:
            said = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
            reason = f"The object that begins here is not JSON ({said}), so that the rest cannot be read."
            yield Reading(line, {}, RowProblem("broken-json", reason, buffer.text[:200]))
            return False
        if bad_bytes(text):
            yield Reading(line, value if isinstance(value, dict) else {}, bytes_problem(text, encoding))
        else:
            yield _json_value(line, value, "\\u" in text, text[:200])
    return True


class _Buffer:
    """Text that is read as far as the next value needs."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self.text = stream.read(PIECE).removeprefix("\ufeff")
        self.line = 1

    def _more(self) -> bool:
        # Twice as much each time, so that a long value is not parsed again for every piece of it.
        piece = self._stream.read(max(PIECE, len(self.text)))
        self.text += piece
        return bool(piece)

    def _take(self, count: int) -> str:
        taken, self.text = self.text[:count], self.text[count:]
        self.line += taken.count("\n")
        return taken

    def next_letter(self) -> str:
        """The next character that is no white space, which is passed; empty at the end."""
        while True:
            match = _BETWEEN.match(self.text)
            self._take(match.end() if match else 0)
            if self.text or not self._more():
                return self.text[:1]

    def skip(self) -> None:
        """Pass one character."""
        self._take(1)

    def decode(self, decoder: json.JSONDecoder) -> tuple[str, Any]:
        """The next value and its text."""
        while True:
            try:
                value, end = decoder.raw_decode(self.text)
            except json.JSONDecodeError:
                if len(self.text) > formats.LONGEST_LINE or not self._more():
                    raise
                continue
            if end == len(self.text) and self._more():
                continue  # a number may go on
            return self._take(end), value

    def pass_value(self) -> None:
        """Go behind the next value."""
        self.decode(json.JSONDecoder())


def _parquet(path: Path, notes: list[Note]) -> Iterator[Reading]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, memory_map=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"it cannot be read as Parquet ({' '.join(str(error).split())[:160]})") from error
    line = 0
    with file:
        given = file.schema_arrow.names
        names = distinct_names(given)
        note_repeated(given, names, notes)
        for batch in file.iter_batches(batch_size=256):
            for values, problem in _batch_rows(batch.rename_columns(names)):
                line += 1
                # Arrow's own keys have forgotten which names are repeated.
                yield Reading(line, dict(zip(names, values.values(), strict=True)), problem)


UNREADABLE = (UnicodeDecodeError, ValueError, OverflowError)
"""What a value raises that Python has none for: a text that is not UTF-8, a day after the year 9999."""


def _batch_rows(batch: Any) -> Iterator[tuple[Row, RowProblem | None]]:
    try:
        rows = batch.to_pylist()
    except UNREADABLE:
        for index in range(batch.num_rows):
            yield _batch_row(batch.slice(index, 1))
    else:
        for row in rows:
            yield row, None


def _batch_row(batch: Any) -> tuple[Row, RowProblem | None]:
    """One row cell by cell; what can be read of it stays beside what cannot."""
    row, problem = Row(), None
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[0].as_py()
        except UnicodeDecodeError as error:
            raw = bytes(error.object)
            row[name] = raw.decode("utf-8", "surrogateescape")
            excerpt = raw[:200].decode("utf-8", "replace")
            problem = RowProblem("invalid-utf8", f"Column {str(name)!r} is not UTF-8.", excerpt)
        except (ValueError, OverflowError) as error:
            # A date that Python's calendar has not is the number that the file holds.
            value = getattr(column[0], "value", None)
            row[name] = None if value is None else str(value)
            if value is None:
                problem = RowProblem("unreadable-value", f"Column {str(name)!r} cannot be read: {error}.")
    return row, problem
