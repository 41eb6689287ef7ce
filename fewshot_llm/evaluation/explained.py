"""Why the rows that are worth reading got their answers."""

from __future__ import annotations

from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.evaluation.circumstances import ExplainedRow
from fewshot_llm.evaluation.measure import Measurable
from fewshot_llm.evaluation.report.rows import least_sure, surest_mistakes
from fewshot_llm.evaluation.result import Run
from fewshot_llm.explaining import explain

__all__ = ["explain_rows"]


def explain_rows(answerer: Answerer, test: Measurable, run: Run, most: int) -> tuple[ExplainedRow, ...]:
    """Explain the surest mistakes and then the least sure answers of a run.

    Args:
        answerer: what gave the answers.
        test: the rows.
        run: the answers.
        most: how many rows; half of them are mistakes where there are so many.
    """
    labels = answerer.inference.builder.labels
    mistakes = surest_mistakes(run, test.rows, labels, most)[: (most + 1) // 2]
    unsure = least_sure(run, test.rows, labels, most)
    chosen = list(dict.fromkeys(answered.number for answered in (*mistakes, *unsure)))[:most]
    found = explain(answerer, [test.queries[number - 1] for number in chosen])
    return tuple(ExplainedRow(number, why) for number, why in zip(chosen, found, strict=True))
