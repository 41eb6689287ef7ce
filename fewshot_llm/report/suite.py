"""The report of a suite: ways of doing the same work, side by side."""

from __future__ import annotations

from collections import Counter

from fewshot_llm.evaluation.suite.result import GroupSummary, SuiteResult
from fewshot_llm.ladder.evidence import Figure
from fewshot_llm.report.charts import dots_chart
from fewshot_llm.report.document import Block, Chart, Column, Document, Hint, Paragraph, Section, Side, Table
from fewshot_llm.report.words import ReportWords
from fewshot_llm.stats.intervals import Interval

__all__ = ["suite_document"]


def suite_document(result: SuiteResult, language: str | None = None) -> Document:
    """A table of methods with intervals, and one chart per model and number of shots.

    Args:
        result: what `fewshot-llm suite` measured.
        language: `zh` or `en`; by default that of the suite's prompts.
    """
    words = ReportWords(language or str(result.suite.get("language", "en")))
    rows, labels = result.rows["test"], len(result.labels)
    machine = result.machine.get("gpu") or result.machine.get("processor") or ""
    return Document(
        title=words(f"{result.suite['name']}: methods compared", f"{result.suite['name']}：方法对比"),
        subtitle=words(
            f"{result.suite.get('about', '')} {rows} test rows, {labels} labels.".strip(),
            f"{result.suite.get('about', '')} {rows} 条测试数据，{labels} 个标签。".strip(),
        ),
        language=words.language,
        sections=[_accuracy(result, words), _time(result, words), *_failures(result, words)],
        footer=words(
            f"Made with fewshot-llm on {machine}. Test rows {result.test_fingerprint[:12]}.",
            f"由 fewshot-llm 生成；{machine}。测试数据 {result.test_fingerprint[:12]}。",
        ),
    )


def _accuracy(result: SuiteResult, words: ReportWords) -> Section:
    columns = (
        Column(words("method", "方法")),
        Column(words("model", "模型")),
        Column(words("labelled rows per class", "每类样例数"), True),
        Column(words("draws", "抽取次数"), True),
        Column(words("accuracy", "准确率"), True),
        Column(words("balanced", "均衡准确率"), True),
        Column(words("log loss", "对数损失"), True),
    )

    def row(one: GroupSummary) -> tuple[str, ...]:
        return (
            _name(one),
            one.model,
            str(one.shots),
            str(len(one.seeds)),
            words.share(_interval(one.accuracy)),
            words.percent(one.balanced_accuracy.value),
            f"{one.log_loss.value:.3f}",
        )

    ranked = sorted(result.summaries, key=lambda one: -one.accuracy.value)
    table = Table(columns, tuple(map(row, ranked)))
    names = [" · ".join(filter(None, (_name(one), one.model, f"k={one.shots}"))) for one in ranked]
    intervals = [_interval(one.accuracy) for one in ranked]
    target = float(result.suite.get("target", 0.9))
    chart = Chart(
        words("Accuracy with 95% intervals", "准确率与 95% 区间"),
        dots_chart(list(zip(names, intervals, strict=True)), target, words("accuracy", "准确率")),
        table,
        wide=True,
    )
    about = words(
        f"Means over draws of the labelled rows. {estimands(result, words)} Overlapping "
        "intervals do not mean that two methods are equal: `fewshot-llm compare RESULT.json --method M` pairs their "
        "answers row by row.",
        f"各次抽取样例的平均值。{estimands(result, words)}区间重叠并不表示两种方法相同："
        "`fewshot-llm compare RESULT.json --method 方法` 会逐条配对比较。",
    )
    return Section("accuracy", words("Accuracy", "准确率"), [Paragraph(about), Side((chart,)), table])


def estimands(result: SuiteResult, words: ReportWords) -> str:
    """What the intervals are for, in a sentence."""
    fixed = words(
        "Intervals are for these draws on new test rows: fewer than five draws do not tell how much draws differ.",
        "区间针对这几次抽取的样例用在新的测试数据上的情形：不足五次抽取，无法判断换样例会差多少。",
    )
    new = words(
        "Intervals are for new test rows and new draws of the labelled rows.", "区间针对新的测试数据和重新抽取的样例。"
    )
    kinds = {one.estimand for one in result.summaries}
    if len(kinds) > 1:
        return words(
            "Intervals are for new test rows; where there are five draws or more, for new draws too.",
            "区间针对新的测试数据；抽取五次以上时，也针对重新抽取的样例。",
        )
    return new if kinds == {"rows and draws"} else fixed


def _time(result: SuiteResult, words: ReportWords) -> Section:
    rows = result.rows["test"]
    columns = (
        Column(words("method", "方法")),
        Column(words("model", "模型")),
        Column(words("labelled rows per class", "每类样例数"), True),
        Column(words("time to learn", "学习用时"), True),
        Column(words("time to answer", "判定用时"), True),
        Column(words("rows per second", "每秒条数"), True),
    )
    table = Table(
        columns,
        tuple(
            (
                _name(one),
                one.model,
                str(one.shots),
                words.seconds(one.fit_seconds),
                words.seconds(one.predict_seconds),
                f"{rows / one.predict_seconds:.1f}" if one.predict_seconds else "–",
            )
            for one in result.summaries
        ),
    )
    return Section("time", words("Time", "时间"), [table])


def _failures(result: SuiteResult, words: ReportWords) -> list[Section]:
    if not result.failures:
        return []
    columns = (Column(words("cell", "单元")), Column(words("reason", "原因")))
    blocks: list[Block] = [
        Hint(words("These could not be measured.", "以下未能测量。")),
        Table(columns, tuple(result.failures.items())),
    ]
    return [Section("failures", words("Not measured", "未测量"), blocks)]


def _name(one: GroupSummary) -> str:
    kept = ", ".join(f"{rung} ×{times}" for rung, times in Counter(one.rungs).items())
    return f"{one.method} ({kept})" if kept else one.method


def _interval(figure: Figure) -> Interval:
    return Interval(figure.value, figure.low, figure.high)
