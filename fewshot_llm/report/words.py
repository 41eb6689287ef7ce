"""One language's words and number forms; both texts of a sentence stand side by side where it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fewshot_llm.stats.intervals import Interval

__all__ = ["ReportWords"]


@dataclass(frozen=True)
class ReportWords:
    """Says things in Chinese for `zh…`, else in English.

    Attributes:
        language: of the report.

    >>> Words("zh")("rows", "行"), Words("en").percent(0.8625), Words("en").signed_points(-0.012)
    ('行', '86.2%', '−1.2')
    """

    language: str

    def __call__(self, english: str, chinese: str) -> str:
        """One of the two."""
        return chinese if self.chinese else english

    @property
    def chinese(self) -> bool:
        """Whether this is Chinese."""
        return self.language.startswith("zh")

    def percent(self, share: float, digits: int = 1) -> str:
        """A share as a percentage; a dash where there is none."""
        return "–" if not math.isfinite(share) else f"{100 * share:.{digits}f}%"

    def between(self, interval: Interval) -> str:
        """An interval's bounds as percentages."""
        low, high = self.percent(interval.low), self.percent(interval.high)
        return self(f"{low} to {high}", f"{low} 至 {high}")

    def share(self, interval: Interval) -> str:
        """A share with its bounds."""
        if not math.isfinite(interval.value):
            return "–"
        value, bounds = self.percent(interval.value), self.between(interval)
        return self(f"{value} ({bounds})", f"{value}（{bounds}）")

    def signed_points(self, difference: float) -> str:
        """A difference of shares in percentage points, with its sign."""
        return f"{100 * difference:+.1f}".replace("-", "−")

    def points(self, interval: Interval) -> str:
        """A difference of shares in percentage points with its bounds."""
        low, high = self.signed_points(interval.low), self.signed_points(interval.high)
        value = self.signed_points(interval.value)
        return self(f"{value} ({low} to {high})", f"{value}（{low} 至 {high}）")

    def figure(self, interval: Interval) -> str:
        """A figure that is no share, with its bounds."""
        value, low, high = (f"{part:.3f}" for part in (interval.value, interval.low, interval.high))
        return self(f"{value} ({low} to {high})", f"{value}（{low} 至 {high}）")

    def probability(self, value: float) -> str:
        """A probability with two digits."""
        return f"{value:.2f}"

    def seconds(self, value: float) -> str:
        """A duration in the unit that suits it."""
        if value < 90:
            return self(f"{value:.1f} s", f"{value:.1f} 秒")
        if value < 5400:
            return self(f"{value / 60:.1f} min", f"{value / 60:.1f} 分钟")
        return self(f"{value / 3600:.1f} h", f"{value / 3600:.1f} 小时")
