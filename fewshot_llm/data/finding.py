"""`Finding`: one thing worth knowing about labelled rows, in both languages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "Place", "Severity", "describe"]

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

    def to_json(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return asdict(self) | {"rows": list(self.rows)}


def describe(findings: Iterable[Finding], language: str = "en") -> list[str]:
    """One line per finding, the grave ones first, each with at most ten of its row numbers (counted from 1)."""
    order: tuple[Severity, ...] = ("error", "warning", "info")
    chinese = language.startswith("zh")
    lines = []
    for finding in sorted(findings, key=lambda finding: order.index(finding.severity)):
        line = finding.sentence(language)
        if finding.rows:
            shown = ", ".join(str(row + 1) for row in finding.rows[:10]) + (" …" if len(finding.rows) > 10 else "")
            place = {
                "input": ("row", "行"),
                "support": ("cleaned row", "清理后第几条"),
                "test": ("test row", "测试集第几条"),
            }[finding.place][chinese]
            line += f"（{place}：{shown}）" if chinese else f" ({place} {shown})"
        lines.append(f"{finding.severity}: {line}")
    return lines
