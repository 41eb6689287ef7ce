"""Which rung of the ladder to stand on: evidence in, decision out.

A rung is measured when the one that is kept so far misses the target, and replaces it only where a paired test says
that it is better by more than noise; otherwise the cheaper one stays. A rung that reads another's scores is measured
along with it, target or not: it costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import BaseModel, ConfigDict

from fewshot_llm.errors import TuningError
from fewshot_llm.ladder.base import Rung, Skipped
from fewshot_llm.ladder.evidence import Comparison, Evidence, LabelEvidence, NumberEvidence, compare
from fewshot_llm.ladder.words import reason

__all__ = ["Decision", "decide"]


class Decision(BaseModel):
    """Which rung is kept, and every number that speaks for it. Saved as JSON beside the model.

    Attributes:
        rung: name of the rung that is kept.
        target: the accuracy (of numbers: the mean absolute error) asked for.
        reached: whether the kept rung reaches it out of fold.
        next_rung: the rung that has to be measured before the decision is final; None where it is.
        evidence: what each rung measured, in order.
        comparisons: each measured rung against the one kept below it.
        skipped: rungs that were not measured, and why.
        seconds: what all measuring cost.
        reason: the decision in one sentence.
        reason_zh: the same in Chinese.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rung: str
    target: float
    reached: bool
    next_rung: str | None
    evidence: tuple[LabelEvidence | NumberEvidence, ...]
    comparisons: tuple[Comparison, ...]
    skipped: dict[str, str]
    seconds: float
    reason: str
    reason_zh: str

    @property
    def kept(self) -> LabelEvidence | NumberEvidence:
        """What the kept rung measured."""
        return next(found for found in self.evidence if found.rung == self.rung)


def decide(
    evidence: Sequence[Evidence],
    target: float,
    rungs: Sequence[Rung],
    *,
    skipped: Mapping[str, Skipped] | None = None,
) -> Decision:
    """Which of the measured rungs to keep, and whether another has to be measured first.

    A pure function: the same evidence gives the same decision.

    Args:
        evidence: what was measured, from the lowest rung up.
        target: what is good enough, as the evidence understands it.
        rungs: the whole ladder, from the lowest up.
        skipped: rungs that cannot be measured, by name, and why.

    Raises:
        TuningError: no evidence, or rungs out of order or unknown.
    """
    skipped, names = dict(skipped or {}), [rung.name for rung in rungs]
    places = [names.index(found.rung) for found in evidence if found.rung in names]
    if not places or len(places) < len(evidence) or places != sorted(set(places)):
        raise TuningError("A decision needs evidence of at least one rung, from the lowest up, each once.")
    kept, comparisons = evidence[0], []
    for above in evidence[1:]:
        comparison = compare(kept, above)
        comparisons.append(comparison)
        if comparison.better:
            kept = above
    reached = kept.reaches(target)
    higher = [rung for rung in rungs[places[-1] + 1 :] if rung.name not in skipped]
    free = bool(higher) and any(found.rung in higher[0].reads for found in evidence)
    above_kept = rungs[names.index(kept.rung) + 1 :]
    missing = {rung: skipped[rung.name] for rung in above_kept if rung.name in skipped}
    why = reason(kept, comparisons, target, evidence, missing)
    return Decision(
        rung=kept.rung,
        target=target,
        reached=reached,
        next_rung=higher[0].name if higher and (free or not reached) else None,
        evidence=cast(tuple[LabelEvidence | NumberEvidence, ...], tuple(evidence)),
        comparisons=tuple(comparisons),
        skipped={name: found.why.en for name, found in skipped.items()},
        seconds=sum(found.seconds for found in evidence),
        reason=why.en,
        reason_zh=why.zh,
    )
