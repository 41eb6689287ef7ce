"""Spellings of one label that were meant as the same: `cancel_order`, `cancel-order`, `Cancel order`, `CancelOrder`."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from fewshot_llm.data.finding import Finding
from fewshot_llm.data.language import normalise_text

__all__ = ["alike_spellings", "merged_finding", "spelling_findings", "spelling_key"]

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


def merged_finding(merged: Mapping[str, str], rows: Mapping[str, Sequence[int]]) -> Finding:
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
    start = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    left, right = a[start:], b[start:]
    if any(part[:1].isdigit() for part in (left, right)):
        return False
    swapped = len(left) > 1 and left[:2] == right[:2][::-1] and left[2:] == right[2:]
    return swapped or left[1:] == right[1:] or left[1:] == right or left == right[1:]
