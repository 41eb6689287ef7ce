"""What attacks did, with a defence and without one, as figures with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fewshot_llm.attacks.catalog import AttackSet
from fewshot_llm.attacks.measure import Attacked
from fewshot_llm.evaluation.circumstances import AttackFigures
from fewshot_llm.evaluation.intervals import Interval, difference_interval, estimand, share_interval

__all__ = ["AttackReport", "compare"]

_Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class AttackReport:
    """Two classifiers under the same attacks: one without a defence, one with.

    Attributes:
        attacks: what was tried.
        defence: the defence's name.
        undefended: one per seed (draw of the support set), all on the same rows.
        defended: the same, in the same order.
    """

    attacks: AttackSet
    defence: str
    undefended: Sequence[Attacked]
    defended: Sequence[Attacked]

    def to_json(self) -> dict[str, Any]:
        """The `attacks` section of a result.

        A flip is a label that an attack changed; `targeted` are those to the label it aimed at. All intervals are over
        rows: the attacks on a row, and its answers with several support sets, are not independent. `estimand` says
        what they are for: these support sets on new rows, or new support sets too (from five on).
        """
        halves = {attack.half for attack in self.attacks.attack}
        return {
            "version": self.attacks.version,
            "defence": self.defence,
            "rows": len(self.undefended[0].targets),
            "seeds": len(self.undefended),
            "estimand": estimand(len(self.undefended)),
            "undefended": self._side(self.undefended, None),
            "defended": self._side(self.defended, None),
            "clean_accuracy_change": _figures(self._accuracy_change()),
            "halves": {half: {name: self._side(side, half) for name, side in self._sides()} for half in sorted(halves)},
            "by_attack": [self._row(position) for position in range(len(self.attacks.attack))],
        }

    def figures(self) -> tuple[AttackFigures, ...]:
        """The `attacks` of an `Evaluation`, for its report: each kind of attack without the defence, then with it."""
        kinds = dict.fromkeys(attack.kind for attack in self.attacks.attack)
        sides = ((self.undefended, ""), (self.defended, f" ({self.defence})"))
        return tuple(self._kind(kind, runs, named) for kind in kinds for runs, named in sides)

    def _kind(self, kind: str, runs: Sequence[Attacked], named: str) -> AttackFigures:
        chosen = [at for at, attack in enumerate(self.attacks.attack) if attack.kind == kind]
        flips = [(run, at, row) for run in runs for at in chosen for row in np.flatnonzero(_flips(run)[at])]
        run, at, row = next((flip for flip in flips if flip[0].texts), (None, 0, 0))
        return AttackFigures(
            name=kind + named,
            rows=sum(run.said[chosen].size for run in runs),
            flipped=len(flips),
            accuracy_before=float(np.mean([run.clean == run.targets for run in runs])),
            accuracy_after=float(np.mean([run.said[chosen] == run.targets for run in runs])),
            before="" if run is None else run.texts[row],
            after="" if run is None else run.attacked[at][row],
        )

    def _sides(self) -> list[tuple[str, Sequence[Attacked]]]:
        return [("undefended", self.undefended), ("defended", self.defended)]

    def _side(self, runs: Sequence[Attacked], half: str | None) -> dict[str, Any]:
        chosen = [at for at, attack in enumerate(self.attacks.attack) if half in (None, attack.half)]

        def mean(flags: Callable[[Attacked], _Flags]) -> Interval:
            return share_interval(np.stack([flags(run)[chosen].mean(axis=0) for run in runs]))

        flips, targeted = mean(_flips), mean(lambda run: _flips(run) & (run.said == run.aims))
        attacked = mean(lambda run: run.said == run.targets)
        clean = share_interval(np.stack([run.clean == run.targets for run in runs]))
        return {
            "flip_rate": round(flips.value, 4),
            "low": round(flips.low, 4),
            "high": round(flips.high, 4),
            "targeted": _figures(targeted),
            "accuracy_clean": _figures(clean),
            "accuracy_attacked": _figures(attacked),
        }

    def _accuracy_change(self) -> Interval:
        """Accuracy on clean rows with the defence minus without, row by row."""
        change = [
            (defended.clean == defended.targets).astype(float) - (plain.clean == plain.targets)
            for plain, defended in zip(self.undefended, self.defended, strict=True)
        ]
        return difference_interval(np.stack(change))

    def _row(self, position: int) -> dict[str, Any]:
        attack = self.attacks.attack[position]
        plain, defended = (np.stack([_flips(run)[position] for run in side]) for _, side in self._sides())
        found = share_interval(plain)
        return {
            "name": attack.name,
            "kind": attack.kind,
            "language": attack.language,
            "half": attack.half,
            "flip_rate": round(found.value, 4),
            "low": round(found.low, 4),
            "high": round(found.high, 4),
            "defended_flip_rate": round(float(defended.mean()), 4),
        }


def compare(
    attacks: AttackSet, defence: str, undefended: Sequence[Attacked], defended: Sequence[Attacked]
) -> AttackReport:
    """Put runs side by side.

    Raises:
        ValueError: the two sides have other seeds, rows or attacks.
    """
    shapes = {run.said.shape for run in (*undefended, *defended)}
    wanted = {(len(attacks.attack), len(undefended[0].targets))} if undefended else set()
    if len(undefended) != len(defended) or shapes != wanted:
        raise ValueError(f"both sides need the same seeds, attacks and rows; got shapes {shapes}")
    return AttackReport(attacks, defence, tuple(undefended), tuple(defended))


def _flips(run: Attacked) -> _Flags:
    flips: _Flags = run.said != run.clean
    return flips


def _figures(interval: Interval) -> dict[str, float]:
    return {name: round(getattr(interval, name), 4) for name in ("value", "low", "high")}
