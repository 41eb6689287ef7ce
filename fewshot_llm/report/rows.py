"""Sections about probabilities, single rows and attacks.

The section that shows which words and demonstrations moved single decisions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewshot_llm.evaluation.figures import (
    Answered,
    Coverage,
    Reliability,
    coverage_at,
    least_sure,
    reliability,
    risk_coverage,
    surest_mistakes,
    uncalibrated,
)
from fewshot_llm.evaluation.result import Evaluation
from fewshot_llm.report.charts import coverage_chart, reliability_chart
from fewshot_llm.report.document import (
    Block,
    Cell,
    Chart,
    Column,
    Explained,
    Hint,
    Paragraph,
    Quote,
    Section,
    Side,
    Table,
)
from fewshot_llm.report.words import ReportWords

__all__ = ["attacks_section", "probabilities_section", "rows_section", "why_section"]

SHARES = (1.0, 0.9, 0.75, 0.5, 0.25)
"""Coverages in the table."""
LONGEST = 600
"""Characters of a text that are shown."""


def probabilities_section(result: Evaluation, words: ReportWords) -> Section:
    """Reliability before and after calibration, and accuracy by coverage."""
    run = result.headline
    level = run.figures.accuracy.level
    probabilities, raw = np.exp(run.log_probabilities), uncalibrated(run)
    after = reliability(run.targets, probabilities, level)
    before = None if raw is None else reliability(run.targets, raw, level)
    curve = risk_coverage(run.targets, probabilities, level)
    charts = Side((_reliability(before, after, words), _coverage(curve, result.target, words)))
    blocks: list[Block] = [Paragraph(_errors(before, after, words)), charts]
    if before is None:
        method = run.calibrations[0].method
        blocks.append(
            Hint(
                words(
                    "The probabilities before calibration are not shown: "
                    + (
                        "nothing was calibrated (--calibration)."
                        if method == "none"
                        else "several draws were averaged (--permutations 1 shows them)."
                    ),
                    "未显示校准前的概率："
                    + (
                        "没有进行校准（--calibration）。"
                        if method == "none"
                        else "结果为多次抽取的平均（--permutations 1 可显示）。"
                    ),
                )
            )
        )
    blocks.append(Paragraph(_promise(coverage_at(curve, result.target), result.target, words)))
    return Section("probabilities", words("Probabilities", "概率可信度"), blocks)


def _errors(before: Reliability | None, after: Reliability, words: ReportWords) -> str:
    now = words.share(after.error)
    if before is None:
        return words(f"Expected calibration error (ECE): {now}.", f"期望校准误差（ECE）：{now}。")
    then = words.share(before.error)
    return words(
        f"Expected calibration error (ECE): {now} after calibration, {then} before. It is the mean distance between "
        "the probability and the share that is right; on few rows chance alone makes it some percent.",
        f"期望校准误差（ECE）：校准后 {now}，校准前 {then}。它是概率与实际正确率的平均差距；"
        "数据少时，仅偶然就会有几个百分点。",
    )


def _reliability(before: Reliability | None, after: Reliability, words: ReportWords) -> Chart:
    series = [(words("after calibration", "校准后"), after)]
    if before is not None:
        series.insert(0, (words("before calibration", "校准前"), before))
    probability, right = words("probability", "概率"), words("share that is right", "正确率")
    rows = tuple(
        (name, f"{one.low:.1f}–{one.high:.1f}", str(one.rows), words.percent(one.confidence), words.share(one.accuracy))
        for name, diagram in series
        for one in diagram.bins
    )
    table = Table(
        (
            Column(""),
            Column(probability),
            Column(words("rows", "条数"), True),
            Column(words("mean probability", "平均概率"), True),
            Column(right, True),
        ),
        rows,
    )
    title = words("Reliability (diagonal: as it should be)", "可靠性图（对角线为理想情况）")
    return Chart(title, reliability_chart(series, probability, right), table)


def _coverage(curve: Sequence[Coverage], target: float, words: ReportWords) -> Chart:
    points = [next(point for point in curve if point.coverage >= share - 1e-9) for share in SHARES]
    answered, right = (
        words("share of rows answered", "自动判定的比例"),
        words("share of them that is right", "其中正确的比例"),
    )
    table = Table(
        (Column(answered, True), Column(words("probability at least", "概率不低于"), True), Column(right, True)),
        tuple(
            (words.percent(point.coverage), words.probability(point.threshold), words.share(point.accuracy))
            for point in dict.fromkeys(points)
        ),
    )
    title = words("Accuracy by share answered (dotted: the target)", "准确率与自动判定比例（点线：目标）")
    return Chart(title, coverage_chart(curve, target, answered, right), table)


def _promise(point: Coverage | None, target: float, words: ReportWords) -> str:
    goal = words.percent(target)
    if point is None:
        return words(
            f"On these rows, at no threshold are the answered rows right as often as {goal}.",
            f"在这些数据上，无论把门槛设在哪里，自动判定的正确率都达不到 {goal}。",
        )
    share, accuracy = words.percent(point.coverage), words.share(point.accuracy)
    if point.coverage == 1:
        return words(
            f"With all of these rows answered, the share that is right is not below the target of {goal}: {accuracy}.",
            f"在这些数据上，全部自动判定即可达到目标 {goal}：{accuracy}。",
        )
    threshold = words.probability(point.threshold)
    return words(
        f"Answer only where the probability is at least {threshold}: that is {share} of these rows, and {accuracy} of "
        f"them are right (target {goal}). The threshold was read off these rows; expect less on others, and "
        "set it with `--max-error`, which tests it.",
        f"只在概率不低于 {threshold} 时自动判定：覆盖这批数据的 {share}，其中 {accuracy} 正确（目标 {goal}）。"
        "门槛取自这批数据，用在别的数据上会差一些；`--max-error` 会用检验来确定门槛。",
    )


def rows_section(result: Evaluation, words: ReportWords) -> Section:
    """The surest mistakes and the least sure answers."""
    run, rows, labels = result.headline, result.rows, result.labels
    mistakes, unsure = surest_mistakes(run, rows, labels), least_sure(run, rows, labels)
    blocks: list[Block] = []
    if not any(row.text for row in rows):
        blocks.append(
            Hint(
                words(
                    "The texts were kept out of this result; rows are named by their number. Measure without "
                    "--without-texts to see them.",
                    "结果中未保存文本，仅以编号表示。去掉 --without-texts 重新测量即可显示。",
                )
            )
        )
    if mistakes:
        caption = words(
            "The surest mistakes. Look at the label first: some are wrong in the file.",
            "最有把握的错误。请先核对标签：有些是标注有误。",
        )
        blocks.append(_answers(mistakes, caption, words))
    else:
        blocks.append(Paragraph(words("There is no mistake among the test rows.", "测试数据中没有错误。")))
    caption = words(
        "The least sure answers: labelling rows like these teaches most.", "最没把握的判定：标注这类数据最有收获。"
    )
    blocks.append(_answers(unsure, caption, words))
    return Section("rows", words("Rows worth reading", "值得一看"), blocks)


def _answers(found: Sequence[Answered], caption: str, words: ReportWords) -> Table:
    columns = (
        Column(words("row", "编号"), True),
        Column(words("text", "文本")),
        Column(words("in truth", "实际")),
        Column(words("answer", "判定")),
        Column(words("probability", "概率"), True),
        Column(words("second", "其次")),
        Column(words("probability", "概率"), True),
    )
    rows = tuple(
        (
            str(one.number),
            _quote(one.text),
            one.label,
            one.given + ("" if one.right else "\u00a0✗"),
            words.probability(one.probability),
            one.runner_up,
            words.probability(one.runner_up_probability),
        )
        for one in found
    )
    return Table(columns, rows, caption)


def attacks_section(result: Evaluation, words: ReportWords) -> Section:
    """What changed texts did to the answers."""
    title = words("Attacks", "攻击测试")
    if not result.attacks:
        hint = words(
            "No attacks were tried. `fewshot-llm attack TASK --support FILE --test FILE --add-to RESULT.json` changes "
            "texts, counts the answers that change, and puts that into the result.",
            "没有进行攻击测试。`fewshot-llm attack 任务 --support 文件 --test 文件 --add-to RESULT.json` 会改动文本、"
            "统计改变的判定，并写入结果。",
        )
        return Section("attacks", title, [Hint(hint)])
    columns = (
        Column(words("attack", "攻击方式")),
        Column(words("rows", "条数"), True),
        Column(words("answers changed", "判定改变"), True),
        Column(words("accuracy before", "之前的准确率"), True),
        Column(words("after", "之后"), True),
    )
    rows = tuple(
        (
            one.name,
            str(one.rows),
            words.percent(one.flipped / max(one.rows, 1)),
            words.percent(one.accuracy_before),
            words.percent(one.accuracy_after),
        )
        for one in result.attacks
    )
    blocks: list[Block] = [Table(columns, rows)]
    shown: tuple[tuple[Cell, ...], ...] = tuple(
        (one.name, _quote(one.before), _quote(one.after)) for one in result.attacks if one.after
    )
    if shown:
        names = (Column(words("attack", "攻击方式")), Column(words("text", "原文")), Column(words("changed", "改后")))
        blocks.append(Table(names, shown, words("One changed answer of each.", "每种各举一例。")))
    return Section("attacks", title, blocks)


def _quote(text: str) -> Quote:
    return Quote(text if len(text) <= LONGEST else text[:LONGEST] + " …")


def why_section(result: Evaluation, words: ReportWords) -> Section:
    """Highlighted texts of the surest mistakes and the least sure rows."""
    title = words("Why these answers", "为什么这样判定")
    if not result.explanations:
        hint = words(
            "No answers were explained. `fewshot-llm evaluate … --report DIR` explains some; `fewshot-llm explain TASK "
            "--support FILE --text TEXT` explains any text.",
            "没有解释任何判定。`fewshot-llm evaluate … --report 目录` 会解释其中几条；`fewshot-llm explain 任务 "
            "--support 文件 --text 文本` 可解释任意文本。",
        )
        return Section("why", title, [Hint(hint)])
    intro = words(
        "Each word was taken away and the text scored again, and so was each demonstration. Effects are in nats of the "
        "answer's log-odds against the second best label, and do not add up.",
        "逐个去掉文本中的词、以及提示词中的示例，再重新打分。影响是判定相对次优标签的对数几率之差（nats），不能相加。",
    )
    blocks: list[Block] = [Paragraph(intro)]
    for one in result.explanations:
        truth = result.rows[one.number - 1].label
        right = truth == one.explanation.label
        blocks.append(
            Paragraph(
                words(
                    f"Row {one.number}, in truth {truth}" + ("." if right else ": a mistake."),
                    f"第 {one.number} 条，实际为 {truth}" + ("。" if right else "：判错。"),
                )
            )
        )
        blocks.append(Explained(one.explanation))
    return Section("why", title, blocks)
