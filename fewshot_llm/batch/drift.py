"""Has the text changed? Labels and margins of each shard, against the first shard and the support set.

A warning, never a stop: a sale, a new product or a broken export all look like this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fewshot_llm.batch.manifest import ShardEntry
from fewshot_llm.types import Text, listed

__all__ = ["SupportProfile", "drift_warnings"]

FEWEST = 50
"""Labelled rows below which a shard says nothing."""
UNLIKELY = 1e-4
"""p-value of the label histogram's change that is worth a warning: one false alarm in 10,000 shards."""
SHIFT = 0.1
"""Share of rows that must have moved to other labels; with many rows the test finds smaller, harmless moves."""
MARGIN_SHIFT = 0.1
"""Change of the mean margin (a difference of probabilities)."""

LABELS_MOVED = Text(
    "shard {shard}: labels moved against shard {first} ({moves})",
    "分片 {shard}：标签分布与分片 {first} 相比有变化（{moves}）",
)
MARGIN_MOVED = Text(
    "shard {shard}: mean margin {before:.2f} → {now:.2f} against shard {first}",
    "分片 {shard}：平均间隔与分片 {first} 相比 {before:.2f} → {now:.2f}",
)
MARGIN_OFF_SUPPORT = Text(
    "shard {shard}: mean margin {before:.2f} → {now:.2f} against the support set",
    "分片 {shard}：平均间隔与样例集相比 {before:.2f} → {now:.2f}",
)
NEVER_PREDICTED = Text(
    "shard {shard}: never predicted, though in the support set: {labels}",
    "分片 {shard}：样例集中有、却从未判定过的标签：{labels}",
)


@dataclass(frozen=True)
class SupportProfile:
    """What the support set looks like to the classifier.

    Attributes:
        labels: how often each label stands in it; classes are balanced by choice, so only absences mean anything.
        mean_margin: of its out-of-fold predictions; `None` where there are none.
    """

    labels: Mapping[str, int]
    mean_margin: float | None = None


def drift_warnings(entries: Sequence[ShardEntry], support: SupportProfile | None = None) -> list[Text]:
    """One sentence per shard and kind of change.

    Args:
        entries: finished shards, in order; those with fewer than 50 labelled rows are passed over.
        support: compared to the first such shard.

    >>> first = ShardEntry(0, "shard-00000.parquet", "", 0, 100, 100, labels={"good": 80, "bad": 20})
    >>> later = ShardEntry(1, "shard-00001.parquet", "", 100, 100, 100, labels={"good": 30, "bad": 70})
    >>> drift_warnings([first, later])[0].en
    'shard 1: labels moved against shard 0 (good 80% → 30%, bad 20% → 70%)'
    """
    usable = [entry for entry in entries if entry.labelled >= FEWEST]
    if not usable:
        return []
    first = usable[0]
    found = [] if support is None else _against_support(first, support)
    for entry in usable[1:]:
        if moved := _moved(first.labels, entry.labels):
            found.append(LABELS_MOVED.fill(shard=entry.shard, first=first.shard, moves=listed(moved)))
        if change := _margin_change(first.mean_margin, entry.mean_margin):
            found.append(MARGIN_MOVED.fill(shard=entry.shard, first=first.shard, before=change[0], now=change[1]))
    return found


def _against_support(first: ShardEntry, support: SupportProfile) -> list[Text]:
    found = []
    if absent := [label for label in support.labels if not first.labels.get(label)]:
        share = len(absent) / len(support.labels)
        # Of many labels some are rare; of few, one that never comes is news.
        if share >= 0.5 or len(support.labels) <= 5:
            found.append(NEVER_PREDICTED.fill(shard=first.shard, labels=listed(sorted(absent)[:10])))
    if change := _margin_change(support.mean_margin, first.mean_margin):
        found.append(MARGIN_OFF_SUPPORT.fill(shard=first.shard, before=change[0], now=change[1]))
    return found


def _margin_change(before: float | None, now: float | None) -> tuple[float, float] | None:
    if before is None or now is None or abs(now - before) < MARGIN_SHIFT:
        return None
    return before, now


def _moved(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """The three largest moves, where the chi-squared test of the two histograms rejects chance and they are large."""
    from scipy.stats import chi2

    labels = sorted({*before, *now})
    one, two = sum(before.values()), sum(now.values())
    shares = {label: (before.get(label, 0) / one, now.get(label, 0) / two) for label in labels}
    if sum(abs(new - old) for old, new in shares.values()) / 2 < SHIFT or len(labels) < 2:
        return []
    statistic = 0.0
    for label in labels:
        pooled = (before.get(label, 0) + now.get(label, 0)) / (one + two)
        for count, rows in ((before.get(label, 0), one), (now.get(label, 0), two)):
            statistic += (count - pooled * rows) ** 2 / (pooled * rows)
    if chi2.sf(statistic, len(labels) - 1) > UNLIKELY:
        return []
    largest = sorted(shares, key=lambda label: -abs(shares[label][1] - shares[label][0]))[:3]
    largest.sort(key=lambda label: -shares[label][0])
    return [f"{label} {shares[label][0]:.0%} → {shares[label][1]:.0%}" for label in largest]
