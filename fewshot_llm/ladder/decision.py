"""Which rung of the ladder to stand on: evidence in, decision out.

The rung with the smallest out-of-fold loss is kept; or, where cost is preferred, the cheapest that is not worse than it
by more than noise. The kept rung's figure is corrected for its having been chosen. Rungs are measured until the whole
interval of that figure reaches the target. A rung that reads another's scores is measured along with it, target or not:
it costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import cast

import numpy as np
from pydantic import BaseModel, ConfigDict

from fewshot_llm.errors import TuningError
from fewshot_llm.ladder.base import Prefer, Rung, Skipped
from fewshot_llm.ladder.evidence import Comparison, Evidence, Figure, LabelEvidence, NumberEvidence, compare
from fewshot_llm.ladder.words import Verdict, headline, reason
from fewshot_llm.stats.intervals import mean_interval
from fewshot_llm.stats.selection import (
    Choice,
    Contest,
    cheapest_within_noise,
    fold_weights,
    held_out_choice,
    smallest_loss,
    unless_beaten,
)
from fewshot_llm.types import FloatArray, Text

__all__ = ["Decision", "decide"]

"""The rung with the smallest loss, or the cheapest that is not worse than it by more than noise."""

WORDS = "words"
"""The rung that everybody has: word counts and logistic regression."""


class Decision(BaseModel):
    """Which rung is kept, and every number that speaks for it. Saved as JSON beside the model.

    Attributes:
        rung: name of the rung that is kept.
        target: the accuracy (of numbers: the mean absolute error) asked for.
        reached: whether the whole interval of the kept rung's corrected figure reaches it.
        next_rung: the rung that has to be measured before the decision is final; None where it is.
        evidence: what each rung measured, in order.
        comparisons: each measured rung against the kept one; in records of earlier versions, against the one kept
            below it.
        skipped: rungs that were not measured, and why.
        seconds: what all measuring cost.
        reason: the decision in a few sentences.
        reason_zh: the same in Chinese.
        prefer: by what the rung was chosen; None in records of earlier versions, which kept a cheaper rung until
            another was better by more than noise.
        corrected: accuracy (of numbers: mean absolute error) of the kept rung on rows that had no say in choosing it;
            None in records of earlier versions.
        corrected_loss: the same of its loss: log loss in nats, or absolute error.
        words: accuracy or error of the rung named "words", which three lines of scikit-learn reach; None where it was
            not measured.
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
    prefer: Prefer | None = None
    corrected: Figure | None = None
    corrected_loss: Figure | None = None
    words: Figure | None = None

    @property
    def kept(self) -> LabelEvidence | NumberEvidence:
        """What the kept rung measured."""
        return next(found for found in self.evidence if found.rung == self.rung)

    @property
    def headline(self) -> Text:
        """What answers, how well, and what words alone reach: one line for a terminal."""
        words = next((found for found in self.evidence if found.rung == WORDS), None)
        corrected = self.corrected if len(self.evidence) > 1 else None
        return headline(self.kept, corrected, words)


def decide(
    evidence: Sequence[Evidence],
    target: float,
    rungs: Sequence[Rung],
    *,
    skipped: Mapping[str, Skipped] | None = None,
    prefer: Prefer = "accuracy",
    seed: int = 0,
) -> Decision:
    """Which of the measured rungs to keep, and whether another has to be measured first.

    A pure function: the same evidence gives the same decision. Rungs are compared on the rows that all were asked.

    Args:
        evidence: what was measured, from the lowest rung up.
        target: what is good enough, as the evidence understands it.
        rungs: the whole ladder, from the lowest up.
        skipped: rungs that cannot be measured, by name, and why.
        prefer: the smallest loss, but a rung that hedges is kept unless that one is better by more than noise; or the
            smallest cost of answering among rungs that are not worse than that one by more than noise (where a rung
            does not tell its cost, the lowest of them).
        seed: of the choices with a part of the rows held out, by which the figures are corrected.

    Raises:
        TuningError: no evidence, rungs out of order or unknown, or no row that all were asked.
    """
    skipped, names = dict(skipped or {}), [rung.name for rung in rungs]
    places = [names.index(found.rung) for found in evidence if found.rung in names]
    if not places or len(places) < len(evidence) or places != sorted(set(places)):
        raise TuningError("A decision needs evidence of at least one rung, from the lowest up, each once.")
    rows = sorted(set.intersection(*(set(found.rows) for found in evidence)))
    if not rows:
        raise TuningError(
            f"The rungs {', '.join(found.rung for found in evidence)} were measured on different rows; expected at "
            "least one that all were asked. Measure them on the same rows."
        )
    losses = _table([found.loss.values for found in evidence], evidence, rows)
    everything = np.ones((1, len(rows)))
    best = evidence[int(smallest_loss(losses)(everything)[0])]
    hedges = {rung.name for rung in rungs if rung.hedges}
    kept = next((found for found in evidence if found.rung in hedges and not compare(found, best).better), best)
    choice = _usual(evidence, losses, rows, hedges)
    if prefer == "cost":
        choice = _cheapest(evidence, losses, rows)
        costs = dict(zip((found.rung for found in evidence), _costs(evidence), strict=True))
        level = [found for found in evidence if found is best or not compare(found, best).better]
        kept = min(level, key=lambda found: costs[found.rung])
    comparisons = [compare(other, kept) for other in evidence if other is not kept]
    corrected, corrected_loss = _corrected(kept, evidence, losses, rows, choice, seed)
    reached = kept.reaches(target, corrected)
    higher = [rung for rung in rungs[places[-1] + 1 :] if rung.name not in skipped]
    free = bool(higher) and any(found.rung in higher[0].reads for found in evidence)
    next_rung = higher[0].name if higher and (free or not reached) else None
    words = next((found for found in evidence if found.rung == WORDS), None)
    means = dict(zip((found.rung for found in evidence), losses.mean(axis=1), strict=True))
    why = reason(
        Verdict(
            kept=kept,
            best=best,
            second=min((found for found in evidence if found is not kept), key=lambda f: means[f.rung], default=None),
            losses={name: float(mean) for name, mean in means.items()},
            rows=len(rows),
            corrected=corrected,
            versus_best=next((one for one in comparisons if one.below == best.rung), None),
            prefers_cost=prefer == "cost",
            hedges=kept.rung in hedges,
            words=words,
            target=target,
            candidates=len(evidence),
            skipped={rung: skipped[rung.name] for rung in rungs if rung.name in skipped},
            unneeded=() if next_rung is not None else tuple(higher),
        )
    )
    return Decision(
        rung=kept.rung,
        target=target,
        reached=reached,
        next_rung=next_rung,
        evidence=cast(tuple[LabelEvidence | NumberEvidence, ...], tuple(evidence)),
        comparisons=tuple(comparisons),
        skipped={name: found.why.en for name, found in skipped.items()},
        seconds=sum(found.seconds for found in evidence),
        reason=why.en,
        reason_zh=why.zh,
        prefer=prefer,
        corrected=corrected,
        corrected_loss=corrected_loss,
        words=None if words is None else words.headline,
    )


def _table(values: Sequence[Sequence[float]], evidence: Sequence[Evidence], rows: Sequence[int]) -> FloatArray:
    """Values of each rung at the rows that all were asked, shape [rungs, rows]."""
    by_row = [dict(zip(found.rows, of_one, strict=True)) for found, of_one in zip(evidence, values, strict=True)]
    return np.array([[of_one[row] for row in rows] for of_one in by_row])


def _costs(evidence: Sequence[Evidence]) -> list[float]:
    """Of answering, where every rung tells it; else a rung costs more than those below it."""
    told = [found.seconds_per_1000 for found in evidence]
    if any(cost is None for cost in told):
        return [float(place) for place in range(len(told))]
    return [cost for cost in told if cost is not None]


def _cheapest(evidence: Sequence[Evidence], losses: FloatArray, rows: Sequence[int]) -> Choice:
    """The rule of `prefer="cost"` for many draws of rows at once."""
    return cheapest_within_noise(losses, _contests(evidence, rows), _costs(evidence))


def _usual(evidence: Sequence[Evidence], losses: FloatArray, rows: Sequence[int], hedges: Set[str]) -> Choice:
    """The rule of `prefer="accuracy"` for many draws of rows at once."""
    for place, found in enumerate(evidence):
        if found.rung in hedges:
            return unless_beaten(losses, _contests(evidence, rows), place)
    return smallest_loss(losses)


def _contests(evidence: Sequence[Evidence], rows: Sequence[int]) -> list[Contest]:
    """The criteria that all rungs tell, at the rows that all were asked."""
    criteria = [{one.name: one for one in found.criteria} for found in evidence]
    contests = []
    for name, first in criteria[0].items():
        if all(name in told for told in criteria):
            values = _table([told[name].values for told in criteria], evidence, rows)
            reach = max(told[name].reach or 0.0 for told in criteria)
            contests.append(Contest(values, first.level, reach))
    return contests


def _corrected(
    kept: Evidence, evidence: Sequence[Evidence], losses: FloatArray, rows: Sequence[int], choice: Choice, seed: int
) -> tuple[Figure, Figure]:
    """Headline and loss of what would be kept, on rows that had no say in it."""
    outcomes = _table([found.outcomes for found in evidence], evidence, rows)
    if len(evidence) == 1 or len(rows) == 1:  # nothing to choose, or nothing to hold out
        place = list(evidence).index(kept)
        figures = outcomes[place], losses[place]
    else:
        weights = fold_weights(len(rows), seed=seed)
        figures = held_out_choice(choice, outcomes, weights), held_out_choice(choice, losses, weights)
    loss = mean_interval(figures[1], reach=kept.loss.reach or 1.0, least=0.0)
    return kept.headline_of(figures[0]), Figure.of(loss)
