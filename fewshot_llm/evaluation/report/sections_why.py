"""The section that shows which words and demonstrations moved single decisions."""

from __future__ import annotations

from fewshot_llm.evaluation.report.document import Block, Explained, Hint, Section, Text
from fewshot_llm.evaluation.report.words import Words
from fewshot_llm.evaluation.result import Evaluation

__all__ = ["why_section"]


def why_section(result: Evaluation, words: Words) -> Section:
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
    blocks: list[Block] = [Text(intro)]
    for one in result.explanations:
        truth = result.rows[one.number - 1].label
        right = truth == one.explanation.label
        blocks.append(
            Text(
                words(
                    f"Row {one.number}, in truth {truth}" + ("." if right else ": a mistake."),
                    f"第 {one.number} 条，实际为 {truth}" + ("。" if right else "：判错。"),
                )
            )
        )
        blocks.append(Explained(one.explanation))
    return Section("why", title, blocks)
