"""The ladder at work: measures the rungs that the decision asks for, and builds what the kept one proposes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from fewshot_llm.data import SupportSet
from fewshot_llm.errors import FewshotError, SupportError, TuningError
from fewshot_llm.ladder.base import Candidate, Climb, Ladder, LadderCallbacks, Prefer, Rung, Skipped
from fewshot_llm.ladder.decision import Decision, decide
from fewshot_llm.ladder.evidence import Evidence
from fewshot_llm.ladder.rungs import LABEL_RUNGS
from fewshot_llm.models.device import agreed
from fewshot_llm.predictors.base import Predictor
from fewshot_llm.predictors.resources import Resources, Unavailable
from fewshot_llm.scoring.base import local_model
from fewshot_llm.types import FloatArray

__all__ = ["LadderResult", "can_be_held_out", "check_support", "climb_rungs", "run_ladder"]


@dataclass(frozen=True)
class LadderResult:
    """What the ladder ends with.

    Attributes:
        decision: which rung, and why.
        predictor: answers as the kept rung does.
        answers: log P(label | text) of the support rows, each by a predictor that did not see it, nats, shape
            [rows of the kept rung's evidence, labels].
        candidates: all that were measured, by the name of their rungs, none of them built.
    """

    decision: Decision
    predictor: Predictor
    answers: FloatArray = field(repr=False)
    candidates: Mapping[str, Candidate] = field(repr=False)


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


def can_be_held_out(support: SupportSet) -> bool:
    """Whether there are rows enough to choose a rung by: two classes or more, each with two rows or more."""
    counts = [len(rows) for rows in support.by_label().values()]
    return len(counts) >= 2 and min(counts) >= 2


def run_ladder(
    resources: Resources,
    ladder: Ladder,
    *,
    callbacks: LadderCallbacks | None = None,
    checkpoints: Path | None = None,
) -> LadderResult:
    """Climb from the cheapest rung as far as the evidence asks for.

    Only support rows are looked at, each by prompts, heads, calibrations and adapters that did not see it.

    Args:
        resources: the problem, and the models that may be used for it; `Resources.of(inference)` for a prompt whose
            model is loaded.
        ladder: target, rungs, recipe, budget and seed.
        callbacks: told what happens.
        checkpoints: a folder from which an unfinished final training goes on.

    Raises:
        SupportError: of `check_support`.
        TuningError: no rung could be measured, one fails or proposes what cannot be, or of the recipe or a training.
    """
    check_support(resources.problem.support)
    climb = Climb(
        resources, ladder.seed, ladder.budget_minutes, ladder.recipe, callbacks or LadderCallbacks(), checkpoints
    )
    decision, kept = climb_rungs(climb, ladder.rungs or LABEL_RUNGS, ladder.target, ladder.prefer)
    rung = next(one for one in ladder.rungs or LABEL_RUNGS if one.name == decision.rung)
    with _named(rung, "built"):
        predictor = kept.build()
    labels = resources.problem.labels
    if not isinstance(predictor, Predictor) or predictor.labels != labels:
        raise TuningError(
            f"The rung {rung.name!r} builds {predictor!r}; expected a Predictor of the labels {', '.join(labels)}. "
            "Mend the rung, or climb without it."
        )
    measured = {one.evidence.rung: one for one in climb.candidates}
    return LadderResult(decision, predictor, kept.out_of_fold, measured)


def climb_rungs(
    climb: Climb, rungs: Sequence[Rung], target: float, prefer: Prefer = "accuracy"
) -> tuple[Decision, Candidate]:
    """Let one rung after the other propose, for as long as the decision asks for it.

    Args:
        climb: the support set and the budget; its `candidates` are filled.
        rungs: from the cheapest to the most expensive.
        target: what is good enough, as the rungs' evidence understands it.
        prefer: which of them is kept; see `Ladder`.

    Returns:
        The decision, and the candidate that is kept, not built yet.

    Raises:
        TuningError: no rung could be measured at all, or one fails or proposes what cannot be compared.
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
            decision = decide(
                [one.evidence for one in climb.candidates],
                target,
                rungs,
                skipped=skipped,
                prefer=prefer,
                seed=climb.seed,
            )
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
    try:
        with _named(rung, "measured"):
            found: Candidate | Skipped = rung.propose(climb)
    except Unavailable as missing:
        found = Skipped(missing.why)
    _require_usable(rung, found, climb)
    model = local_model(climb.inference.scorer) if climb.resources.lent else None
    device = torch.device("cpu") if model is None else model.device
    evidence: Any = agreed(found if isinstance(found, Skipped) else found.evidence, device)
    climb.callbacks.measured(rung.name, evidence)
    if isinstance(evidence, Skipped) or isinstance(found, Skipped):
        return evidence if isinstance(evidence, Skipped) else found
    return replace(found, evidence=evidence)  # of its own class: a rung above may read what only that has


@contextmanager
def _named(rung: Rung, doing: str) -> Iterator[None]:
    """An error of a rung's own code says which rung it is; ours, and those of the machine, say it themselves."""
    try:
        yield
    except (FewshotError, Unavailable, OSError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise TuningError(
            f"The rung {rung.name!r} could not be {doing}: {type(error).__name__}: {error}. Mend the rung, or climb "
            "without it."
        ) from error


def _require_usable(rung: Rung, found: Any, climb: Climb) -> None:
    """Refuse a proposal that cannot be compared with the others.

    Raises:
        TuningError: it is none, its evidence is another rung's, or its rows, figures or answers cannot be.
    """
    if isinstance(found, Skipped):
        return

    def refuse(what: str) -> NoReturn:
        raise TuningError(f"The rung {rung.name!r} {what}. Mend the rung, or climb without it.")

    if not isinstance(found, Candidate) or not isinstance(found.evidence, Evidence):
        refuse(f"proposes {found!r}; expected a Candidate with its evidence, or Skipped(why)")
    evidence, rows = found.evidence, set(found.evidence.rows)
    if evidence.rung != rung.name:
        refuse(f"gives evidence of the rung {evidence.rung!r}")
    size = len(climb.support)
    if outside := sorted(row for row in rows if not 0 <= row < size):
        refuse(f"was measured on the row {outside[0]}, and the support set has the rows 0 to {size - 1}")
    values = [value for criterion in (evidence.loss, *evidence.criteria) for value in criterion.values]
    if np.isnan([evidence.headline.value, *values]).any():
        refuse("has figures that are no numbers (NaN)")
    answers = np.asarray(found.out_of_fold)
    if answers.shape[:1] != (len(evidence.rows),) or not np.issubdtype(answers.dtype, np.number):
        expected = f"{len(evidence.rows)} rows of numbers, one for each row of its evidence"
        refuse(f"has out-of-fold answers of the shape {answers.shape}; expected {expected}")
    if np.isnan(answers).any():
        refuse("has out-of-fold answers that are no numbers (NaN)")
    for below in climb.candidates:
        if type(below.evidence) is not type(evidence):
            refuse(f"gives {type(evidence).__name__}, and {below.evidence.rung!r} {type(below.evidence).__name__}")
        if not rows & set(below.evidence.rows):
            refuse(f"was measured on none of the rows of {below.evidence.rung!r}, so that nothing can be compared")
