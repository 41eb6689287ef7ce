"""The doctor: what about a support set will make results worse than they could be."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from fewshot_llm.data.cleaning import Finding, describe
from fewshot_llm.data.language import detect_language, normalise_text
from fewshot_llm.data.support_set import SupportSet
from fewshot_llm.data.task import Task
from fewshot_llm.types import Text

__all__ = ["NOTHING_FOUND", "DoctorReport", "doctor"]

FEW_EXAMPLES = 4
"""Below this many examples of a class, results depend mostly on which ones they are."""
IMBALANCE = 3.0
"""Largest class over smallest class from which on the prompt leans to the larger."""
SHORT = 2
"""Characters; a text this short rarely says what its label means."""
MANY_CLASSES = 12
"""Above this, the report gives the range of the sizes of classes, not each one."""
LONG = 1000
"""Characters; a few of these fill a small model's context."""

NOTHING_FOUND = Text("Nothing to complain about.", "没有发现问题。")
IN_ALL = Text("{total} examples: {counts}.", "共 {total} 个样例：{counts}。")
IN_ALL_MANY = Text(
    "{total} examples: {classes} classes of {least} to {most}.",
    "共 {total} 个样例：{classes} 个类别，每类 {least} 到 {most} 个。",
)


@dataclass(frozen=True)
class DoctorReport:
    """What the doctor found.

    Attributes:
        counts: label → number of examples.
        language: the language the texts are written in, one of the task's.
        findings: what was found, cleaning included.
    """

    counts: dict[str, int]
    language: str
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is no finding of severity `error`."""
        return all(finding.severity != "error" for finding in self.findings)

    def lines(self, language: str = "en") -> list[str]:
        """The report for reading: the counts, then one line per finding."""
        return [self.summary(language), *(describe(self.findings, language) or [NOTHING_FOUND.say(language)])]

    def summary(self, language: str = "en") -> str:
        """How many examples there are, and of which classes, as a sentence."""
        counts = self.counts.values()
        template = IN_ALL_MANY if len(counts) > MANY_CLASSES else IN_ALL
        return template.fill(
            total=sum(counts),
            classes=len(counts),
            least=min(counts, default=0),
            most=max(counts, default=0),
            counts=", ".join(f"{label} {count}" for label, count in self.counts.items()),
        ).say(language)

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "healthy": self.healthy,
            "counts": self.counts,
            "language": self.language,
            "findings": [finding.to_json() for finding in self.findings],
        }


def doctor(support: SupportSet, task: Task, test: SupportSet | None = None) -> DoctorReport:
    """Examine a support set: what cleaning found, sizes of classes, odd texts, near duplicates, leaks.

    Args:
        support: the set, as one of its constructors made it.
        task: the task it is for.
        test: labelled rows that results will be measured on.

    >>> from fewshot_llm.data.task import load_task
    >>> task = load_task("review-sentiment")
    >>> doctor(SupportSet.from_lists(["很好", "太差了"], ["positive", "negative"], task), task).healthy
    True
    """
    findings = [
        *support.report.findings,
        *_classes(support),
        *_lengths(support),
        *_near_duplicates(support),
        *(_test_rows(support, test) if test is not None else ()),
    ]
    counts = {label: len(positions) for label, positions in support.by_label().items()}
    language = detect_language((example.text for example in support), task.languages)
    return DoctorReport(counts, language, tuple(findings))


def _classes(support: SupportSet) -> list[Finding]:
    findings = []
    sizes = {label: len(positions) for label, positions in support.by_label().items() if positions}
    small = [label for label, size in sizes.items() if size < FEW_EXAMPLES]
    if small:
        rows = tuple(row for label in small for row in support.by_label()[label])
        english = f"{_some(small)} {'has' if len(small) == 1 else 'have'} fewer than {FEW_EXAMPLES} examples; add some."
        chinese = f"{_some(small, '、')} 的样例少于 {FEW_EXAMPLES} 个，建议补充。"
        findings.append(Finding("few-examples", "info", english, chinese, rows, "support"))
    if sizes and max(sizes.values()) >= IMBALANCE * min(sizes.values()):
        most, least = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
        english = (
            f"Classes are unbalanced: {sizes[most]} of {most!r}, {sizes[least]} of {least!r}. "
            "Balanced selection takes equally many; add examples of the small class."
        )
        chinese = (
            f"类别不均衡：“{most}”有 {sizes[most]} 个，“{least}”有 {sizes[least]} 个。"
            "均衡选样会各取同样多；建议补充较少的类别。"
        )
        findings.append(Finding("imbalance", "warning", english, chinese, support.by_label()[least], "support"))
    return findings


def _lengths(support: SupportSet) -> list[Finding]:
    lengths = [len(example.text) for example in support]
    short = tuple(row for row, length in enumerate(lengths) if length < SHORT)
    long = tuple(row for row, length in enumerate(lengths) if length > LONG)
    findings = []
    if short:
        english = f"{len(short)} texts are shorter than {SHORT} characters; check that they say what their label means."
        chinese = f"有 {len(short)} 条文本不足 {SHORT} 个字，请确认它们能体现标签的含义。"
        findings.append(Finding("short-text", "info", english, chinese, short, "support"))
    if long:
        english = (
            f"{len(long)} texts are longer than {LONG} characters (the middle one of all has {median(lengths):.0f}); "
            "few of them fit a prompt. Prefer short, typical ones."
        )
        chinese = (
            f"有 {len(long)} 条文本超过 {LONG} 个字（中位数为 {median(lengths):.0f}），"
            "提示词里放不下几条；建议选短而典型的。"
        )
        findings.append(Finding("long-text", "warning", english, chinese, long, "support"))
    return findings


def _near_duplicates(support: SupportSet) -> list[Finding]:
    groups: dict[str, list[int]] = defaultdict(list)
    for row, example in enumerate(support):
        groups[_skeleton(example.text)].append(row)
    # The empty skeleton is shared by texts of nothing but punctuation or emoji.
    alike = [rows for skeleton, rows in groups.items() if len(rows) > 1 and skeleton]
    findings = []
    mixed = tuple(row for rows in alike if _label_count(support, rows) > 1 for row in rows)
    same = tuple(row for rows in alike if _label_count(support, rows) == 1 for row in rows)
    if same:
        english = f"{len(same)} texts differ only in punctuation or numbers; a copy teaches nothing new."
        chinese = f"有 {len(same)} 条文本只有标点或数字不同；重复的样例没有新信息。"
        findings.append(Finding("near-duplicate", "info", english, chinese, same, "support"))
    if mixed:
        english = f"{len(mixed)} texts differ only in punctuation or numbers, but their labels differ; check them."
        chinese = f"有 {len(mixed)} 条文本只有标点或数字不同，标签却不同，请检查。"
        findings.append(Finding("near-conflict", "warning", english, chinese, mixed, "support"))
    return findings


def _label_count(support: SupportSet, rows: Sequence[int]) -> int:
    return len({support[row].label for row in rows})


def _skeleton(text: str) -> str:
    """Letters only, every number alike."""
    return re.sub(r"[\W_]+", "", re.sub(r"\d+", "0", normalise_text(text)))


def _test_rows(support: SupportSet, test: SupportSet) -> list[Finding]:
    findings = []
    leaks = support.leak_check(test)
    if leaks:
        english = f"{len(leaks)} test rows are also in the support set; accuracy on them means nothing. Remove them."
        chinese = f"有 {len(leaks)} 条测试文本也在样例里，其准确率没有意义，请去掉。"
        findings.append(Finding("leak", "error", english, chinese, tuple(leak.test_row for leak in leaks), "test"))
    learned = {example.label for example in support}
    unseen = {label: rows for label, rows in test.by_label().items() if rows and label not in learned}
    if unseen:
        rows = tuple(sorted(row for positions in unseen.values() for row in positions))
        english = f"{len(rows)} test rows have labels without an example in the support set: {_some(list(unseen))}."
        chinese = f"有 {len(rows)} 条测试文本的标签在样例中没有出现：{_some(list(unseen), '、')}。"
        findings.append(Finding("unseen-label", "error", english, chinese, rows, "test"))
    return findings


def _some(labels: Sequence[str], comma: str = ", ") -> str:
    shown = comma.join(repr(label) for label in labels[:5])
    return f"{shown} … ({len(labels)})" if len(labels) > 5 else shown
