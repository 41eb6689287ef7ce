"""Sections about what went in and what it cost: labelled rows, prompt, time and tokens."""

from __future__ import annotations

from fewshot_llm.evaluation.report.document import Block, Code, Column, Hint, Section, Table, Text
from fewshot_llm.evaluation.report.words import Words
from fewshot_llm.evaluation.result import Evaluation

__all__ = ["cost_section", "prompt_section", "support_section"]

THOUSAND = 1000


def support_section(result: Evaluation, words: Words) -> Section:
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
    blocks: list[Block] = [Text(summary)]
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
        blocks += [Text(line) for line in findings]
    return Section("support", title, blocks)


def prompt_section(result: Evaluation, words: Words) -> Section:
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
    return Section("prompt", title, [Text(about + answers + words(".", "。")), Code(prompt.text)])


def cost_section(result: Evaluation, words: Words, price: float | None = None) -> Section:
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
    blocks.append(Text(_machine(result, words)))
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


def _machine(result: Evaluation, words: Words) -> str:
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
