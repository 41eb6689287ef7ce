"""The sentences of a decision, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fewshot_llm.ladder.base import Rung, Skipped
from fewshot_llm.ladder.evidence import Comparison, Evidence, Figure, NumberEvidence
from fewshot_llm.types import Text, listed

__all__ = ["Verdict", "headline", "reason"]

KEPT = Text(
    "{rung} is kept: out of fold it is right on {figure} of {rows} support rows.",
    "保留“{rung}”：折外准确率 {figure}（{rows} 条样例）。",
)
KEPT_OF_MANY = Text(
    "{rung} is kept: out of fold it is right on {figure} of {rows} support rows, corrected for the choice among "
    "{candidates} rungs.",
    "保留“{rung}”：折外准确率 {figure}（{rows} 条样例；已校正从 {candidates} 级中择优带来的偏高）。",
)
KEPT_NUMBERS = Text(
    "{rung} is kept: its mean absolute error on {rows} held-out rows is {figure}.",
    "保留“{rung}”：折外平均绝对误差 {figure}（{rows} 条样例）。",
)
KEPT_NUMBERS_OF_MANY = Text(
    "{rung} is kept: its mean absolute error on {rows} held-out rows is {figure}, corrected for the choice among "
    "{candidates} rungs.",
    "保留“{rung}”：折外平均绝对误差 {figure}（{rows} 条样例；已校正从 {candidates} 级中择优带来的偏低）。",
)
SMALLEST = Text(
    "Its log loss was the smallest, {loss:.3f}; {second} comes next with {other:.3f}.",
    "它的对数损失最小（{loss:.3f}），其次是“{second}”（{other:.3f}）。",
)
SMALLEST_NUMBERS = Text(
    "Its error was the smallest, {loss:.3f}; {second} comes next with {other:.3f}.",
    "它的误差最小（{loss:.3f}），其次是“{second}”（{other:.3f}）。",
)
CHEAPEST = Text(
    "It is the cheapest rung that is not worse than {best} by more than noise ({numbers}).",
    "在与“{best}”的差距未超出噪声的各级中，它最省（{numbers}）。",
)
HEDGES = Text(
    "It is made of other rungs and kept unless one of them is better by more than noise; {best} has the smallest log "
    "loss, {loss:.3f} against {own:.3f}.",
    "它由其他方法混合而成，除非其中之一的优势超出噪声，否则保留；“{best}”的对数损失最小（{loss:.3f}，混合为 "
    "{own:.3f}）。",
)
NONE_CHEAPER = Text("No cheaper rung is level with it within noise.", "更省的各级与它的差距都超出噪声。")
WORDS = Text(
    "{words} alone, which is three lines of scikit-learn, reach {figure}.",
    "仅用{words}（三行 scikit-learn 代码）为 {figure}。",
)
WORDS_ARE_KEPT = Text("That is what three lines of scikit-learn reach.", "这就是三行 scikit-learn 代码的水平。")
REACHED = Text(
    "The target {target:g} is reached: the whole interval lies at or above it.",
    "达到目标 {target:g}：整个区间都不低于它。",
)
REACHED_NUMBERS = Text(
    "The target {target:g} is reached: the whole interval lies at or below it.",
    "达到目标 {target:g}：整个区间都不高于它。",
)
UNSURE = Text(
    "The rows cannot tell whether the target {target:g} is reached: it lies within the interval.",
    "目标 {target:g} 落在区间之内，现有样例尚不能断定是否达到。",
)
MISSED = Text(
    "The target {target:g} is missed: the whole interval lies below it.", "未达目标 {target:g}：整个区间都低于它。"
)
MISSED_NUMBERS = Text(
    "The target {target:g} is missed: the whole interval lies above it.", "未达目标 {target:g}：整个区间都高于它。"
)
NOT_MEASURED = Text("{rung} was not measured: {why}.", "“{rung}”未评估：{why}。")
NOT_NEEDED = Text("Not measured, since the target was reached before: {rungs}.", "此前已达到目标，未再评估：{rungs}。")
CHANGE = Text("{value:+.3f} [{low:+.3f}, {high:+.3f}]", "{value:+.3f} [{low:+.3f}, {high:+.3f}]")
GAIN = Text(
    "{gain:+.3f}, McNemar p = {p:.2g}, Brier score {brier}", "{gain:+.3f}，McNemar p = {p:.2g}，Brier 分数 {brier}"
)
GAIN_ONLY = Text("{gain:+.3f}, McNemar p = {p:.2g}, no Brier score", "{gain:+.3f}，McNemar p = {p:.2g}，无 Brier 分数")

ANSWERS = Text(
    "{rung} answers: right on {figure} of unseen rows ({how}).",
    "由“{rung}”判定：未见数据上的准确率 {figure}（{how}）。",
)
ANSWERS_BESIDE_WORDS = Text(
    "{rung} answers: right on {figure} of unseen rows ({how}); words alone {words}.",
    "由“{rung}”判定：未见数据上的准确率 {figure}（{how}）；仅用词语为 {words}。",
)
ANSWERS_NUMBERS = Text(
    "{rung} answers: off by {figure} on unseen rows ({how}).",
    "由“{rung}”判定：未见数据上的平均绝对误差 {figure}（{how}）。",
)
ANSWERS_NUMBERS_BESIDE_WORDS = Text(
    "{rung} answers: off by {figure} on unseen rows ({how}); words alone {words}.",
    "由“{rung}”判定：未见数据上的平均绝对误差 {figure}（{how}）；仅用词语为 {words}。",
)
CORRECTED, OUT_OF_FOLD = Text("corrected", "已校正"), Text("out of fold", "折外")


@dataclass(frozen=True)
class Verdict:
    """What a decision's sentences tell.

    Attributes:
        kept: what the kept rung measured.
        best: what the rung with the smallest loss measured.
        second: of the others, the one with the smallest loss; None where there is none.
        losses: mean loss of each rung on the rows that all were asked.
        rows: how many these are.
        corrected: the kept rung's figure, corrected for the choice.
        versus_best: the kept rung against the best; None where it is the best.
        prefers_cost: whether the cheapest was looked for.
        hedges: whether the kept rung is made of others.
        words: what the rung of words measured; None where it was not measured.
        target: what is good enough.
        candidates: how many rungs were measured.
        skipped: rungs that could not be measured.
        unneeded: rungs that were not measured because the target was reached.
    """

    kept: Evidence
    best: Evidence
    second: Evidence | None
    losses: Mapping[str, float]
    rows: int
    corrected: Figure
    versus_best: Comparison | None
    prefers_cost: bool
    hedges: bool
    words: Evidence | None
    target: float
    candidates: int
    skipped: Mapping[Rung, Skipped]
    unneeded: Sequence[Rung]


def reason(verdict: Verdict) -> Text:
    """The decision in a few sentences of each language."""
    kept, numbers = verdict.kept, isinstance(verdict.kept, NumberEvidence)
    if verdict.candidates > 1:
        template = KEPT_NUMBERS_OF_MANY if numbers else KEPT_OF_MANY
    else:
        template = KEPT_NUMBERS if numbers else KEPT
    figure = {"figure": verdict.corrected, "rows": verdict.rows, "candidates": verdict.candidates}
    said = [template.fill(rung=_named(kept), **figure)]
    if verdict.second is not None:
        said.append(_why(verdict, verdict.second))
    if verdict.words is kept:
        said.append(WORDS_ARE_KEPT)
    elif verdict.words is not None:
        said.append(WORDS.fill(words=_named(verdict.words), figure=verdict.words.headline))
    said.append(_against_target(verdict).fill(target=verdict.target))
    said += [NOT_MEASURED.fill(rung=_name(rung), why=found.why) for rung, found in verdict.skipped.items()]
    if verdict.unneeded:
        said.append(NOT_NEEDED.fill(rungs=listed(_name(rung) for rung in verdict.unneeded)))
    return Text(" ", "").join(said)


def headline(kept: Evidence, corrected: Figure | None, words: Evidence | None) -> Text:
    """What answers, and how well, in one line.

    Args:
        kept: what the kept rung measured.
        corrected: its figure, corrected for the choice; None where nothing was chosen, or it is not known.
        words: what the rung of words measured; None where it was not measured.
    """
    numbers, beside = isinstance(kept, NumberEvidence), words is not None and words is not kept
    if numbers:
        template = ANSWERS_NUMBERS_BESIDE_WORDS if beside else ANSWERS_NUMBERS
    else:
        template = ANSWERS_BESIDE_WORDS if beside else ANSWERS
    figure = corrected or kept.headline
    return template.fill(
        rung=_named(kept),
        figure=f"{_short(figure.value, numbers)} [{_short(figure.low, numbers)}, {_short(figure.high, numbers)}]",
        how=OUT_OF_FOLD if corrected is None else CORRECTED,
        words="" if words is None else _short(words.headline.value, numbers),
    )


def _why(verdict: Verdict, second: Evidence) -> Text:
    """Why this rung and none of the others."""
    kept = verdict.kept
    if verdict.hedges and verdict.versus_best is not None and not verdict.prefers_cost:
        own, best = verdict.losses[kept.rung], verdict.losses[verdict.best.rung]
        return HEDGES.fill(best=_named(verdict.best), loss=best, own=own)
    if verdict.versus_best is not None:
        return CHEAPEST.fill(best=_named(verdict.best), numbers=_numbers(verdict.versus_best))
    if verdict.prefers_cost:
        return NONE_CHEAPER
    template = SMALLEST_NUMBERS if isinstance(kept, NumberEvidence) else SMALLEST
    return template.fill(loss=verdict.losses[kept.rung], second=_named(second), other=verdict.losses[second.rung])


def _against_target(verdict: Verdict) -> Text:
    figure, target, numbers = verdict.corrected, verdict.target, isinstance(verdict.kept, NumberEvidence)
    if verdict.kept.reaches(target, figure):
        return REACHED_NUMBERS if numbers else REACHED
    if figure.low <= target <= figure.high:
        return UNSURE
    return MISSED_NUMBERS if numbers else MISSED


def _named(found: Evidence) -> Text:
    """English sentences name a rung as settings do, Chinese ones by its title."""
    return Text(found.rung, found.rung if found.title is None else found.title.zh)


def _name(rung: Rung) -> Text:
    return Text(rung.name, rung.title.zh)


def _numbers(comparison: Comparison) -> Text:
    if comparison.accuracy_gain is None:
        return CHANGE.fill(**vars(comparison.loss_change))
    if comparison.brier_change is None:
        return GAIN_ONLY.fill(gain=comparison.accuracy_gain, p=comparison.p_value)
    brier = CHANGE.fill(**vars(comparison.brier_change))
    return GAIN.fill(gain=comparison.accuracy_gain, p=comparison.p_value, brier=brier)


def _short(value: float, number: bool) -> str:
    """A share as .93, a number by three digits."""
    if number:
        return f"{value:.3g}"
    return f"{value:.2f}".removeprefix("0")
