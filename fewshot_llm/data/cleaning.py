"""Rows as people have them become examples; everything that is changed or left out is reported.

What happened to which rows is noted (`Notes`) and told as a `Finding`: one thing worth knowing about labelled rows, in
both languages. Spellings of one label that were meant as the same (`cancel_order`, `cancel-order`, `Cancel order`,
`CancelOrder`) are found, and merged where that is asked for.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fewshot_llm.data.columns import LABEL, LABEL_WORDS, Columns
from fewshot_llm.data.example import Example, as_text, readable_text
from fewshot_llm.data.language import normalise_text
from fewshot_llm.data.task import Task
from fewshot_llm.errors import SupportError, nearest
from fewshot_llm.files.values import shared_length
from fewshot_llm.types import Text

__all__ = [
    "Cleaned",
    "CleaningReport",
    "Finding",
    "Notes",
    "Place",
    "Severity",
    "alike_spellings",
    "clean",
    "describe",
    "grave_first",
    "spelling_findings",
    "spelling_key",
]

Severity = Literal["error", "warning", "info"]
Place = Literal["input", "support", "test"]


@dataclass(frozen=True)
class Finding:
    """One thing that was found, and where.

    Attributes:
        code: a stable name for programs, for example `duplicate`.
        severity: `error`: results will be wrong; `warning`: they may suffer; `info`: good to know.
        english: one sentence.
        chinese: the same sentence.
        rows: positions (from 0) of the rows concerned.
        place: what `rows` counts: the rows as given (`input`), the cleaned ones (`support`), the test rows.
    """

    code: str
    severity: Severity
    english: str
    chinese: str
    rows: tuple[int, ...] = ()
    place: Place = "input"

    def sentence(self, language: str = "en") -> str:
        """The sentence in Chinese for `zh`, else in English."""
        return self.chinese if language.startswith("zh") else self.english

    def with_rows(self, language: str = "en") -> str:
        """The sentence with at most ten of its row numbers, counted from 1."""
        if not self.rows:
            return self.sentence(language)
        rows = ", ".join(str(row + 1) for row in self.rows[:10]) + (" …" if len(self.rows) > 10 else "")
        said = Text(self.english, self.chinese)
        return _WITH_ROWS.fill(sentence=said, place=_PLACES[self.place], rows=rows).say(language)

    def to_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self) | {"rows": list(self.rows)}


_WITH_ROWS = Text("{sentence} ({place} {rows})", "{sentence}（{place}：{rows}）")
_PLACES: dict[Place, Text] = {
    "input": Text("row", "行"),
    "support": Text("cleaned row", "清理后第几条"),
    "test": Text("test row", "测试集第几条"),
}


def grave_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, then warnings, then what is good to know."""
    order: tuple[Severity, ...] = ("error", "warning", "info")
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def describe(findings: Iterable[Finding], language: str = "en") -> list[str]:
    """One line per finding, the grave ones first, each with at most ten of its row numbers (counted from 1)."""
    return [f"{finding.severity}: {finding.with_rows(language)}" for finding in grave_first(findings)]


_KEPT = Text("{kept} of {given} rows kept.", "共 {given} 行，保留 {kept} 行。")
_REASONS: dict[str, tuple[Severity, str, str]] = {
    "empty-text": ("warning", "{n} rows without text were left out.", "有 {n} 行没有文本，已略去。"),
    "missing-label": ("warning", "{n} rows without a label were left out.", "有 {n} 行没有标签，已略去。"),
    "white-space": (
        "info",
        "White space around {n} texts or labels was removed.",
        "去掉了 {n} 行文本或标签两端的空白。",
    ),
    "nul": ("warning", "NUL characters were removed from {n} rows.", "从 {n} 行中去掉了 NUL 字符。"),
    "invalid-utf8": (
        "warning",
        "{n} rows hold bytes that are not UTF-8; they were replaced by U+FFFD.",
        "有 {n} 行含有非 UTF-8 的字节，已替换为 U+FFFD。",
    ),
    "mixed-types": (
        "info",
        "{n} rows hold a number or another value where text was expected; it was read as text.",
        "有 {n} 行的文本或标签不是字符串，已按文本读取。",
    ),
    "label-as-words": (
        "info",
        "The label of {n} rows was written as its words or in another case; it was understood.",
        "有 {n} 行的标签写成了标签词或大小写不同，已识别。",
    ),
    "duplicate": (
        "warning",
        "{n} rows repeat an earlier one exactly and were left out.",
        "有 {n} 行与前面的行完全相同，已略去。",
    ),
    "normalised-duplicate": (
        "warning",
        "{n} rows repeat an earlier one but for case, width or white space and were left out.",
        "有 {n} 行与前面的行只有大小写、全半角或空白不同，已略去。",
    ),
    "conflict": (
        "error",
        "{n} rows carry the same text under different labels; all of them were left out.",
        "有 {n} 行文本相同而标签不同，已全部略去。",
    ),
}


class Notes:
    """Rows gathered under the reason that concerns them, in the order in which reasons first came up."""

    def __init__(self) -> None:
        self._rows: dict[str, set[int]] = defaultdict(set)

    def add(self, code: str, position: int) -> None:
        """Note that the row at `position` (from 0) is concerned by a reason; once is enough.

        Raises:
            KeyError: there is no such reason.
        """
        self._rows[code].add(position)

    def findings(self) -> list[Finding]:
        """One finding per reason, its rows ascending."""
        findings = []
        for code, rows in self._rows.items():
            severity, english, chinese = _REASONS[code]
            n = len(rows)
            findings.append(Finding(code, severity, english.format(n=n), chinese.format(n=n), tuple(sorted(rows))))
        return findings


@dataclass(frozen=True)
class CleaningReport:
    """What was done to the rows on the way into a support set.

    Attributes:
        rows_in: how many rows were given.
        kept: for each example of the set, the position (from 0) of the row it came from.
        findings: what was changed, left out or noticed.
        columns: field → column that was read.
    """

    rows_in: int = 0
    kept: tuple[int, ...] = ()
    findings: tuple[Finding, ...] = ()
    columns: Mapping[str, str] | None = None

    @property
    def dropped(self) -> int:
        """How many rows were left out."""
        return self.rows_in - len(self.kept)

    def lines(self, language: str = "en") -> list[str]:
        """The report for reading: a summary, then one line per finding."""
        summary = _KEPT.fill(given=self.rows_in, kept=len(self.kept))
        return [summary.say(language), *describe(self.findings, language)]


@dataclass(frozen=True)
class Cleaned:
    """What `clean` returns: examples, labels in order, the words the rows give to labels, the report."""

    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    label_words: Mapping[str, str]
    report: CleaningReport


def clean(
    rows: Sequence[Mapping[str, Any]], columns: Columns, task: Task | None = None, *, merge_labels: bool = False
) -> Cleaned:
    """Turn labelled rows into examples.

    Rows without text or label, with an unknown label, duplicates (the first stays), and texts that occur under
    two labels (none stays) are left out.

    Args:
        rows: the rows.
        columns: where fields and labels are.
        task: its labels, where it has some; otherwise the labels that occur, sorted.
        merge_labels: take labels that differ only in how they are written as the most frequent of them.

    Raises:
        SupportError: nothing is left, or only one class is.
    """
    if not rows:
        raise SupportError("There are no rows. Give at least one labelled text for each of two classes.")
    notes = Notes()
    optional = task.optional_fields if task else ()
    read = [
        (position, example)
        for position, row in enumerate(rows)
        if (example := _read(row, position, columns, optional, notes)) is not None
    ]
    read, spelt = _spelt(read, task, merge_labels)
    found, unknown = read, list[Finding]()
    if task and task.labels:
        found, unknown = _understood(read, task, notes), _unknown_labels(read, task)
    kept = _distinct(found, notes)
    present = {str(example.label) for _, example in kept}
    labels = task.labels if task and task.labels else tuple(sorted(present))
    # Without a task a class may have been there and lost its last row to the cleaning.
    expected = dict.fromkeys([*labels, *sorted({str(example.label) for _, example in found})])
    absent = [
        Finding("class-without-example", "error", f"No example of {label!r}.", f"“{label}”没有任何样例。")
        for label in expected
        if label not in present
    ]
    findings = [*unknown, *spelt, *notes.findings(), *_guesses(columns), *absent]
    report = CleaningReport(len(rows), tuple(position for position, _ in kept), tuple(findings), dict(columns.names))
    _require_classes(present, labels, report)
    examples = tuple(example for _, example in kept)
    return Cleaned(examples, labels, _label_words(rows, kept, columns), report)


def _read(
    row: Mapping[str, Any], position: int, columns: Columns, optional: Iterable[str], notes: Notes
) -> Example | None:
    """The example in a row, with what was done to it noted; `None` where there is nothing to keep."""
    values = columns.fields(row)
    told = {**values, LABEL: row.get(columns.names[LABEL])}
    parts: dict[str, str] = {}
    for name, value in told.items():
        text = as_text(value)
        if not isinstance(value, str) and text:
            notes.add("mixed-types", position)
        if "\0" in text:
            notes.add("nul", position)
        readable = readable_text(text)
        if readable != text.replace("\0", ""):
            notes.add("invalid-utf8", position)
        parts[name] = readable.strip()
        if parts[name] != readable and parts[name]:
            notes.add("white-space", position)
    label = parts.pop(LABEL)
    if any(not normalise_text(part) for name, part in parts.items() if name not in optional):
        notes.add("empty-text", position)
        return None
    if not label:
        notes.add("missing-label", position)
        return None
    return Example({name: part for name, part in parts.items() if part}, label)


def _spelt(
    read: Sequence[tuple[int, Example]], task: Task | None, merge_labels: bool
) -> tuple[list[tuple[int, Example]], list[Finding]]:
    """The rows with spellings of one label merged, where that is asked for, and what is said of them."""
    rows: dict[str, list[int]] = defaultdict(list)
    for position, example in read:
        rows[str(example.label)].append(position)
    known = task.labels if task else ()
    if not merge_labels:
        return list(read), [] if known else spelling_findings(rows)
    merged = alike_spellings(str(example.label) for _, example in read)
    if task and known:
        of_task = {spelling_key(label): label for label in known}
        unknown = [label for label in rows if task.label_of(label) is None]
        merged = {label: of_task[key] for label in unknown if (key := spelling_key(label)) in of_task}
    if not merged:
        return list(read), []
    changed = [
        (position, Example(example.fields, merged.get(str(example.label), example.label))) for position, example in read
    ]
    return changed, [_merged_finding(merged, rows)]


def _understood(read: Sequence[tuple[int, Example]], task: Task, notes: Notes) -> list[tuple[int, Example]]:
    """The rows whose label is one of the task's, with the label's own spelling."""
    understood = []
    for position, example in read:
        label = task.label_of(str(example.label))
        if label is None:
            continue
        if label != example.label:
            notes.add("label-as-words", position)
        understood.append((position, Example(example.fields, label)))
    return understood


def _distinct(found: Sequence[tuple[int, Example]], notes: Notes) -> list[tuple[int, Example]]:
    """Without duplicates and contradictions; the first of equal rows stays."""
    groups: dict[str, list[tuple[int, Example]]] = defaultdict(list)
    for position, example in found:
        groups[normalise_text(example.text)].append((position, example))
    kept: list[tuple[int, Example]] = []
    for group in groups.values():
        if len({example.label for _, example in group}) > 1:
            for position, _ in group:
                notes.add("conflict", position)
            continue
        kept.append(group[0])
        seen = {group[0][1].text}
        for position, example in group[1:]:
            notes.add("duplicate" if example.text in seen else "normalised-duplicate", position)
            seen.add(example.text)
    return sorted(kept, key=lambda pair: pair[0])


def _unknown_labels(read: Sequence[tuple[int, Example]], task: Task) -> list[Finding]:
    """A finding for each label that the task does not know."""
    unknown: dict[str, list[int]] = defaultdict(list)
    for position, example in read:
        if task.label_of(str(example.label)) is None:
            unknown[str(example.label)].append(position)
    findings = []
    for label, rows in unknown.items():
        if label in task.optional_labels:
            english = f"This task has the label {label!r} only when it is switched on; {len(rows)} rows were left out."
            chinese = f"本任务需要开启可选标签“{label}”才会使用它；略去了 {len(rows)} 行。"
        else:
            hint = nearest(label, task.labels)
            english = f"{len(rows)} rows with the unknown label {label!r} were left out. {hint}"
            chinese = f"标签“{label}”不在任务中（可用：{'、'.join(task.labels)}），略去了 {len(rows)} 行。"
        findings.append(Finding("unknown-label", "error", english, chinese, tuple(rows)))
    return findings


def _guesses(columns: Columns) -> list[Finding]:
    if not columns.guessed:
        return []
    pairs = ", ".join(f"{field} = {columns.names[field]!r}" for field in columns.guessed)
    findings = [Finding("guessed-columns", "info", f"Columns guessed by name: {pairs}.", f"按列名推测：{pairs}。")]
    for field, others in columns.rivals.items():
        chosen, listed = columns.names[field], ", ".join(map(repr, others))
        english = f"The column {chosen!r} is read as {field!r}; {listed} could be meant too. Name another one if so."
        chinese = f"把列 {chosen!r} 当作 {field!r} 读取；{listed} 也有可能。如不对，请指定列名。"
        findings.append(Finding("several-columns", "warning", english, chinese))
    return findings


def _require_classes(present: set[str], labels: Sequence[str], report: CleaningReport) -> None:
    if len(present) >= 2:
        return
    reasons = [finding.english for finding in report.findings if finding.code != "class-without-example"]
    what = f"every row that is left has the label {next(iter(present))!r}" if present else "no row is left"
    wanted = f" (the labels are {', '.join(labels)})" if len(labels) > 1 else ""
    message = f"A support set needs examples of at least two classes{wanted}, but {what} of {report.rows_in}."
    shown = [*reasons[:5], f"… and {len(reasons) - 5} findings more."] if len(reasons) > 5 else reasons
    raise SupportError(" ".join([message, *shown]))


def _label_words(
    rows: Sequence[Mapping[str, Any]], kept: Sequence[tuple[int, Example]], columns: Columns
) -> dict[str, str]:
    """Label → the words that its rows give it, where there is a column of label words."""
    column = columns.names.get(LABEL_WORDS)
    if column is None:
        return {}
    words: dict[str, str] = {}
    for position, example in kept:
        label, said = str(example.label), readable_text(as_text(rows[position].get(column))).strip()
        if said and words.setdefault(label, said) != said:
            raise SupportError(
                f"The rows give the label {label!r} more than one kind of label words: {words[label]}, {said}. "
                "Use one for all rows of a label."
            )
    return words


# Between two digits, and before a number, a hyphen says something: 1-2, -1.
_SEPARATOR = re.compile(r"(?<=[^\W_])[\s_‐-―-]+(?=[^\W\d_])|(?<=[^\W\d_])[\s_‐-―-]+(?=[^\W_])")
_PRESENTATION = re.compile("[\ufe0e\ufe0f]")
RARE, LENGTH = 2, 5
"""A label with so few rows, and so many letters, may be another one misspelt."""


def spelling_key(label: str) -> str:
    """The same for labels that differ only in case, width, white space, underscores and hyphens between words.

    >>> spelling_key("Cancel order") == spelling_key("cancel_order") == spelling_key("cancel-ORDER")
    True
    >>> spelling_key("-1") == spelling_key("1"), spelling_key("C++") == spelling_key("C")
    (False, False)
    """
    return _SEPARATOR.sub("", _PRESENTATION.sub("", normalise_text(label)))


def alike_spellings(labels: Iterable[str]) -> dict[str, str]:
    """Each label that is a rarer spelling of another → the most frequent one (of equals the first).

    Args:
        labels: one per row.

    >>> alike_spellings(["Cancel order", "cancel_order", "refund", "cancel_order"])
    {'Cancel order': 'cancel_order'}
    """
    counts = Counter(labels)
    groups: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        groups[spelling_key(label)].append(label)
    merged: dict[str, str] = {}
    for group in groups.values():
        best = max(group, key=lambda label: counts[label])  # the first of the largest
        merged |= {label: best for label in group if label != best}
    return merged


def _merged_finding(merged: Mapping[str, str], rows: Mapping[str, Sequence[int]]) -> Finding:
    """What was merged into what, and in which rows."""
    told = ", ".join(f"{label!r} → {best!r}" for label, best in merged.items())
    where = tuple(sorted(row for label in merged for row in rows[label]))
    english = f"Spellings of one label were merged into the most frequent one in {len(where)} rows: {told}."
    chinese = f"已把同一标签的不同写法合并（{len(where)} 行）：{told}。"
    return Finding("merged-labels", "warning", english, chinese, where)


def spelling_findings(rows: Mapping[str, Sequence[int]]) -> list[Finding]:
    """Labels that may be one: several spellings, with a cure, and likely misspellings.

    Args:
        rows: label → positions of its rows.
    """
    findings = []
    merged = alike_spellings([label for label, positions in rows.items() for _ in positions])
    groups: dict[str, list[str]] = defaultdict(list)
    for label, best in merged.items():
        groups[best].append(label)
    for best, others in groups.items():
        listed = ", ".join(f"{label!r} ({len(rows[label])})" for label in (best, *others))
        where = tuple(sorted(row for label in others for row in rows[label]))
        english = (
            f"These labels differ only in how they are written, and are kept as different classes: {listed}. Merge "
            "them into the most frequent one with --merge-labels (merge_labels=True), or write them alike."
        )
        chinese = f"这些标签只是写法不同，却被当成不同类别：{listed}。可用 --merge-labels 合并，或统一写法。"
        findings.append(Finding("label-spellings", "warning", english, chinese, where))
    for rare, often in _misspelt({label: len(found) for label, found in rows.items() if label not in merged}):
        english = f"{rare!r} has {len(rows[rare])} rows and is one letter away from {often!r}. Is it a misspelling?"
        chinese = f"“{rare}”只有 {len(rows[rare])} 行，与“{often}”只差一个字母，是否写错？"
        findings.append(Finding("label-misspelt", "info", english, chinese, tuple(rows[rare])))
    return findings


def _misspelt(sizes: Mapping[str, int]) -> list[tuple[str, str]]:
    found = []
    for rare, size in sizes.items():
        if size > RARE or len(rare) < LENGTH:
            continue
        near = [often for often, more in sizes.items() if more >= 3 * size and _one_apart(rare, often)]
        found += [(rare, near[0])] if near else []
    return found


def _one_apart(a: str, b: str) -> bool:
    """Whether one letter was changed, left out, put in, or two neighbours swapped; digits are no misspelling."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return False
    start = shared_length(a, b)
    left, right = a[start:], b[start:]
    if any(part[:1].isdigit() for part in (left, right)):
        return False
    swapped = len(left) > 1 and left[:2] == right[:2][::-1] and left[2:] == right[2:]
    return swapped or left[1:] == right[1:] or left[1:] == right or left == right[1:]
