"""Sections about how often the answers are right.

Which labels are weak, and what they are taken for.
"""

from __future__ import annotations

from fewshot_llm.evaluation.figures import class_figures, mixups
from fewshot_llm.evaluation.result import Evaluation
from fewshot_llm.ladder.evidence import Figure, LabelEvidence
from fewshot_llm.report.charts import CELLS_WITH_NUMBERS, dots_chart, gauge_chart, matrix_chart
from fewshot_llm.report.document import Block, Chart, Column, Hero, Hint, Paragraph, Section, Side, Table
from fewshot_llm.report.words import ReportWords
from fewshot_llm.stats.intervals import NEW_DRAWS_FROM, Interval, rows_needed

__all__ = [
    "accuracy_section",
    "confusion_section",
    "ladder_section",
    "verdict",
]


WEAKEST = 15
"""Classes drawn where the matrix has no room for its numbers."""


def accuracy_section(result: Evaluation, words: ReportWords) -> Section:
    """The accuracy with the most demonstrations, against the target."""
    headline = result.headline
    summary = next(one for one in result.summaries if one.shots == headline.shots)
    accuracy, seeds = summary.accuracy, len(summary.seeds)
    sentence, good = verdict(accuracy, result.target, result.test.kept, words)
    target = words.percent(result.target)
    hero = Hero(
        value=words.percent(accuracy.value),
        interval=words(
            f"accuracy; {accuracy.level:.0%} interval {words.between(accuracy)}",
            f"准确率；{accuracy.level:.0%} 区间 {words.between(accuracy)}",
        ),
        verdict=sentence,
        good=good,
        chart=Chart(
            words("Accuracy, its interval and the target", "准确率、区间与目标"),
            gauge_chart(accuracy, result.target),
            Table(
                (Column(words("accuracy", "准确率"), True), Column(words("target", "目标"), True)),
                ((words.share(accuracy), target),),
            ),
        ),
    )
    drawn = words(
        f"Measured on {result.test.kept} test rows with {headline.shots} demonstrations per class"
        + (f", as the mean over {seeds} draws of the labelled rows." if seeds > 1 else ".")
        + f" The target is {target} (the mark on the scale). "
        + _about(accuracy, seeds, words),
        f"在 {result.test.kept} 条测试数据上测得，每类 {headline.shots} 个示例"
        + (f"，为 {seeds} 次抽取样例的平均值。" if seeds > 1 else "。")
        + f"目标为 {target}（标尺上的竖线）。"
        + _about(accuracy, seeds, words),
    )
    blocks: list[Block] = [hero, Paragraph(drawn)]
    left_out = _left_out(result, words)
    if left_out:
        blocks.append(Hint(left_out))
    return Section("accuracy", words("Accuracy", "准确率"), blocks)


def verdict(accuracy: Interval, target: float, rows: int, words: ReportWords) -> tuple[str, bool | None]:
    """One sentence about a target, and whether it is good news; None where the rows cannot tell.

    Args:
        accuracy: with its interval: it reaches or misses the target only where that lies on one side.
        target: the accuracy that is good enough.
        rows: test rows it was measured on.
        words: the language.
    """
    goal, level = words.percent(target), f"{accuracy.level:.0%}"
    if accuracy.low >= target:
        return words(
            f"Reaches the target of {goal} (at the {level} level).", f"达到目标 {goal}（{level} 水平）。"
        ), True
    if accuracy.high < target:
        return words(
            f"Misses the target of {goal} (at the {level} level).", f"未达目标 {goal}（{level} 水平）。"
        ), False
    above = accuracy.value >= target
    return (
        words(
            f"{'At or above' if above else 'Below'} the target of {goal} on these rows, but {rows} test rows are too "
            f"few to tell. {_wanted(accuracy, target, rows, words)}",
            f"在这些数据上{'达到' if above else '低于'}目标 {goal}，但 {rows} 条测试数据太少，无法判断。"
            f"{_wanted(accuracy, target, rows, words)}",
        ),
        None,
    )


def _wanted(accuracy: Interval, target: float, rows: int, words: ReportWords) -> str:
    """How many test rows would tell."""
    needed = rows_needed(accuracy.value, target, accuracy.level)
    if needed is None:
        return words(
            "The accuracy is so near the target that no reasonable number of rows would tell.",
            "准确率与目标过于接近，再多的测试数据也难以判断。",
        )
    if accuracy.estimand == "rows and draws" and needed <= rows:
        return words(
            "As many rows would do; what is unsure is how much other draws of the labelled rows differ: measure more "
            "draws (--seeds).",
            "测试数据的数量已经足够；不确定的是换一批样例会差多少：请增加抽取次数（--seeds）。",
        )
    needed = max(needed, rows + 1)
    return words(
        f"Were the accuracy to stay as it is, about {needed:,} test rows would tell.",
        f"若准确率保持不变，约需 {needed:,} 条测试数据才能判断。",
    )


def _about(accuracy: Interval, seeds: int, words: ReportWords) -> str:
    """What the interval is for."""
    if accuracy.estimand == "rows and draws":
        return words(
            f"The interval is for new test rows and new draws of the labelled rows (there are {seeds}).",
            f"区间针对新的测试数据和重新抽取的样例（共抽取 {seeds} 次）。",
        )
    these = words(
        "these labelled rows" if seeds == 1 else f"these {seeds} draws of the labelled rows",
        "这一批样例" if seeds == 1 else f"这 {seeds} 次抽取的样例",
    )
    return words(
        f"The interval is for {these} on new test rows; what other labelled rows would give is told from "
        f"{NEW_DRAWS_FROM} draws on (--seeds).",
        f"区间针对{these}用在新的测试数据上的情形；换一批样例会怎样，至少抽取 {NEW_DRAWS_FROM} 次（--seeds）才能估计。",
    )


def ladder_section(result: Evaluation, words: ReportWords) -> Section:
    """The ladder's decision, its reason and what every rung measured."""
    title = words("The ladder", "阶梯决定")
    decision = result.decision
    if decision is None:
        hint = words(
            "No decision of the ladder is known. `fewshot-llm tune TASK --support FILE --out DIR` makes one; "
            "`fewshot-llm report RESULT.json --tuned DIR` shows it here.",
            "没有阶梯的决定。运行 `fewshot-llm tune 任务 --support 文件 --out 目录` 可得到，"
            "再用 `fewshot-llm report RESULT.json --tuned 目录` 在此显示。",
        )
        return Section("ladder", title, [Hint(hint)])
    measured = [one for one in decision.evidence if isinstance(one, LabelEvidence)]
    rows = tuple(
        (
            one.rung + (" ✓" if one.rung == decision.rung else ""),
            words.share(_interval(one.accuracy)),
            words.figure(_interval(one.log_loss)),
            words.seconds(one.seconds),
        )
        for one in measured
    )
    columns = (
        Column(words("rung", "阶梯")),
        Column(words("accuracy out of fold", "折外准确率"), True),
        Column(words("log loss", "对数损失"), True),
        Column(words("time to measure", "测量用时"), True),
    )
    table = Table(columns, rows)
    dots = dots_chart(
        [(one.rung, _interval(one.accuracy)) for one in measured],
        decision.target,
        words("accuracy out of fold", "折外准确率"),
    )
    chart = Chart(words("Accuracy of each rung on the labelled rows", "各级在样例上的准确率"), dots, table, beside=True)
    blocks: list[Block] = [Paragraph(decision.reason_zh if words.chinese else decision.reason), Side((chart,))]
    return Section("ladder", title, blocks)


def confusion_section(result: Evaluation, words: ReportWords) -> Section:
    """Which labels are weak, and what they are taken for."""
    run, labels = result.headline, result.labels
    figures = class_figures(labels, run.figures.confusion)
    found, trusted = words("found", "召回率"), words("trustworthy", "精确率")
    table = Table(
        (
            Column(words("label", "标签")),
            Column(words("rows", "条数"), True),
            Column(found, True),
            Column(trusted, True),
        ),
        tuple((one.label, str(one.rows), words.share(one.found), words.percent(one.trusted.value)) for one in figures),
        words(
            "The weakest first. Found: share of the label's rows that were given it. Trustworthy: share of the rows "
            "given it that belong to it.",
            "由弱到强。召回率：该标签的数据中被正确找出的比例；精确率：判为该标签的数据中正确的比例。",
        ),
    )
    common = _mixups(result, words)
    if len(labels) <= CELLS_WITH_NUMBERS:
        blocks: list[Block] = [Side((_matrix(result, words), table))]
        blocks += [common] if common.rows and len(labels) > 2 else []
    else:
        weakest = [(one.label, one.found) for one in figures[:WEAKEST]]
        dots = dots_chart(weakest, result.target, words("share of the label's rows that was found", "召回率"))
        title = words(f"The {len(weakest)} weakest labels", f"最弱的 {len(weakest)} 个标签")
        blocks = [Side((Chart(title, dots, table), common)), Side((_matrix(result, words),))]
    blocks.insert(0, Paragraph(_one_run(result, words)))
    return Section("labels", words("Weak labels", "薄弱标签"), blocks)


def _mixups(result: Evaluation, words: ReportWords) -> Table:
    columns = (
        Column(words("in truth", "实际")),
        Column(words("taken for", "误判为")),
        Column(words("rows", "条数"), True),
    )
    found = mixups(result.labels, result.headline.figures.confusion)
    rows = tuple((one.label, one.given, str(one.rows)) for one in found)
    return Table(columns, rows, words("The commonest mistakes.", "最常见的错误。"))


def _matrix(result: Evaluation, words: ReportWords) -> Chart:
    labels, confusion = result.labels, result.headline.figures.confusion
    truth, given = words("in truth", "实际"), words("answer", "判定")
    numbered = len(labels) <= CELLS_WITH_NUMBERS
    if numbered:
        columns = (Column(f"{truth} \\ {given}"), *(Column(label, True) for label in labels))
        rows = tuple((label, *map(str, line)) for label, line in zip(labels, confusion, strict=True))
    else:
        columns = (Column(truth), Column(given), Column(words("rows", "条数"), True))
        rows = tuple(
            (label, other, str(n))
            for label, line in zip(labels, confusion, strict=True)
            for other, n in zip(labels, line, strict=True)
            if n
        )
    return Chart(
        words("Confusion matrix", "混淆矩阵"),
        matrix_chart(labels, confusion, given, truth),
        Table(columns, rows),
        wide=not numbered,
    )


def _one_run(result: Evaluation, words: ReportWords) -> str:
    """Which classifier the sections on rows speak of."""
    run = result.headline
    accuracy = words.share(run.figures.accuracy)
    if len(result.runs) == 1:
        return words(f"Accuracy of this classifier: {accuracy}.", f"该分类器的准确率：{accuracy}。")
    return words(
        f"From here on, labels, probabilities and rows are those of one classifier: {run.shots} demonstrations per "
        f"class, draw {run.seed}; accuracy {accuracy}.",
        f"以下标签、概率和文本均来自同一个分类器：每类 {run.shots} 个示例，第 {run.seed} 号抽取；准确率 {accuracy}。",
    )


def _left_out(result: Evaluation, words: ReportWords) -> str:
    test = result.test
    reasons = [
        (test.leaked, words("are also among the labelled rows", "也出现在样例中")),
        (test.unknown_label, words("have a label that the labelled rows do not have", "的标签不在样例的标签中")),
    ]
    told = [words(f"{n} {why}", f"{n} 条{why}") for n, why in reasons if n]
    if not told:
        return ""
    listed = words(" and ", "，").join(told)
    return words(
        f"Of {test.given} test rows, {listed}; they were left out.", f"{test.given} 条测试数据中，{listed}，已剔除。"
    )


def _interval(figure: Figure) -> Interval:
    return Interval(figure.value, figure.low, figure.high)
