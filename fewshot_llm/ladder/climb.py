"""The ladder at work: measures the rungs that the decision asks for, and builds what the kept one proposes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fewshot_llm.data import SupportSet
from fewshot_llm.errors import SupportError, TuningError
from fewshot_llm.ladder.base import Candidate, Climb, Ladder, LadderCallbacks, Rung, Skipped
from fewshot_llm.ladder.decision import Decision, decide
from fewshot_llm.ladder.rungs import LABEL_RUNGS
from fewshot_llm.models.device import agreed
from fewshot_llm.predictors.prompted import Inference, PromptedPredictor
from fewshot_llm.scoring.base import local_model

__all__ = ["LadderResult", "check_support", "climb_rungs", "run_ladder"]


@dataclass(frozen=True)
class LadderResult:
    """What the ladder ends with.

    Attributes:
        decision: which rung, and why.
        predictor: answers as the kept rung does.
    """

    decision: Decision
    predictor: PromptedPredictor


def check_support(support: SupportSet) -> None:
    """Refuse rows that nothing can be held out of.

    Raises:
        SupportError: fewer than two classes, or a class with fewer than two rows.
    """
    counts = {label: len(rows) for label, rows in support.by_label().items()}
    if len(counts) < 2:
        raise SupportError(
            f"The support set has {len(counts)} class; expected at least two. Add rows of another class."
        )
    few = {label: count for label, count in counts.items() if count < 2}
    if few:
        named = ", ".join(f"{label} ({count})" for label, count in few.items())
        raise SupportError(
            f"Choosing a rung needs at least 2 rows of each class, one to learn from and one to test on; there are too "
            f"few of {named}. Add rows, or classify without escalation."
        )


def run_ladder(
    inference: Inference,
    ladder: Ladder,
    *,
    callbacks: LadderCallbacks | None = None,
    checkpoints: Path | None = None,
) -> LadderResult:
    """Climb from the cheapest rung as far as the evidence asks for.

    Only support rows are looked at, each by prompts, calibrations and adapters that did not see it.

    Args:
        inference: what would be served without a ladder: builder, scorer, support set.
        ladder: target, rungs, recipe, budget and seed.
        callbacks: told what happens.
        checkpoints: a folder from which an unfinished final training goes on.

    Raises:
        SupportError: of `check_support`.
        TuningError: no rung could be measured, or of the recipe or a training.
    """
    check_support(inference.support)
    climb = Climb(
        inference, ladder.seed, ladder.budget_minutes, ladder.recipe, callbacks or LadderCallbacks(), checkpoints
    )
    decision, kept = climb_rungs(climb, ladder.rungs or LABEL_RUNGS, ladder.target)
    return LadderResult(decision, kept.build())


def climb_rungs(climb: Climb, rungs: Sequence[Rung], target: float) -> tuple[Decision, Candidate]:
    """Let one rung after the other propose, for as long as the decision asks for it.

    Args:
        climb: the support set and the budget; its `candidates` are filled.
        rungs: from the cheapest to the most expensive.
        target: what is good enough, as the rungs' evidence understands it.

    Returns:
        The decision, and the candidate that is kept, not built yet.

    Raises:
        TuningError: no rung could be measured at all.
    """
    by_name = {rung.name: rung for rung in rungs}
    skipped: dict[str, Skipped] = {}
    decision: Decision | None = None
    following: str | None = rungs[0].name
    while following is not None:
        found = _proposed(by_name[following], climb)
        if isinstance(found, Skipped):
            skipped[following] = found
        else:
            climb.candidates.append(found)
        if climb.candidates:
            decision = decide([one.evidence for one in climb.candidates], target, rungs, skipped=skipped)
            following = decision.next_rung
        else:
            following = next((rung.name for rung in rungs if rung.name not in skipped), None)
    if decision is None:
        reasons = "; ".join(f"{name} was not measured: {found.why.en}" for name, found in skipped.items())
        raise TuningError(f"No rung of the ladder could be measured: {reasons}.")
    return decision, next(one for one in climb.candidates if one.evidence.rung == decision.rung)


def _proposed(rung: Rung, climb: Climb) -> Candidate | Skipped:
    """What a rung proposes; of several processes the first one's evidence counts."""
    climb.callbacks.rung(rung.name)
    found: Candidate | Skipped = rung.propose(climb)
    model = local_model(climb.inference.scorer)
    device = torch.device("cpu") if model is None else model.device
    evidence: Any = agreed(found if isinstance(found, Skipped) else found.evidence, device)
    climb.callbacks.measured(rung.name, evidence)
    if isinstance(evidence, Skipped) or isinstance(found, Skipped):
        return evidence if isinstance(evidence, Skipped) else found
    return replace(found, evidence=evidence)  # of its own class: a rung above may read what only that has
