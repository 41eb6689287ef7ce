"""Tables: which delimiter, where the header is, and CSV whose quotes are right or named.

A cell that begins with a double quote ends with one, before a delimiter or the end of the line. Where that is not so,
the row in whose line the quote opens is bad, and reading goes on with the next line: no row is swallowed. A file in
which no quote at all is closed in this way was written without CSV's quoting, and is read without it.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import BinaryIO, TextIO

from fewshot_llm.errors import DataFileError
from fewshot_llm.files import formats
from fewshot_llm.files.encodings import fitting_line
from fewshot_llm.files.formats import Note, Reading, RowProblem, distinct_names

__all__ = ["Cells", "as_delimiter", "bad_bytes", "bytes_problem", "note_repeated", "read_csv", "read_table"]

CANDIDATES = ",;\t|"
NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}
SAID = {"\t": "a tab", ",": "“,”", ";": "“;”", "|": "“|”"}
SAID_ZH = {"\t": "制表符", ",": "“,”", ";": "“;”", "|": "“|”"}
SAMPLE = 1 << 17
"""Bytes that delimiter and line ends are told from."""
LOOKED_AT = 200
"""Rows of it."""
LEARNED = 1000
"""Rows whose cells tell what a column's cells look like."""

_SEP = re.compile(r'"?sep=(\\t|.)"?\s*', re.IGNORECASE)
_SHIELD = {"\r": "\ud800", "\n": "\ud801"}
"""A line end that ends no line here stands for itself; csv knows no such thing. No decoder makes these characters."""


def as_delimiter(told: str) -> str:
    r"""One character from what a person typed.

    Raises:
        DataFileError: it is not one, or cannot be a delimiter.

    >>> as_delimiter("tab"), as_delimiter(";")
    ('\t', ';')
    """
    delimiter = NAMES.get(told.strip().casefold(), told)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise DataFileError(f"{told!r} is no delimiter. Give one character, for example ; or |, or the word tab.")
    return delimiter


@dataclass(frozen=True)
class Cells:
    """One record of a table, not yet a row.

    Attributes:
        line: that it begins in.
        cells: its cells.
        text: as it stands in the file, where it does.
        problem: why it cannot be read.
    """

    line: int
    cells: Sequence[object] = ()
    text: str = ""
    problem: RowProblem | None = None


def read_table(
    records: Iterator[Cells],
    name: str,
    notes: list[Note],
    *,
    pad: bool = False,
    delimiter: str | None = None,
    encoding: str = "utf-8",
) -> Iterator[Reading]:
    """The rows below a header.

    Args:
        records: header and rows.
        name: of the file, for messages.
        notes: gets what has to be said about the header.
        pad: a row with fewer cells than the header has empty ones, and is not bad.
        delimiter: of the file, for messages.
        encoding: of the file, for messages.

    Raises:
        DataFileError: the first row is a title or cannot be read.
    """
    header = next(records, None)
    if header is None:
        return
    if header.problem is not None:
        raise DataFileError(
            f"{name}, line {header.line}: {header.problem.reason} This is the line of the column names."
        )
    if bad_bytes(header.text):
        raise DataFileError(f"{name}, line {header.line}: {bytes_problem(header.text, encoding).reason}")
    columns = _columns(header.cells, notes)
    ahead = list(islice(records, 2))
    _refuse_title(header, ahead, name, delimiter)
    for record in chain(ahead, records):
        yield _row(record, columns, len(header.cells), pad, delimiter, encoding)


def _columns(header: Sequence[object], notes: list[Note]) -> list[str]:
    """Distinct names, without the empty ones at the end."""
    names = ["" if cell is None else str(cell).strip() for cell in header]
    while names and not names[-1]:
        names.pop()
    columns = distinct_names(names)
    note_repeated(names, columns, notes)
    return columns


def note_repeated(names: Sequence[str], columns: Sequence[str], notes: list[Note]) -> None:
    """Say which columns had one name, and what they are called now."""
    if list(columns) != list(names):
        kept = {name: [c for c, given in zip(columns, names, strict=True) if given == name] for name in names}
        said = "; ".join(", ".join(map(repr, new)) for name, new in kept.items() if len(new) > 1)
        notes.append(
            Note(
                "repeated-column",
                f"Several columns have one name; they are kept as {said}.",
                f"有几列同名，分别记为 {said}。",
            )
        )


def _refuse_title(header: Cells, ahead: Sequence[Cells], name: str, delimiter: str | None) -> None:
    """A single cell above rows of several is a title, or the rows have delimiters that should be in quotes."""
    if sum(_filled(cell) for cell in header.cells) != 1 or not ahead:
        return
    wide = [record for record in ahead if sum(map(_filled, record.cells)) > 1]
    if len(wide) < len(ahead):
        return
    title, first = next(str(cell) for cell in header.cells if _filled(cell)), ahead[0]
    cure = (
        ""
        if delimiter is None
        else f" If it is the only column, put texts that contain “{delimiter}” in double quotes."
    )
    raise DataFileError(
        f"{name}, line {header.line} holds only {title[:60]!r}, but line {first.line} has {len(first.cells)} cells. "
        f"Expected the column names in the first line. If it is a title, remove what stands above the names "
        f"({', '.join(str(cell)[:20] for cell in first.cells[:4])} …?).{cure}"
    )


def _filled(cell: object) -> bool:
    return cell is not None and bool(str(cell).strip())


def _row(record: Cells, columns: Sequence[str], width: int, pad: bool, delimiter: str | None, encoding: str) -> Reading:
    cells, excerpt = record.cells, _readable(record.text.strip())[:200]
    if record.problem is not None:
        return Reading(record.line, {}, record.problem)
    values = dict(zip(columns, cells, strict=False))
    problem = None
    if bad_bytes(record.text):
        problem = bytes_problem(record.text, encoding)
    elif any(map(_filled, cells[len(columns) :])):
        if len(cells) > width:
            cure = f" Put texts that contain “{delimiter}” in double quotes." if delimiter else ""
            reason = f"The row has {len(cells)} cells, but the header has {len(columns)}.{cure}"
        else:
            nameless = next(at for at in range(len(columns), len(cells)) if _filled(cells[at]))
            reason = f"Column {nameless + 1} has a value but no name. Name it in the first line, or empty it."
        problem = RowProblem("column-count", reason, excerpt)
    elif len(cells) < len(columns):
        values |= dict.fromkeys(columns[len(cells) :], "")
        if not pad:
            reason = f"The row has {len(cells)} cells, but the header has {len(columns)}."
            problem = RowProblem("column-count", reason, excerpt)
    return Reading(record.line, values, problem)


def bad_bytes(text: str) -> bool:
    """Whether a text decoded with `surrogateescape` holds bytes that were none of the encoding's."""
    return not text.isascii() and any("\udc80" <= letter <= "\udcff" for letter in text)


def bytes_problem(text: str, encoding: str) -> RowProblem:
    """The problem of a row whose bytes are not of the file's encoding, and which encodings they may be of."""
    if encoding != "utf-8":
        return RowProblem(
            "invalid-utf8", f"The row holds bytes that are not {encoding}.", _readable(text.strip())[:200]
        )
    broken = text.strip().encode("utf-8", "surrogateescape")
    fits = fitting_line(broken)
    said = f" They may be {' or '.join(fits)}, pasted from another file." if fits else ""
    return RowProblem("invalid-utf8", f"The row holds bytes that are not UTF-8.{said}", _readable(text.strip())[:200])


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if bad_bytes(text) else text


@dataclass(frozen=True)
class _Dialect:
    delimiter: str
    line_end: str
    space_after: bool
    skipped: int
    """Lines above the header that are none of the table: Excel's `sep=`."""


def read_csv(
    open_stream: Callable[[], BinaryIO],
    name: str,
    notes: list[Note],
    usual: str,
    *,
    delimiter: str | None = None,
    pad: bool = False,
    encoding: str = "utf-8",
) -> Iterator[Reading]:
    """The rows of a table of text.

    Args:
        open_stream: gives its bytes as UTF-8, from the beginning, as often as asked.
        name: of the file, for messages.
        notes: gets how it was read, where that is not as its name promises.
        usual: the delimiter that its ending promises.
        delimiter: told by a person; found by content where it is not.
        pad: as for `read_table`.
        encoding: of the file, for messages.
    """
    with open_stream() as stream:
        head = stream.read(SAMPLE)
    dialect = _sniff(head, usual, delimiter)
    if dialect.delimiter not in (usual, delimiter):
        notes.append(
            Note(
                "delimiter",
                f"{name} is read with {SAID.get(dialect.delimiter, repr(dialect.delimiter))} between its columns.",
                f"{name} 按{SAID_ZH.get(dialect.delimiter, repr(dialect.delimiter))}分列读取。",
            )
        )
    records = _Records(open_stream, name, dialect, notes)
    with records.text:
        yield from read_table(records, name, notes, pad=pad, delimiter=dialect.delimiter, encoding=encoding)


def _sniff(head: bytes, usual: str, told: str | None) -> _Dialect:
    text = head.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    text, skipped = text.lstrip("\r\n"), 0
    line_end = _line_end(text)
    if match := _SEP.match(text.split(line_end, 1)[0]):
        text = text.split(line_end, 1)[1] if line_end in text else ""
        found = match[1] if match[1] != "\\t" else "\t"
        delimiter, skipped = told or found, 1
    else:
        delimiter = told or _delimiter(text, line_end, usual, len(head) < SAMPLE)
    first = next(csv.reader([text.split(line_end, 1)[0]], delimiter=delimiter), [])
    spaced = len(first) > 1 and all(cell.startswith(" ") for cell in first[1:])
    return _Dialect(delimiter, line_end, spaced, skipped)


def _line_end(text: str) -> str:
    r"""What ends the first line: `\n`, also behind `\r`, or `\r` alone."""
    quoted = False
    for position, letter in enumerate(islice(text, 1 << 16)):
        if letter == '"':
            quoted = not quoted
        elif not quoted and letter in "\r\n":
            return "\n" if letter == "\n" or text[position + 1 : position + 2] == "\n" else "\r"
    return "\n" if "\n" in text or "\r" not in text else "\r"


def _delimiter(text: str, line_end: str, usual: str, whole: bool) -> str:
    """The one at which header and rows fall into equally many cells."""
    lines = text.split(line_end)
    lines = [line + "\n" for line in (lines if whole or len(lines) == 1 else lines[:-1]) if line.strip("\r\n")]
    scores: dict[str, tuple[float, bool, int]] = {}
    for candidate in dict.fromkeys(usual + CANDIDATES):
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            shielded = [line.replace("\r", "") for line in lines]
            try:
                records = list(islice(csv.reader(shielded, delimiter=candidate, quoting=quoting), LOOKED_AT))
            except csv.Error:
                continue
            widths = [len(record) for record in records]
            if not widths or widths[0] < 2:
                continue
            same = widths[1:].count(widths[0]) / len(widths[1:]) if widths[1:] else 1.0
            scores[candidate] = max(scores.get(candidate, (0.0, False, 0)), (same, candidate == usual, widths[0]))
    best = max(scores, key=lambda candidate: scores[candidate], default=usual)
    if scores and scores[best][0] >= 0.5:
        return best
    if usual in scores:
        return usual
    return _below_title(lines, usual)


def _below_title(lines: Sequence[str], usual: str) -> str:
    """The delimiter of the lines below one that has none, where they all have equally many; else the usual one."""
    rest = lines[1:LOOKED_AT]
    for candidate in dict.fromkeys(usual + CANDIDATES):
        counts = {line.count(candidate) for line in rest}
        if len(rest) > 1 and len(counts) == 1 and min(counts) > 0:
            names = rest[0].rstrip("\r\n").split(candidate)
            if all(name and name == name.strip() for name in names):
                return candidate
    return usual


class _LineTooLongError(Exception):
    """A line of more than `LONGEST_LINE` characters; its beginning is the only argument."""


class _NeverClosedError(Exception):
    """A quoted cell of more than `LONGEST_LINE` characters."""


class _Lines:
    """Lines, numbered; those of the record that is being read can be taken back."""

    def __init__(self, stream: TextIO, line_end: str) -> None:
        self._stream, self._line_end = stream, line_end
        self._back: deque[str] = deque()
        self.number = 0
        self.taken: list[str] = []
        self.shielded = False
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else self._read()
        if not line:
            raise StopIteration
        self.number += 1
        self.taken.append(line)
        self._size += len(line)
        if self._size > formats.LONGEST_LINE:
            raise _NeverClosedError
        return self._shielded(line)

    def _read(self) -> str:
        longest = formats.LONGEST_LINE
        line = self._stream.readline(longest)
        if len(line) == longest and not line.endswith(self._line_end):
            rest = line
            while rest and not rest.endswith(self._line_end):
                rest = self._stream.readline(longest)
            self.number += 1
            raise _LineTooLongError(line[:200])
        return line if self.number else line.removeprefix("\ufeff")

    def _shielded(self, line: str) -> str:
        other = "\r" if self._line_end == "\n" else "\n"
        if other not in line:
            return line
        end = 2 if line.endswith("\r\n") else int(line.endswith(self._line_end))
        body = line[: len(line) - end]
        self.shielded |= other in body
        return body.replace(other, _SHIELD[other]) + line[len(line) - end :]

    def restart(self) -> None:
        """Forget the lines of the last record."""
        self.taken, self.shielded, self._size = [], False, 0

    def put_back(self, keep: int) -> None:
        """All lines of this record but the first `keep` are read again."""
        back = self.taken[keep:]
        self._back.extendleft(reversed(back))
        self.number -= len(back)
        del self.taken[keep:]


@dataclass
class _Shapes:
    """What the cells of each column look like, of the rows so far."""

    seen: list[set[str]] = field(default_factory=list)
    rows: int = 0

    def learn(self, cells: Sequence[str]) -> None:
        if self.rows < LEARNED:
            self.rows += 1
            self.seen += [set() for _ in range(len(cells) - len(self.seen))]
            for known, cell in zip(self.seen, cells, strict=False):
                known.add(_shape(cell))

    def fits(self, cells: Sequence[str], but: int, like: Sequence[str]) -> bool:
        """Whether the cells look like their columns' (else like another row's), the column `but` left out."""
        return all(
            _shape(cell) in (self.seen[at] if self.rows else {_shape(like[at])})
            for at, cell in enumerate(cells)
            if at != but
        )


def _shape(cell: str) -> str:
    """`a-0` for `R-12`: runs of letters and of digits become one character each."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", cell[:60]))


class _Records:
    """The records of a CSV file. Those with a wrong quote have a problem; see the module."""

    def __init__(
        self, open_stream: Callable[[], BinaryIO], name: str, dialect: _Dialect, notes: list[Note], probe: bool = False
    ) -> None:
        # The module's own limit (128 KiB a cell) is global; ours is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), formats.LONGEST_LINE))
        self._open, self._name, self._dialect, self._notes = open_stream, name, dialect, notes
        self._probe = probe
        end = dialect.line_end
        # surrogateescape keeps the file readable past a bad byte; such bytes become lone surrogates.
        self.text = io.TextIOWrapper(open_stream(), encoding="utf-8", errors="surrogateescape", newline=end)
        self._lines = _Lines(self.text, end)
        self._quoted, self.closed = True, False
        self._shapes, self._width = _Shapes(), 0
        self._reader = self._fresh()
        self._skip = dialect.skipped

    def __iter__(self) -> Iterator[Cells]:
        return self

    def __next__(self) -> Cells:
        while True:
            self._lines.restart()
            line = self._lines.number + 1
            try:
                cells = next(self._reader)
            except _LineTooLongError as error:
                self._lines.put_back(0)
                reason = f"The line is longer than {formats.LONGEST_LINE >> 20} MiB."
                return Cells(line, problem=RowProblem("line-too-long", reason, _readable(error.args[0])))
            except (csv.Error, _NeverClosedError) as error:
                if not self._quoted:
                    self._lines.put_back(1)
                    return Cells(line, problem=RowProblem("broken-csv", f"Not CSV: {error}."))
                opened = _opening(self._text_of_record(), self._dialect, wrong=True)
            else:
                if not cells or (self._width > 1 and len(cells) == 1 and not cells[0].strip()):
                    continue  # a blank line
                if self._skip:
                    self._skip -= 1
                    continue
                opened = self._swallowed()
                if opened is None:
                    return self._good(line, cells)
            if not self.closed and not self._probe:
                self.closed = self._closes_somewhere()
                if not self.closed:
                    self._without_quotes(line + (opened or 0))
                    continue
            return self._bad(line, opened or 0)

    def _fresh(self) -> Iterator[list[str]]:
        return csv.reader(
            self._lines,
            delimiter=self._dialect.delimiter,
            quoting=csv.QUOTE_MINIMAL if self._quoted else csv.QUOTE_NONE,
            skipinitialspace=self._dialect.space_after,
            strict=True,
        )

    def _text_of_record(self) -> str:
        return "".join(self._lines.taken)

    def _good(self, line: int, cells: list[str]) -> Cells:
        text = self._text_of_record()
        if self._lines.shielded:
            for letter, shield in _SHIELD.items():
                cells = [cell.replace(shield, letter) for cell in cells]
        if self._width == 0:
            self._width = len(cells)
        elif len(cells) == self._width > 1:
            self._shapes.learn(cells)
        if self._quoted and not self.closed and '"' in text:
            self.closed = _opening(text, self._dialect, wrong=False, any_quote=True) is not None
        return Cells(line, cells, text)

    def _bad(self, line: int, opened: int) -> Cells:
        number, excerpt = line + opened, self._lines.taken[opened].strip()[:200]
        self._lines.put_back(opened + 1)
        reason = (
            f"The double quote that opens in line {number} is not closed before the cell ends. "
            "Close it, or write it twice inside a cell in quotes."
        )
        return Cells(number, problem=RowProblem("unclosed-quote", reason, _readable(excerpt)))

    def _without_quotes(self, line: int) -> None:
        self._lines.put_back(0)
        self._quoted = False
        self._reader = self._fresh()
        self._notes.append(
            Note(
                "unquoted",
                f"{self._name} closes no double quote as CSV does (see line {line}), so quotes are read as part of "
                "the texts.",
                f"{self._name} 中没有按 CSV 规则闭合的双引号（见第 {line} 行），因此把引号当作文本的一部分。",
            )
        )

    def _closes_somewhere(self) -> bool:
        probe = _Records(self._open, self._name, self._dialect, [], probe=True)
        with probe.text:
            for _ in probe:
                if probe.closed:
                    return True
        return False

    def _swallowed(self) -> int | None:
        """The line (from 0) of a quote that swallowed rows: each line of the record is a row of its own."""
        taken = self._lines.taken
        if not self._quoted or len(taken) < 2 or self._width < 2 or '""' in self._text_of_record():
            return None
        delimiter = self._dialect.delimiter
        lines = [line.rstrip("\r\n").replace("\r", " ") for line in taken]
        rows = [row for line in lines for row in csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE)]
        if len(rows) != len(lines) or any(len(row) != self._width for row in rows):
            return None
        begun = [at for at, cell in enumerate(rows[0]) if cell.lstrip(" ").startswith('"')]
        column = next((at for at in begun if rows[-1][at].endswith('"')), None)
        if column is None or not all(self._shapes.fits(row, column, rows[0]) for row in rows):
            return None
        return _opening(self._text_of_record(), self._dialect, wrong=False)


def _opening(text: str, dialect: _Dialect, *, wrong: bool, any_quote: bool = False) -> int | None:
    """The line (from 0) in which a quote opens that closes wrongly, or in a later line, or at all.

    Args:
        text: of one record.
        dialect: of the file.
        wrong: look for one that is not closed as CSV does, else for one that is closed in a later line.
        any_quote: look for one that is closed as CSV does, in whatever line.
    """
    at, end = 0, len(text)
    while at < end:
        start = at
        if dialect.space_after:
            while text[start : start + 1] == " ":
                start += 1
        if text[start : start + 1] != '"':
            stops = [found for stop in (dialect.delimiter, dialect.line_end) if (found := text.find(stop, at)) >= 0]
            at = min(stops, default=end) + 1
            continue
        close = text.find('"', start + 1)
        while close >= 0 and text[close + 1 : close + 2] == '"':
            close = text.find('"', close + 2)
        behind = text[close + 1 : close + 2]
        line = text.count(dialect.line_end, 0, start)
        if close < 0 or behind not in ("", dialect.delimiter, "\r", "\n"):
            if wrong:
                return line
            return None
        if any_quote or (not wrong and dialect.line_end in text[start:close]):
            return line
        at = close + 2
    return 0 if wrong else None
