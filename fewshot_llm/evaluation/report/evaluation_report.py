"""The report of one `Evaluation`."""

from __future__ import annotations

from fewshot_llm.evaluation.report.document import Document
from fewshot_llm.evaluation.report.sections_accuracy import (
    accuracy_section,
    confusion_section,
    ladder_section,
)
from fewshot_llm.evaluation.report.sections_curve import curve_section
from fewshot_llm.evaluation.report.sections_inputs import cost_section, prompt_section, support_section
from fewshot_llm.evaluation.report.sections_rows import attacks_section, probabilities_section, rows_section
from fewshot_llm.evaluation.report.sections_why import why_section
from fewshot_llm.evaluation.report.words import Words
from fewshot_llm.evaluation.result import Evaluation

__all__ = ["evaluation_document"]


def evaluation_document(result: Evaluation, language: str | None = None, price: float | None = None) -> Document:
    """Everything a result says, for people.

    Args:
        result: what was measured.
        language: `zh` or `en`; by default that of the prompt.
        price: of a million tokens, in any currency.
    """
    words = Words(language or result.language)
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
