"""The section about what more labelled rows would bring."""

from __future__ import annotations

from fewshot_llm.evaluation.report.charts import curve_chart
from fewshot_llm.evaluation.report.curve import FARTHEST, MORE, Extrapolation, Obstacle, Worth, extrapolate, sizes
from fewshot_llm.evaluation.report.document import Block, Chart, Column, Hint, Section, Side, Table, Text
from fewshot_llm.evaluation.report.words import Words
from fewshot_llm.evaluation.result import Evaluation

__all__ = ["curve_section"]

WORTHS = 8
"""Classes whose gain is listed."""


def curve_section(result: Evaluation, words: Words) -> Section:
    """Accuracy by labelled rows, and what more of them would be worth."""
    found = extrapolate(result)
    per_class = sizes(result)
    table = Table(
        (
            Column(words("demonstrations per class", "每类示例数"), True),
            Column(words("labelled rows per class", "每类样例数"), True),
            Column(words("accuracy", "准确率"), True),
            Column(words("log loss", "对数损失"), True),
        ),
        tuple(
            (
                str(one.shots),
                f"{per_class[one.shots]:.4g}",
                words.share(one.accuracy),
                f"{one.log_loss.value:.3f}",
            )
            for one in result.summaries
        ),
    )
    blocks: list[Block] = []
    by_rows = len(set(per_class.values())) > 1 or len(per_class) == 1
    if len(result.summaries) > 1:
        axis = words("labelled rows per class", "每类样例数") if by_rows else words("demonstrations", "示例数")
        points = [(per_class[one.shots] if by_rows else float(one.shots), one.accuracy) for one in result.summaries]
        fitted = found if isinstance(found, Extrapolation) else None
        chart = curve_chart(points, fitted, result.target, axis, words("accuracy", "准确率"))
        title = words("Accuracy by labelled rows (dotted: the target)", "准确率随样例数的变化（点线：目标）")
        blocks.append(Side((Chart(title, chart, table, beside=True),)))
    else:
        blocks.append(table)
    blocks += _worth(found, result, words) if isinstance(found, Extrapolation) else [Hint(_obstacle(found, words))]
    return Section("curve", words("More labelled rows", "再多标注"), blocks)


def _worth(found: Extrapolation, result: Evaluation, words: Words) -> list[Block]:
    overall = found.overall
    gains = overall.gain
    gain = words.points(gains)
    both = words(" and other draws", "、换样例") if gains.estimand == "rows and draws" else ""
    sure = overall.sure
    text = words(
        f"{found.more} more rows of every class, from {found.rows} to {found.rows + found.more}, "
        + (
            f"are worth about {gain} points of accuracy. "
            if sure
            else f"may change accuracy by {gain} points: the runs do not tell whether they help. "
        )
        + f"A power law is fitted to the runs and read beyond them (dashed); the {gains.level:.0%} interval covers "
        + f"other test rows{both} and a curve that bends between the runs, not one that bends later. Only labelling "
        + "tells.",
        f"每类再加 {found.more} 条（从 {found.rows} 条到 {found.rows + found.more} 条），"
        + (f"准确率约提高 {gain}个百分点。" if sure else f"准确率变化约 {gain} 个百分点：现有结果无法判断是否有帮助。")
        + f"这是用幂律拟合各次测量后外推所得（虚线）；{gains.level:.0%} 区间包含换测试数据{both}以及曲线在已测范围内"
        + "弯折带来的变化，不包含曲线此后才弯折的可能。只有真正标注后才知道。",
    )
    if not found.close:
        text += words(
            " The fitted curve misses a measured accuracy by more than its interval: take these figures for a guess.",
            "拟合曲线偏离了某个实测准确率，超出其区间：以下数字只能当作猜测。",
        )
    columns = (
        Column(words(f"{found.more} more rows of", f"再加 {found.more} 条的类别")),
        Column(words("its share of the test rows", "占测试数据"), True),
        Column(words("worth, points", "价值（百分点）"), True),
        Column(words("reading", "解读")),
    )
    rows = tuple(
        (one.label or "", words.percent(one.share), words.points(one.gain), _reading(one, words))
        for one in found.by_class[:WORTHS]
    )
    caption = words(
        "One class alone, supposing that it gains as it did while all classes grew together"
        + (f"; the {WORTHS} largest of {len(found.by_class)}." if len(found.by_class) > WORTHS else "."),
        "只增加一个类别，并假设其收益与各类同时增加时相同"
        + (f"；{len(found.by_class)} 类中最大的 {WORTHS} 个。" if len(found.by_class) > WORTHS else "。"),
    )
    return [Text(text), Table(columns, rows, caption)]


def _reading(worth: Worth, words: Words) -> str:
    if worth.sure:
        return words("worth labelling", "值得标注")
    return (
        words("less than nothing, it seems", "似乎没有用处")
        if worth.gain.high < 0
        else words("cannot tell", "无法判断")
    )


def _obstacle(found: Obstacle, words: Words) -> str:
    begin = words(
        f"What {MORE} more rows of a class are worth cannot be said: ", f"无法判断某一类再加 {MORE} 条有多大用处："
    )
    match found:
        case "same rows":
            return begin + words(
                "all runs learned from as many rows. Measure without --rows-per-class: --shots 4,8,16.",
                "各次测量所用样例数相同。请去掉 --rows-per-class 再测：--shots 4,8,16。",
            )
        case "too few sizes":
            return begin + words(
                "that needs runs with at least three numbers of labelled rows, zero-shot apart: --shots 4,8,16.",
                "至少需要三种样例数（零样本除外）：--shots 4,8,16。",
            )
        case "too far":
            return begin + words(
                f"it lies more than {FARTHEST} times beyond the largest number of rows that was measured. "
                "Measure with more: --shots 4,8,16.",
                f"已超出所测最大样例数的 {FARTHEST} 倍。请用更多样例再测：--shots 4,8,16。",
            )
