"""Rows as people have them become examples; everything that is changed or left out is reported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fewshot_llm.errors import SupportError, nearest
from fewshot_llm.language import normalise_text
from fewshot_llm.support.columns import LABEL, LABEL_WORDS, Columns
from fewshot_llm.support.example import Example, as_text, readable_text
from fewshot_llm.support.finding import Finding, Severity, describe
from fewshot_llm.task import Task

__all__ = ["Cleaned", "CleaningReport", "clean"]


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
        if language.startswith("zh"):
            summary = f"共 {self.rows_in} 行，保留 {len(self.kept)} 行。"
        else:
            summary = f"{len(self.kept)} of {self.rows_in} rows kept."
        return [summary, *describe(self.findings, language)]


class _Notes:
    """Rows gathered under the reason that concerns them, in the order in which reasons first came up."""

    def __init__(self) -> None:
        self.rows: dict[str, list[int]] = defaultdict(list)

    def findings(self) -> list[Finding]:
        findings = []
        for code, rows in self.rows.items():
            severity, english, chinese = _REASONS[code]
            n = len(rows)
            findings.append(Finding(code, severity, english.format(n=n), chinese.format(n=n), tuple(rows)))
        return findings


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


@dataclass(frozen=True)
class Cleaned:
    """What `clean` returns: examples, labels in order, the words the rows give to labels, the report."""

    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    label_words: Mapping[str, str]
    report: CleaningReport


def clean(rows: Sequence[Mapping[str, Any]], columns: Columns, task: Task | None = None) -> Cleaned:
    """Turn labelled rows into examples.

    Rows without text or label, with an unknown label, duplicates (the first stays), and texts that occur under
    two labels (none stays) are left out.

    Args:
        rows: the rows.
        columns: where fields and labels are.
        task: its labels, where it has some; otherwise the labels that occur, sorted.

    Raises:
        SupportError: nothing is left, or only one class is.
    """
    if not rows:
        raise SupportError("There are no rows. Give at least one labelled text for each of two classes.")
    notes = _Notes()
    optional = task.optional_fields if task else ()
    known = _known_labels(task)
    unknown: dict[str, list[int]] = defaultdict(list)
    found: list[tuple[int, Example]] = []
    words: dict[str, set[str]] = defaultdict(set)
    for position, row in enumerate(rows):
        example = _read(row, position, columns, optional, notes)
        if example is None or example.label is None:
            continue
        label = example.label
        if known is not None:
            understood = known.get(label) or known.get(normalise_text(label))
            if understood is None:
                unknown[label].append(position)
                continue
            if understood != label:
                notes.rows["label-as-words"].append(position)
            example = Example(example.fields, understood)
        if LABEL_WORDS in columns.names and (said := as_text(row.get(columns.names[LABEL_WORDS]))):
            words[str(example.label)].add(said.strip())
        found.append((position, example))
    kept = _distinct(found, notes)
    labels = task.labels if task and task.labels else tuple(sorted({str(example.label) for _, example in kept}))
    findings = [*_unknown_labels(unknown, task), *notes.findings(), *_guesses(columns)]
    present = {example.label for _, example in kept}
    for label in labels:
        if label not in present:
            findings.append(
                Finding("class-without-example", "error", f"No example of {label!r}.", f"“{label}”没有任何样例。")
            )
    report = CleaningReport(len(rows), tuple(position for position, _ in kept), tuple(findings), dict(columns.names))
    _require_classes(present, labels, report)
    examples = tuple(example for _, example in kept)
    return Cleaned(examples, labels, _one_word_each(words), report)


def _read(
    row: Mapping[str, Any], position: int, columns: Columns, optional: Iterable[str], notes: _Notes
) -> Example | None:
    """The example in a row, with what was done to it noted; `None` where there is nothing to keep."""
    values = columns.fields(row)
    told = {**values, LABEL: row.get(columns.names[LABEL])}
    parts: dict[str, str] = {}
    for name, value in told.items():
        text = as_text(value)
        if not isinstance(value, str) and text:
            _note(notes, "mixed-types", position)
        if "\0" in text:
            _note(notes, "nul", position)
        readable = readable_text(text)
        if readable != text.replace("\0", ""):
            _note(notes, "invalid-utf8", position)
        parts[name] = readable.strip()
        if parts[name] != readable and parts[name]:
            _note(notes, "white-space", position)
    label = parts.pop(LABEL)
    if any(not normalise_text(part) for name, part in parts.items() if name not in optional):
        _note(notes, "empty-text", position)
        return None
    if not label:
        _note(notes, "missing-label", position)
        return None
    return Example({name: part for name, part in parts.items() if part}, label)


def _note(notes: _Notes, code: str, position: int) -> None:
    rows = notes.rows[code]
    if not rows or rows[-1] != position:
        rows.append(position)


def _known_labels(task: Task | None) -> dict[str, str] | None:
    """Every way to write a label of the task → the label; `None` where labels come from the rows."""
    if task is None or not task.labels:
        return None
    known: dict[str, str] = {}
    for language in task.languages:
        for label, words in task.words(language).items():
            known.setdefault(normalise_text(words), label)
    for label in task.labels:
        known[normalise_text(label)] = label
    return known | {label: label for label in task.labels}


def _distinct(found: Sequence[tuple[int, Example]], notes: _Notes) -> list[tuple[int, Example]]:
    """Without duplicates and contradictions; the first of equal rows stays."""
    groups: dict[str, list[tuple[int, Example]]] = defaultdict(list)
    for position, example in found:
        groups[normalise_text(example.text)].append((position, example))
    kept: list[tuple[int, Example]] = []
    conflicts: list[int] = []
    for group in groups.values():
        if len({example.label for _, example in group}) > 1:
            conflicts.extend(position for position, _ in group)
            continue
        kept.append(group[0])
        seen = {group[0][1].text}
        for position, example in group[1:]:
            notes.rows["duplicate" if example.text in seen else "normalised-duplicate"].append(position)
            seen.add(example.text)
    if conflicts:
        notes.rows["conflict"] = sorted(conflicts)
    for code in ("duplicate", "normalised-duplicate"):
        if code in notes.rows:
            notes.rows[code].sort()
    return sorted(kept, key=lambda pair: pair[0])


def _unknown_labels(unknown: Mapping[str, Sequence[int]], task: Task | None) -> list[Finding]:
    findings = []
    for label, rows in unknown.items():
        assert task is not None
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
    return [Finding("guessed-columns", "info", f"Columns guessed by name: {pairs}.", f"按列名推测：{pairs}。")]


def _require_classes(present: set[str | None], labels: Sequence[str], report: CleaningReport) -> None:
    if len(present) >= 2:
        return
    reasons = " ".join(finding.english for finding in report.findings if finding.code != "class-without-example")
    what = f"every row that is left has the label {next(iter(present))!r}" if present else "no row is left"
    wanted = f" (the labels are {', '.join(labels)})" if len(labels) > 1 else ""
    message = f"A support set needs examples of at least two classes{wanted}, but {what} of {report.rows_in}."
    raise SupportError(f"{message} {reasons}".strip())


def _one_word_each(words: Mapping[str, set[str]]) -> dict[str, str]:
    for label, said in words.items():
        if len(said) > 1:
            raise SupportError(
                f"The rows give the label {label!r} more than one kind of label words: {', '.join(sorted(said))}. "
                "Use one for all rows of a label."
            )
    return {label: next(iter(said)) for label, said in words.items()}
