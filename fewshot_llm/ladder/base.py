"""What a rung is: a way of getting a predictor, proposed with its answers to rows that it did not see."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from fewshot_llm.data import Problem, SupportSet, folds
from fewshot_llm.errors import TuningError
from fewshot_llm.ladder.evidence import Evidence
from fewshot_llm.types import FloatArray, Folds, Text

if TYPE_CHECKING:  # these load torch, and a report of a decision needs none
    from fewshot_llm.predictors.prompted import Inference
    from fewshot_llm.predictors.resources import Resources
    from fewshot_llm.training.cross_fit import FoldReport
    from fewshot_llm.training.recipe import Recipe
    from fewshot_llm.training.trainer import EpochReport

__all__ = ["Candidate", "Climb", "Ladder", "LadderCallbacks", "Measured", "Prefer", "Rung", "Skipped", "check_target"]


@dataclass(frozen=True)
class Skipped:
    """A rung that was not measured.

    Attributes:
        why: the end of the sentence "it was not measured: …".
    """

    why: Text


Measured: TypeAlias = Evidence | Skipped
Prefer: TypeAlias = Literal["accuracy", "cost"]


@dataclass(frozen=True)
class Candidate:
    """What a rung proposes.

    Attributes:
        evidence: its figures on the support rows, each answered by a predictor that did not see it.
        out_of_fold: those answers: calibrated log P(label | text) in nats, shape [rows, labels], or numbers, [rows].
        build: makes the predictor, fitted on all rows; called once, if the rung is kept.
    """

    evidence: Evidence
    out_of_fold: FloatArray = field(repr=False)
    build: Callable[[], Any] = field(repr=False)


class Rung(ABC):
    """A way of getting a predictor. A new one is a subclass and a place in the list that is climbed.

    Attributes:
        name: how evidence, decisions and result files call it.
        title: how people read it.
        reads: names of rungs whose scores it reads. It costs no model time after them, so it is measured along with
            them, whether the target is reached or not.
        hedges: whether it is made of the others, so that it is kept unless one of them is better by more than noise.

    Example:
        A rung that always answers with the support set's shares::

            class Shares(Rung):
                name, title = "shares", Text("shares", "占比")

                def propose(self, climb):
                    ...
                    return Candidate(evidence, log_probabilities, build)

            FewShotClassifier(ladder=Ladder(rungs=(Shares(), *LABEL_RUNGS)))
    """

    name: ClassVar[str]
    title: ClassVar[Text]
    reads: ClassVar[tuple[str, ...]] = ()
    hedges: ClassVar[bool] = False

    @abstractmethod
    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Measure it on the support rows, out of fold; or say why that cannot be done.

        Args:
            climb: the support set, the budget, and what the rungs below have proposed.
        """


@dataclass(frozen=True)
class Ladder:
    """How far to climb.

    Attributes:
        target: the accuracy that is good enough, in (0, 1].
        recipe: LoRA settings, or the name or path of a recipe; None chooses by the numbers of labels and rows.
        budget_minutes: wall time for all measuring and training together; None for no limit.
        seed: the only source of chance.
        rungs: from the cheapest to the most expensive; None for those of `fewshot_llm.ladder.LABEL_RUNGS`.
        prefer: `accuracy` keeps the best; `cost` the cheapest that is not worse than the best beyond noise.

    Raises:
        TuningError: a target outside (0, 1], a budget that is not positive, two rungs of one name, or what is none.

    >>> Ladder(target=0.9).target
    0.9
    """

    target: float = 0.9
    recipe: str | Recipe | None = None
    budget_minutes: float | None = None
    seed: int = 0
    rungs: tuple[Rung, ...] | None = None
    prefer: Prefer = "accuracy"

    def __post_init__(self) -> None:
        check_target(self.target)
        if self.budget_minutes is not None and not self.budget_minutes > 0:
            raise TuningError(f"The budget is {self.budget_minutes} minutes; expected more than 0.")
        if self.rungs is None:
            return
        for rung in self.rungs:
            _require_rung(rung)
        names = [rung.name for rung in self.rungs]
        if len(set(names)) < len(names) or not names:
            raise TuningError(f"The rungs are {', '.join(names) or 'none'}; expected at least one, each once.")


def _require_rung(rung: Any) -> None:
    if not isinstance(rung, Rung):
        raise TuningError(f"{rung!r} is no rung; expected an object of a subclass of fewshot_llm.ladder.Rung.")
    name, title = getattr(rung, "name", None), getattr(rung, "title", None)
    if not isinstance(name, str) or not name.strip() or not isinstance(title, Text):
        raise TuningError(
            f"The rung {type(rung).__name__} has the name {name!r} and the title {title!r}; expected a text, and "
            'Text("in English", "中文").'
        )


@dataclass(frozen=True)
class LadderCallbacks:
    """Called while the ladder is climbed; each may be left out.

    Attributes:
        rung: before a rung is measured, with its name.
        measured: with its evidence, or the reason why there is none.
        fold: after each epoch of a fold.
        epoch: after each epoch of the final training.
    """

    rung: Callable[[str], None] = lambda rung: None
    measured: Callable[[str, Measured], None] = lambda rung, found: None
    fold: Callable[[FoldReport], None] = lambda report: None
    epoch: Callable[[EpochReport], None] = lambda report: None


@dataclass
class Climb:
    """One way up the ladder: what every rung may look at.

    Attributes:
        resources: the problem, and the models that may be used for it.
        seed: the only source of chance.
        budget_minutes: wall time for everything; None for no limit.
        recipe: LoRA settings as the user gave them.
        callbacks: told what happens.
        checkpoints: a folder from which an unfinished final training goes on.
        candidates: what the rungs below have proposed, in order.
    """

    resources: Resources
    seed: int = 0
    budget_minutes: float | None = None
    recipe: str | Recipe | None = None
    callbacks: LadderCallbacks = field(default_factory=LadderCallbacks)
    checkpoints: Path | None = None
    candidates: list[Candidate] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    @property
    def problem(self) -> Problem:
        """Task, language and labelled rows."""
        return self.resources.problem

    @property
    def support(self) -> SupportSet:
        """The labelled rows."""
        return self.resources.problem.support

    @property
    def inference(self) -> Inference:
        """What is asked of the language model where no rung decides otherwise; it is loaded when first asked for."""
        return self.resources.inference

    @property
    def seconds_left(self) -> float | None:
        """Of the budget; None without one."""
        if self.budget_minutes is None:
            return None
        return max(0.0, self.budget_minutes * 60 - (time.perf_counter() - self.started))

    def folds(self, most: int) -> Folds:
        """Stratified folds of the support rows, at most so many and at most as many as the rarest class has rows."""
        rarest = min(len(rows) for rows in self.support.by_label().values())
        return folds(self.support, max(2, min(most, rarest)), self.seed)


def check_target(target: float) -> float:
    """Refuse a target that no accuracy can reach, or that any reaches.

    Raises:
        TuningError: outside (0, 1].
    """
    if not 0 < target <= 1:
        raise TuningError(f"The target is {target}; expected an accuracy above 0 and at most 1, for example 0.9.")
    return target
