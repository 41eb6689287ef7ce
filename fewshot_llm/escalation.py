"""Which rung of the ladder to stand on: evidence in, decision out.

zero-shot -> in-context -> calibrated -> LoRA. A rung is measured when the one that is kept so far misses the target,
and replaces it only where a paired test says that it is better by more than noise (one standard error); otherwise the
cheaper one stays. Calibration is measured along with the demonstrations, target or not: it reads the same scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from fewshot_llm.errors import TuningError
from fewshot_llm.evidence import RUNGS, Comparison, Rung, RungEvidence, compare
from fewshot_llm.tuning.recipe import Recipe

__all__ = ["Decision", "Escalation", "Measured", "Skipped", "check_target", "climb", "decide"]

NAMES_ZH: Mapping[Rung, str] = {
    "zero-shot": "零样本",
    "in-context": "上下文示例",
    "calibrated": "校准后的上下文示例",
    "lora": "LoRA 微调",
}


@dataclass(frozen=True)
class Escalation:
    """How far to climb.

    Attributes:
        target: the accuracy that is good enough, in (0, 1].
        recipe: LoRA settings, or the name or path of a recipe; None chooses by the numbers of labels and rows.
        budget_minutes: wall time for all measuring and training together; None for no limit.
        seed: the only source of chance.

    Raises:
        TuningError: a target outside (0, 1], or a budget that is not positive.

    >>> Escalation(target=0.9).target
    0.9
    """

    target: float = 0.9
    recipe: str | Recipe | None = None
    budget_minutes: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_target(self.target)
        if self.budget_minutes is not None and not self.budget_minutes > 0:
            raise TuningError(f"The budget is {self.budget_minutes} minutes; expected more than 0.")


@dataclass(frozen=True)
class Skipped:
    """A rung that was not measured.

    Attributes:
        english: why, as the end of "it was not measured: …".
        chinese: the same in Chinese.
    """

    english: str
    chinese: str


Measured: TypeAlias = RungEvidence | Skipped


class Decision(BaseModel):
    """Which rung is kept, and every number that speaks for it. Saved as JSON beside the model.

    Attributes:
        rung: the rung that is kept.
        target: the accuracy asked for.
        reached: whether the kept rung's out-of-fold accuracy is at least the target.
        next_rung: the rung that has to be measured before the decision is final; None where it is.
        evidence: what each rung measured, in order.
        comparisons: each measured rung against the one kept below it.
        skipped: rungs that were not measured, and why.
        seconds: what all measuring cost.
        reason: the decision in one sentence.
        reason_zh: the same in Chinese.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rung: Rung
    target: float
    reached: bool
    next_rung: Rung | None
    evidence: tuple[RungEvidence, ...]
    comparisons: tuple[Comparison, ...]
    skipped: dict[Rung, str]
    seconds: float
    reason: str
    reason_zh: str

    @property
    def kept(self) -> RungEvidence:
        """What the kept rung measured."""
        return next(found for found in self.evidence if found.rung == self.rung)


def check_target(target: float) -> float:
    """Refuse a target that no accuracy can reach, or that any reaches.

    Raises:
        TuningError: outside (0, 1].
    """
    if not 0 < target <= 1:
        raise TuningError(f"The target is {target}; expected an accuracy above 0 and at most 1, for example 0.9.")
    return target


def decide(
    evidence: Sequence[RungEvidence],
    target: float = 0.9,
    *,
    skipped: Mapping[Rung, Skipped] | None = None,
) -> Decision:
    """Which of the measured rungs to keep, and whether another has to be measured first.

    A pure function: the same evidence gives the same decision.

    Args:
        evidence: what was measured, from the lowest rung up.
        target: the accuracy that is good enough, in (0, 1].
        skipped: rungs that cannot be measured, and why.

    Raises:
        TuningError: no evidence, rungs out of order, or a target outside (0, 1].
    """
    check_target(target)
    skipped = dict(skipped or {})
    places = [RUNGS.index(found.rung) for found in evidence]
    if not places or places != sorted(set(places)):
        raise TuningError("A decision needs evidence of at least one rung, from the lowest up, each once.")
    kept, comparisons = evidence[0], []
    for above in evidence[1:]:
        comparison = compare(kept, above)
        comparisons.append(comparison)
        if comparison.better:
            kept = above
    reached = kept.accuracy.value >= target
    higher = [rung for rung in RUNGS[places[-1] + 1 :] if rung not in skipped]
    free = evidence[-1].rung == "in-context" and higher[:1] == ["calibrated"]
    english, chinese = _reason(kept, comparisons, target, skipped)
    return Decision(
        rung=kept.rung,
        target=target,
        reached=reached,
        next_rung=higher[0] if higher and (free or not reached) else None,
        evidence=tuple(evidence),
        comparisons=tuple(comparisons),
        skipped={rung: why.english for rung, why in skipped.items()},
        seconds=sum(found.seconds for found in evidence),
        reason=english,
        reason_zh=chinese,
    )


def climb(measure: Callable[[Rung], Measured], target: float = 0.9) -> Decision:
    """Measure one rung after the other, for as long as the decision asks for it.

    Args:
        measure: gives a rung's evidence, or says why there is none. Only called for rungs that are needed.
        target: the accuracy that is good enough, in (0, 1].

    Raises:
        TuningError: no rung could be measured at all, or a target outside (0, 1].
    """
    check_target(target)
    evidence: list[RungEvidence] = []
    skipped: dict[Rung, Skipped] = {}
    decision: Decision | None = None
    rung: Rung | None = RUNGS[0]
    while rung is not None:
        found = measure(rung)
        if isinstance(found, Skipped):
            skipped[rung] = found
        else:
            evidence.append(found)
        if evidence:
            decision = decide(evidence, target, skipped=skipped)
            rung = decision.next_rung
        else:
            rung = next((higher for higher in RUNGS if higher not in skipped), None)
    if decision is None:
        raise TuningError("No rung of the ladder could be measured: " + "; ".join(w.english for w in skipped.values()))
    return decision


def _reason(
    kept: RungEvidence, comparisons: Sequence[Comparison], target: float, skipped: Mapping[Rung, Skipped]
) -> tuple[str, str]:
    """The decision in one sentence of each language."""
    accuracy = kept.accuracy
    english = f"{kept.rung} is kept: out of fold it is right on {accuracy} of {len(kept.rows)} support rows"
    chinese = f"保留“{NAMES_ZH[kept.rung]}”：折外准确率 {accuracy}（{len(kept.rows)} 条样例）"
    replaced = next((c for c in comparisons if c.above == kept.rung), None)
    if replaced is not None:
        english += f", {_difference(replaced)} than {replaced.below}"
        chinese += f"，{_difference_zh(replaced)}"
    if accuracy.value >= target:
        return english + f", and reaches the target {target:g}.", chinese + f"，达到目标 {target:g}。"
    english += f", below the target {target:g}"
    chinese += f"，未达目标 {target:g}"
    beaten = [c for c in comparisons if c.below == kept.rung and not c.better]
    if beaten:
        english += "; " + " and ".join(f"{c.above} was not better by more than noise ({_numbers(c)})" for c in beaten)
        chinese += "；" + "，".join(f"“{NAMES_ZH[c.above]}”的提升未超出噪声（{_numbers(c)}）" for c in beaten)
    missing = {rung: why for rung, why in skipped.items() if RUNGS.index(rung) > RUNGS.index(kept.rung)}
    if missing:
        english += "; " + " and ".join(f"{rung} was not measured: {why.english}" for rung, why in missing.items())
        chinese += "；" + "，".join(f"“{NAMES_ZH[rung]}”未评估：{why.chinese}" for rung, why in missing.items())
    return english + ".", chinese + "。"


def _numbers(comparison: Comparison) -> str:
    brier = comparison.brier_change
    surer = f"Brier score {brier.value:+.3f} [{brier.low:+.3f}, {brier.high:+.3f}]" if brier else "no Brier score"
    return f"{comparison.accuracy_gain:+.3f}, McNemar p = {comparison.p_value:.2g}, {surer}"


def _difference(comparison: Comparison) -> str:
    more = ("surer, if less accurate within noise,", "no less accurate and surer", "more accurate")
    return f"{more[_sign(comparison)]} ({_numbers(comparison)})"


def _difference_zh(comparison: Comparison) -> str:
    more = ("准确率之差在噪声之内而更有把握于", "准确率不低于且更有把握于", "准确率高于")
    return f"{more[_sign(comparison)]}“{NAMES_ZH[comparison.below]}”（{_numbers(comparison)}）"


def _sign(comparison: Comparison) -> int:
    """0 for fewer right answers, 1 for as many, 2 for more."""
    return 1 + (comparison.accuracy_gain > 0) - (comparison.accuracy_gain < 0)
