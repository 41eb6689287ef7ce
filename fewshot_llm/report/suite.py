"""The report of a suite: ways of doing the same work, side by side."""

from __future__ import annotations

from collections import Counter

from fewshot_llm.evaluation.suite.result import GroupSummary, SuiteResult
from fewshot_llm.ladder.evidence import Figure
from fewshot_llm.report import words as w
from fewshot_llm.report.charts import dots_chart
from fewshot_llm.report.document import Block, Chart, Column, Document, Hint, Paragraph, Section, Side, Table
from fewshot_llm.report.words import ReportWords
from fewshot_llm.stats.intervals import Interval
from fewshot_llm.types import Text

__all__ = ["estimands", "suite_document"]


def suite_document(result: SuiteResult, language: str | None = None) -> Document:
    """A table of methods with intervals, and one chart per model and number of shots.

    Args:
        result: what `fewshot-llm suite` measured.
        language: `zh` or `en`; by default that of the suite's prompts.
    """
    say = ReportWords(language or str(result.suite.get("language", "en")))
    machine = result.machine.get("gpu") or result.machine.get("processor") or ""
    about = say(w.SUITE_ABOUT, about=result.suite.get("about", ""), rows=result.rows["test"], labels=len(result.labels))
    return Document(
        title=say(w.SUITE_TITLE, suite=result.suite["name"]),
        subtitle=about.strip(),
        language=say.language,
        sections=[_accuracy(result, say), _time(result, say), *_failures(result, say)],
        footer=say(w.SUITE_FOOTER, machine=machine, test=result.test_fingerprint[:12]),
    )


def _accuracy(result: SuiteResult, say: ReportWords) -> Section:
    columns = (
        Column(say(w.METHOD)),
        Column(say(w.MODEL)),
        Column(say(w.PER_CLASS), True),
        Column(say(w.DRAWS), True),
        Column(say(w.ACCURACY), True),
        Column(say(w.BALANCED), True),
        Column(say(w.LOG_LOSS), True),
    )

    def row(one: GroupSummary) -> tuple[str, ...]:
        return (
            _name(one),
            one.model,
            str(one.shots),
            str(len(one.seeds)),
            say.share(_interval(one.accuracy)),
            say.percent(one.balanced_accuracy.value),
            f"{one.log_loss.value:.3f}",
        )

    ranked = sorted(result.summaries, key=lambda one: -one.accuracy.value)
    table = Table(columns, tuple(map(row, ranked)))
    names = [" · ".join(filter(None, (_name(one), one.model, f"k={one.shots}"))) for one in ranked]
    intervals = [_interval(one.accuracy) for one in ranked]
    target = float(result.suite.get("target", 0.9))
    chart = Chart(
        say(w.SUITE_CHART),
        dots_chart(list(zip(names, intervals, strict=True)), target, say(w.ACCURACY)),
        table,
        wide=True,
    )
    about = say(w.SUITE_MEANS, estimands=estimands(result))
    return Section("accuracy", say(w.ACCURACY_TITLE), [Paragraph(about), Side((chart,)), table])


def estimands(result: SuiteResult) -> Text:
    """What the intervals are for, in a sentence."""
    kinds = {one.estimand for one in result.summaries}
    if len(kinds) > 1:
        return w.SOMETIMES_ENOUGH_DRAWS
    return w.ENOUGH_DRAWS if kinds == {"rows and draws"} else w.FEW_DRAWS


def _time(result: SuiteResult, say: ReportWords) -> Section:
    rows = result.rows["test"]
    columns = (
        Column(say(w.METHOD)),
        Column(say(w.MODEL)),
        Column(say(w.PER_CLASS), True),
        Column(say(w.TIME_TO_LEARN), True),
        Column(say(w.TIME_TO_ANSWER), True),
        Column(say(w.ROWS_PER_SECOND), True),
    )
    table = Table(
        columns,
        tuple(
            (
                _name(one),
                one.model,
                str(one.shots),
                say.seconds(one.fit_seconds),
                say.seconds(one.predict_seconds),
                f"{rows / one.predict_seconds:.1f}" if one.predict_seconds else "–",
            )
            for one in result.summaries
        ),
    )
    return Section("time", say(w.TIME_TITLE), [table])


def _failures(result: SuiteResult, say: ReportWords) -> list[Section]:
    if not result.failures:
        return []
    columns = (Column(say(w.CELL)), Column(say(w.REASON)))
    blocks: list[Block] = [
        Hint(say(w.FAILURES)),
        Table(columns, tuple(result.failures.items())),
    ]
    return [Section("failures", say(w.FAILURES_TITLE), blocks)]


def _name(one: GroupSummary) -> str:
    kept = ", ".join(f"{rung} ×{times}" for rung, times in Counter(one.rungs).items())
    return f"{one.method} ({kept})" if kept else one.method


def _interval(figure: Figure) -> Interval:
    return Interval(figure.value, figure.low, figure.high)
