"""The report of one `Evaluation`.

Sections about what went in and what it cost: labelled rows, prompt, time and tokens.

The section about what more labelled rows would bring.
"""

from __future__ import annotations

from fewshot_llm.evaluation.figures import FARTHEST, MORE, Extrapolation, Obstacle, Worth, extrapolate, sizes
from fewshot_llm.evaluation.result import Evaluation
from fewshot_llm.report.accuracy import accuracy_section, confusion_section, ladder_section
from fewshot_llm.report.charts import curve_chart
from fewshot_llm.report.document import Block, Chart, Code, Column, Document, Hint, Paragraph, Section, Side, Table
from fewshot_llm.report.rows import attacks_section, probabilities_section, rows_section, why_section
from fewshot_llm.report.words import ReportWords

__all__ = ["cost_section", "curve_section", "evaluation_document", "prompt_section", "support_section"]

WORTHS = 8
"""Classes whose gain is listed."""


def curve_section(result: Evaluation, words: ReportWords) -> Section:
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


def _worth(found: Extrapolation, result: Evaluation, words: ReportWords) -> list[Block]:
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
    return [Paragraph(text), Table(columns, rows, caption)]


def _reading(worth: Worth, words: ReportWords) -> str:
    if worth.sure:
        return words("worth labelling", "值得标注")
    return (
        words("less than nothing, it seems", "似乎没有用处")
        if worth.gain.high < 0
        else words("cannot tell", "无法判断")
    )


def _obstacle(found: Obstacle, words: ReportWords) -> str:
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


THOUSAND = 1000


def support_section(result: Evaluation, words: ReportWords) -> Section:
    """The doctor's report."""
    title = words("Labelled rows", "样例体检")
    doctor = result.doctor
    if doctor is None:
        hint = words(
            "The labelled rows were not examined: `fewshot-llm check TASK --support FILE` does it.",
            "未检查样例：可运行 `fewshot-llm check 任务 --support 文件`。",
        )
        return Section("support", title, [Hint(hint)])
    summary, *findings = doctor.lines(words.language)
    blocks: list[Block] = [Paragraph(summary)]
    if doctor.findings:
        severity = {
            "error": words("error", "错误"),
            "warning": words("warning", "警告"),
            "info": words("note", "提示"),
        }
        told = [line.partition(": ") for line in findings]
        columns = (Column(""), Column(words("finding", "发现")))
        blocks.append(Table(columns, tuple((severity[kind], sentence) for kind, _, sentence in told)))
    else:
        blocks += [Paragraph(line) for line in findings]
    return Section("support", title, blocks)


def prompt_section(result: Evaluation, words: ReportWords) -> Section:
    """The exact prompt of one row."""
    title = words("Prompt", "提示词")
    prompt = result.prompt
    if prompt is None:
        hint = words(
            "The prompt was kept out of this result: `fewshot-llm render TASK --support FILE --text T` prints it.",
            "结果中未保存提示词：可运行 `fewshot-llm render 任务 --support 文件 --text 文本` 查看。",
        )
        return Section("prompt", title, [Hint(hint)])
    about = words(
        f"What the model reads for the first test row: template {prompt.template}, {prompt.demonstrations} "
        "demonstrations. Then each of these is scored in the place of the answer: ",
        f"模型对第一条测试数据读到的内容：模板 {prompt.template}，{prompt.demonstrations} 个示例。"
        "随后在答案处给以下各项打分：",
    )
    answers = words(", ", "、").join(f"“{answer}”" for answer in prompt.answers)
    return Section("prompt", title, [Paragraph(about + answers + words(".", "。")), Code(prompt.text)])


def cost_section(result: Evaluation, words: ReportWords, price: float | None = None) -> Section:
    """Time, tokens and, at a price, money.

    Args:
        result: what was measured.
        words: the language.
        price: of a million tokens, in any currency.
    """
    seconds, tokens = words("time for 1,000 rows", "每千条用时"), words("tokens per row", "每条词元数")
    computed = words("of which computed", "其中实际计算")
    columns = [
        Column(words("demonstrations per class", "每类示例数"), True),
        Column(words("time to learn", "学习用时"), True),
        Column(words("rows per second", "每秒条数"), True),
        Column(seconds, True),
        Column(tokens, True),
        Column(computed, True),
    ]
    if price is not None:
        columns.append(Column(words("price of 1,000 rows", "每千条价格"), True))
    rows = []
    for summary in result.summaries:
        runs = [run for run in result.runs if run.shots == summary.shots]
        measured = sum(run.figures.n for run in runs)
        asked = sum(run.tokens_asked for run in runs) / measured
        ran = sum(run.tokens_computed for run in runs) / measured
        row = [
            str(summary.shots),
            words.seconds(sum(run.fit_seconds for run in runs) / len(runs)),
            f"{summary.rows_per_second:.1f}",
            words.seconds(THOUSAND / summary.rows_per_second) if summary.rows_per_second else "–",
            f"{asked:,.0f}" if asked else "–",
            f"{ran:,.0f}" if ran else "–",
        ]
        if price is not None:
            row.append(f"{ran * THOUSAND * price / 1e6:,.4f}" if ran else "–")
        rows.append(tuple(row))
    blocks: list[Block] = [Table(tuple(columns), tuple(rows))]
    blocks.append(Paragraph(_machine(result, words)))
    if price is None:
        blocks.append(
            Hint(
                words(
                    "Money: --price-per-million-tokens P adds what 1,000 rows cost.",
                    "费用：加上 --price-per-million-tokens P，可显示每千条的价格。",
                )
            )
        )
    return Section("cost", words("Time and cost", "时间与费用"), blocks)


def _machine(result: Evaluation, words: ReportWords) -> str:
    machine = result.machine
    device = machine.get("gpu") or machine.get("processor") or words("an unknown machine", "未知机器")
    threads = machine.get("threads")
    on = words(f"on {device}", f"设备：{device}")
    counted = "" if machine.get("gpu") or not threads else words(f", {threads} threads", f"，{threads} 个线程")
    shared = words(
        " Computed tokens are fewer than those of one full pass per prompt and label, because shared beginnings are "
        "computed once.",
        "由于相同的开头只计算一次，实际计算的词元少于逐条逐标签完整计算的数量。",
    )
    computed = any(0 < run.tokens_computed < run.tokens_asked for run in result.runs)
    return words(f"Measured {on}{counted}.", f"{on}{counted}。") + (shared if computed else "")


def evaluation_document(result: Evaluation, language: str | None = None, price: float | None = None) -> Document:
    """Everything a result says, for people.

    Args:
        result: what was measured.
        language: `zh` or `en`; by default that of the prompt.
        price: of a million tokens, in any currency.
    """
    words = ReportWords(language or result.language)
    model = result.model.get("name", "")
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return Document(
        title=words(f"{result.task}: how good are the answers?", f"{result.task}：效果报告"),
        subtitle=words(
            f"Model {model}, {len(result.labels)} labels, {result.test.kept} test rows",
            f"模型 {model}，{len(result.labels)} 个标签，{result.test.kept} 条测试数据",
        ),
        language=words.language,
        sections=[
            accuracy_section(result, words),
            ladder_section(result, words),
            confusion_section(result, words),
            curve_section(result, words),
            probabilities_section(result, words),
            rows_section(result, words),
            why_section(result, words),
            attacks_section(result, words),
            support_section(result, words),
            prompt_section(result, words),
            cost_section(result, words, price),
        ],
        footer=words(
            f"Made with fewshot-llm ({versions}). Test rows {result.test.fingerprint[:12]}, labelled rows "
            f"{result.support_fingerprint[:12]}, model {result.model.get('sha256', '')[:12]}.",
            f"由 fewshot-llm 生成（{versions}）。测试数据 {result.test.fingerprint[:12]}，样例 "
            f"{result.support_fingerprint[:12]}，模型 {result.model.get('sha256', '')[:12]}。",
        ),
    )
