"""The sentences of a decision, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fewshot_llm.ladder.base import Rung, Skipped
from fewshot_llm.ladder.evidence import Comparison, Evidence, NumberEvidence
from fewshot_llm.types import Text

__all__ = ["reason"]

KEPT = Text(
    "{rung} is kept: out of fold it is right on {figure} of {rows} support rows",
    "保留“{rung}”：折外准确率 {figure}（{rows} 条样例）",
)
KEPT_NUMBERS = Text(
    "{rung} is kept: its mean absolute error on {rows} held-out rows is {figure}",
    "保留“{rung}”：折外平均绝对误差 {figure}（{rows} 条样例）",
)
OVER = {
    -1: Text(
        "{kept}, surer, if less accurate within noise, ({numbers}) than {below}",
        "{kept}，准确率之差在噪声之内而更有把握于“{below}”（{numbers}）",
    ),
    0: Text(
        "{kept}, no less accurate and surer ({numbers}) than {below}",
        "{kept}，准确率不低于且更有把握于“{below}”（{numbers}）",
    ),
    1: Text("{kept}, more accurate ({numbers}) than {below}", "{kept}，准确率高于“{below}”（{numbers}）"),
}
OVER_NUMBERS = Text("{kept}, lower ({numbers}) than {below}", "{kept}，误差低于“{below}”（{numbers}）")
REACHED = Text("{kept}, and reaches the target {target:g}.", "{kept}，达到目标 {target:g}。")
MISSED = Text("{kept}, below the target {target:g}.", "{kept}，未达目标 {target:g}。")
MISSED_NUMBERS = Text("{kept}, above the target {target:g}.", "{kept}，未达目标 {target:g}。")
MISSED_BUT = Text("{kept}, below the target {target:g}; {others}.", "{kept}，未达目标 {target:g}；{others}。")
MISSED_NUMBERS_BUT = Text("{kept}, above the target {target:g}; {others}.", "{kept}，未达目标 {target:g}；{others}。")
NOT_BETTER = Text("{rung} was not better by more than noise ({numbers})", "“{rung}”的提升未超出噪声（{numbers}）")
NOT_MEASURED = Text("{rung} was not measured: {why}", "“{rung}”未评估：{why}")
AND, THEN = Text(" and ", "，"), Text("; ", "；")
CHANGE = Text("{value:+.3f} [{low:+.3f}, {high:+.3f}]", "{value:+.3f} [{low:+.3f}, {high:+.3f}]")
GAIN = Text(
    "{gain:+.3f}, McNemar p = {p:.2g}, Brier score {brier}", "{gain:+.3f}，McNemar p = {p:.2g}，Brier 分数 {brier}"
)
GAIN_ONLY = Text("{gain:+.3f}, McNemar p = {p:.2g}, no Brier score", "{gain:+.3f}，McNemar p = {p:.2g}，无 Brier 分数")


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
    named = {found.rung: _named(found.rung, found.title) for found in evidence}
    numbers = isinstance(kept, NumberEvidence)
    template = KEPT_NUMBERS if numbers else KEPT
    said = template.fill(rung=named[kept.rung], figure=kept.headline, rows=len(kept.rows))
    replaced = next((one for one in comparisons if one.above == kept.rung), None)
    if replaced is not None:
        over = OVER_NUMBERS if numbers else OVER[_sign(replaced.accuracy_gain or 0.0)]
        said = over.fill(kept=said, below=named[replaced.below], numbers=_numbers(replaced))
    if kept.reaches(target):
        return REACHED.fill(kept=said, target=target)
    beaten = [
        NOT_BETTER.fill(rung=named[one.above], numbers=_numbers(one))
        for one in comparisons
        if one.below == kept.rung and not one.better
    ]
    missing = [NOT_MEASURED.fill(rung=_named(rung.name, rung.title), why=found.why) for rung, found in skipped.items()]
    others = THEN.join(AND.join(clauses) for clauses in (beaten, missing) if clauses)
    if numbers:
        missed = MISSED_NUMBERS_BUT if beaten or missing else MISSED_NUMBERS
    else:
        missed = MISSED_BUT if beaten or missing else MISSED
    return missed.fill(kept=said, target=target, others=others)


def _named(rung: str, title: Text | None) -> Text:
    """English sentences name a rung as settings do, Chinese ones by its title."""
    return Text(rung, rung if title is None else title.zh)


def _numbers(comparison: Comparison) -> Text:
    if comparison.accuracy_gain is None:
        return CHANGE.fill(**vars(comparison.loss_change))
    if comparison.brier_change is None:
        return GAIN_ONLY.fill(gain=comparison.accuracy_gain, p=comparison.p_value)
    brier = CHANGE.fill(**vars(comparison.brier_change))
    return GAIN.fill(gain=comparison.accuracy_gain, p=comparison.p_value, brier=brier)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
