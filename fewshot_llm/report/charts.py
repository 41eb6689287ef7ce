"""Vega-Lite charts. Colours are the page's CSS variables, so that one picture serves the light and the dark theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fewshot_llm.errors import DataFileError
from fewshot_llm.stats.intervals import Interval

if TYPE_CHECKING:
    from fewshot_llm.evaluation.figures import Coverage, Extrapolation, Reliability

__all__ = ["coverage_chart", "curve_chart", "dots_chart", "gauge_chart", "matrix_chart", "reliability_chart"]

ACCENT, SECOND, GOOD, BAD = "var(--accent)", "var(--second)", "var(--good)", "var(--bad)"
INK, MUTED, GRID, PAGE = "var(--ink)", "var(--muted)", "var(--grid)", "var(--page)"
WIDTH, HEIGHT = 300, 210
CELLS_WITH_NUMBERS = 12
"""Up to so many labels a matrix has room for its numbers."""

CONFIG: Mapping[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "gridColor": GRID,
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
        "titlePadding": 8,
    },
    "legend": {
        "labelColor": MUTED,
        "labelFontSize": 11,
        "title": None,
        "orient": "top",
        "symbolType": "stroke",
        "symbolStrokeWidth": 3,
    },
}


def _altair() -> Any:
    try:
        import altair
    except ImportError:
        raise DataFileError(
            "The report's charts need altair and vl-convert-python. Run: pip install 'fewshot-llm[report]'"
        ) from None
    return altair


def _spec(chart: Any, width: int = WIDTH, height: int | None = HEIGHT) -> dict[str, Any]:
    size = {"width": width} if height is None else {"width": width, "height": height}
    spec: dict[str, Any] = chart.properties(**size).to_dict()
    return spec | {"config": CONFIG}


def gauge_chart(value: Interval, target: float) -> dict[str, Any]:
    """One accuracy with its interval on a scale from 0 to 1, and the target as a mark."""
    alt = _altair()
    axis = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], grid=True, title=None)
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(_data([{"value": value.value, "low": value.low, "high": value.high, "target": target}]))
    band = base.mark_bar(color=ACCENT, opacity=0.25, height=16).encode(
        x=alt.X("low:Q", axis=axis, scale=scale), x2="high:Q"
    )
    point = base.mark_tick(color=ACCENT, thickness=4, size=22).encode(x="value:Q")
    goal = base.mark_tick(color=INK, thickness=2, size=34).encode(x="target:Q")
    return _spec(band + point + goal, 320, 36)


def curve_chart(
    points: Sequence[tuple[float, Interval]],
    extrapolation: Extrapolation | None,
    target: float,
    x_title: str,
    y_title: str,
) -> dict[str, Any]:
    """Accuracy by labelled rows per class, with intervals; the fitted curve beyond them is dashed.

    Args:
        points: rows per class, and accuracy.
        extrapolation: the fitted curve.
        target: drawn as a line.
        x_title: of the axis of rows.
        y_title: of the axis of accuracy.
    """
    alt = _altair()
    x = alt.X("x:Q", title=x_title, axis=alt.Axis(grid=False, tickCount=6))
    y_scale = alt.Scale(zero=False, nice=True)
    y = alt.Y("value:Q", title=y_title, axis=alt.Axis(format=".0%", tickCount=5), scale=y_scale)
    rows = [{"x": size, "value": a.value, "low": a.low, "high": a.high} for size, a in points]
    measured = alt.Chart(_data(rows))
    layers = [
        measured.mark_rule(color=ACCENT, strokeWidth=2, opacity=0.45).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
        measured.mark_line(color=ACCENT, strokeWidth=2).encode(x=x, y=y),
        measured.mark_point(color=ACCENT, fill=ACCENT, opacity=1, size=45).encode(x=x, y=y),
        alt.Chart(_data([{"value": target}])).mark_rule(color=INK, strokeWidth=1, strokeDash=[2, 3]).encode(y=y),
    ]
    if extrapolation is not None:
        pairs = zip(extrapolation.sizes, extrapolation.accuracies, strict=True)
        fitted = alt.Chart(_data([{"x": s, "value": a.value, "low": a.low, "high": a.high} for s, a in pairs]))
        layers = [
            fitted.mark_area(color=SECOND, opacity=0.15).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
            fitted.mark_line(color=SECOND, strokeWidth=2, strokeDash=[5, 4]).encode(x=x, y=y),
            *layers,
        ]
    return _spec(alt.layer(*layers))


def reliability_chart(series: Sequence[tuple[str, Reliability]], x_title: str, y_title: str) -> dict[str, Any]:
    """The share that is right by probability; a dot's area is its number of rows. The diagonal is perfect.

    Args:
        series: named diagrams; the last is the one that is used.
        x_title: of the axis of probabilities.
        y_title: of the axis of accuracy.
    """
    alt = _altair()
    unit = alt.Scale(domain=[0, 1])
    ticks = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])
    diagonal = (
        alt.Chart(_data([{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
        .mark_line(color=MUTED, strokeWidth=1, strokeDash=[2, 3])
        .encode(x=alt.X("x:Q", scale=unit), y=alt.Y("y:Q", scale=unit))
    )
    rows = [
        {"series": name, "x": one.confidence, "y": one.accuracy.value, "rows": one.rows}
        for name, diagram in series
        for one in diagram.bins
    ]
    names = [name for name, _ in series]
    colours = [SECOND, ACCENT][-len(names) :]
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("x:Q", title=x_title, scale=unit, axis=ticks),
        y=alt.Y("y:Q", title=y_title, scale=unit, axis=ticks),
        color=alt.Color("series:N", scale=alt.Scale(domain=names, range=colours)),
    )
    dots = base.mark_point(opacity=0.85, filled=True).encode(
        size=alt.Size("rows:Q", legend=None, scale=alt.Scale(range=[20, 260]))
    )
    return _spec(diagonal + base.mark_line(strokeWidth=2) + dots)


def coverage_chart(curve: Sequence[Coverage], target: float, x_title: str, y_title: str) -> dict[str, Any]:
    """Accuracy of the answered rows by their share, with the band of its interval."""
    alt = _altair()
    rows = [
        {"x": point.coverage, "value": point.accuracy.value, "low": point.accuracy.low, "high": point.accuracy.high}
        for point in curve
    ]
    x = alt.X(
        "x:Q", title=x_title, axis=alt.Axis(format=".0%", grid=False, tickCount=5), scale=alt.Scale(domain=[0, 1])
    )
    scale = alt.Scale(domain=[min(0.5, min(row["value"] for row in rows)), 1], clamp=True)
    y = alt.Y("value:Q", title=y_title, axis=alt.Axis(format=".0%", tickCount=5), scale=scale)
    base = alt.Chart(_data(rows))
    goal = alt.Chart(_data([{"value": target}])).mark_rule(color=INK, strokeWidth=1, strokeDash=[2, 3]).encode(y=y)
    band = base.mark_area(color=ACCENT, opacity=0.15).encode(x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q")
    return _spec(band + goal + base.mark_line(color=ACCENT, strokeWidth=2).encode(x=x, y=y))


def matrix_chart(
    labels: Sequence[str], confusion: Sequence[Sequence[int]], x_title: str, y_title: str
) -> dict[str, Any]:
    """The confusion matrix: shade is the share of the row, with counts where there is room."""
    alt = _altair()
    numbered = len(labels) <= CELLS_WITH_NUMBERS
    side = (52 if len(labels) <= 5 else 36) if numbered else 17
    rows = [
        {"truth": truth, "given": given, "n": n, "share": n / max(sum(line), 1)}
        for truth, line in zip(labels, confusion, strict=True)
        for given, n in zip(labels, line, strict=True)
    ]
    axis = {"labelLimit": 150, "labelFontSize": 11 if numbered else 10, "grid": False}
    across = alt.Axis(labelAngle=0 if len(labels) <= 3 else -50, orient="top", **axis)
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("given:N", sort=list(labels), title=x_title, axis=across),
        y=alt.Y("truth:N", sort=list(labels), title=y_title, axis=alt.Axis(**axis)),
    )
    shade = base.mark_rect(color=ACCENT, cornerRadius=2).encode(
        opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.05, 1]), legend=None)
    )
    chart = shade
    if numbered:
        colour = alt.condition("datum.share > 0.7", alt.value(PAGE), alt.value(INK))
        chart = shade + base.mark_text(fontSize=12).encode(text="n:Q", color=colour)
    width = max(side, 88) if len(labels) <= 3 else side
    return _spec(chart, width * len(labels), side * len(labels))


def dots_chart(rows: Sequence[tuple[str, Interval]], target: float, x_title: str) -> dict[str, Any]:
    """Named accuracies with their intervals, one below the other, and the target as a line."""
    alt = _altair()
    names = [name for name, _ in rows]
    data = [{"name": name, "value": a.value, "low": a.low, "high": a.high} for name, a in rows]
    x = alt.X("value:Q", title=x_title, axis=alt.Axis(format=".0%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
    axis = alt.Axis(title=None, grid=False, labelLimit=190)
    base = alt.Chart(_data(data)).encode(y=alt.Y("name:N", sort=names, axis=axis))
    rule = base.mark_rule(color=ACCENT, strokeWidth=3, opacity=0.35).encode(x=alt.X("low:Q"), x2="high:Q")
    dot = base.mark_point(color=ACCENT, fill=ACCENT, opacity=1, size=50).encode(x=x)
    goal = alt.Chart(_data([{"value": target}])).mark_rule(color=INK, strokeWidth=1, strokeDash=[2, 3]).encode(x=x)
    return _spec(rule + goal + dot, WIDTH, 22 * len(rows))


def _data(rows: Sequence[Mapping[str, Any]]) -> Any:
    return _altair().Data(values=list(rows))
