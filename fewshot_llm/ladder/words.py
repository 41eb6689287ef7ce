"""The sentences of a decision, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fewshot_llm.ladder.base import Rung, Skipped
from fewshot_llm.ladder.evidence import Comparison, Evidence, NumberEvidence
from fewshot_llm.types import Text

__all__ = ["reason"]

KEPT = Text(
    "{name} is kept: out of fold it is right on {figure} of {rows} support rows",
    "保留“{title}”：折外准确率 {figure}（{rows} 条样例）",
)
KEPT_NUMBERS = Text(
    "{name} is kept: its mean absolute error on {rows} held-out rows is {figure}",
    "保留“{title}”：折外平均绝对误差 {figure}（{rows} 条样例）",
)
BEFORE = Text(", {more} ({numbers}) than {name}", "，{more}“{title}”（{numbers}）")
MORE = {
    -1: Text("surer, if less accurate within noise,", "准确率之差在噪声之内而更有把握于"),
    0: Text("no less accurate and surer", "准确率不低于且更有把握于"),
    1: Text("more accurate", "准确率高于"),
}
CLOSER = Text("lower", "误差低于")
REACHED = Text(", and reaches the target {target:g}.", "，达到目标 {target:g}。")
MISSED = Text(", below the target {target:g}", "，未达目标 {target:g}")
MISSED_NUMBERS = Text(", above the target {target:g}", "，未达目标 {target:g}")
BEATEN = Text("; {all}", "；{all}")
ONE_BEATEN = Text("{name} was not better by more than noise ({numbers})", "“{title}”的提升未超出噪声（{numbers}）")
ONE_MISSING = Text("{name} was not measured: {why}", "“{title}”未评估：{why}")
BETWEEN = Text(" and ", "，")
END = Text(".", "。")


def reason(
    kept: Evidence,
    comparisons: Sequence[Comparison],
    target: float,
    evidence: Sequence[Evidence],
    skipped: Mapping[Rung, Skipped],
) -> Text:
    """The decision in one sentence of each language.

    Args:
        kept: what the kept rung measured.
        comparisons: each rung against the one kept below it.
        target: what is good enough.
        evidence: what all rungs measured.
        skipped: rungs that were not measured.
    """
    return Text(*(_sentence(language, kept, comparisons, target, evidence, skipped) for language in ("en", "zh")))


def _sentence(
    language: str,
    kept: Evidence,
    comparisons: Sequence[Comparison],
    target: float,
    evidence: Sequence[Evidence],
    skipped: Mapping[Rung, Skipped],
) -> str:
    titles = {found.rung: found.title for found in evidence}

    def say(text: Text, rung: str | None = None, title: Text | None = None, **values: object) -> str:
        title = title or titles.get(rung or "")
        return text.say(language).format(name=rung, title=title.say(language) if title else rung, **values)

    numbers = isinstance(kept, NumberEvidence)
    said = say(KEPT_NUMBERS if numbers else KEPT, kept.rung, figure=kept.headline, rows=len(kept.rows))
    replaced = next((one for one in comparisons if one.above == kept.rung), None)
    if replaced is not None:
        more = CLOSER if numbers else MORE[_sign(replaced.accuracy_gain or 0.0)]
        said += say(BEFORE, replaced.below, more=more.say(language), numbers=_numbers(replaced))
    if kept.reaches(target):
        return said + say(REACHED, target=target)
    said += say(MISSED_NUMBERS if numbers else MISSED, target=target)
    beaten = [
        say(ONE_BEATEN, one.above, numbers=_numbers(one))
        for one in comparisons
        if one.below == kept.rung and not one.better
    ]
    missing = [say(ONE_MISSING, rung.name, rung.title, why=found.why.say(language)) for rung, found in skipped.items()]
    for clauses in (beaten, missing):
        if clauses:
            said += say(BEATEN, all=say(BETWEEN).join(clauses))
    return said + say(END)


def _numbers(comparison: Comparison) -> str:
    if comparison.accuracy_gain is None:
        change = comparison.loss_change
        return f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
    brier = comparison.brier_change
    surer = f"Brier score {brier.value:+.3f} [{brier.low:+.3f}, {brier.high:+.3f}]" if brier else "no Brier score"
    return f"{comparison.accuracy_gain:+.3f}, McNemar p = {comparison.p_value:.2g}, {surer}"


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
