"""`Notes`: what cleaning did to which rows, and how each of these things is said in both languages."""

from __future__ import annotations

from collections import defaultdict

from fewshot_llm.support.finding import Finding, Severity

__all__ = ["Notes"]

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
