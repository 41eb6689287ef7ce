"""The toolkit's own ways to answer, as cells of a suite measure them: a fixed rung, or the ladder's choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from fewshot_llm.calibration import OutOfFold, Uncalibrated
from fewshot_llm.escalation import Decision, Escalation
from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.estimators.assemble import assemble
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.estimators.parts import model_record
from fewshot_llm.evaluation.suite_file import Method, Suite
from fewshot_llm.evidence import Rung
from fewshot_llm.ladder import Climbed, force_lora, run_ladder
from fewshot_llm.scoring.base import Scorer
from fewshot_llm.support import SupportSet
from fewshot_llm.task import Task

__all__ = ["METHODS", "Learned", "learn"]

METHODS: tuple[str, ...] = (*get_args(Rung), "ladder")


@dataclass(frozen=True)
class Learned:
    """A way to answer, after it has seen the support set.

    Attributes:
        answerer: answers.
        facts: what it says of itself, as JSON takes it.
    """

    answerer: Answerer
    facts: dict[str, Any]


def learn(
    method: Method, suite: Suite, task: Task, scorer: Scorer, language: str, support: SupportSet, seed: int
) -> Learned:
    """Show a method the support set, and nothing else.

    `zero-shot` and `in-context` take the scores as they are; `calibrated` fits a bias per label and a temperature on
    the support rows out of fold; `lora` trains whatever the evidence says; `ladder` decides.

    Args:
        method: which one.
        suite: demonstrations, target, recipe, budget.
        task: with its labels.
        scorer: of the model.
        language: of the prompt.
        support: the labelled rows of one draw.
        seed: of everything that is left to chance.

    Raises:
        FewshotError: the method does not fit the rows or the model.
    """
    rows = max(map(len, support.by_label().values()))
    shots = 0 if method == "zero-shot" else min(suite.demonstrations or rows, rows)
    calibration = OutOfFold() if method == "calibrated" else Uncalibrated()
    classifier = FewShotClassifier(task, scorer, shots=shots, calibration=calibration, language=language, seed=seed)
    facts: dict[str, Any] = {"model": model_record(scorer), "language": language}
    if method in ("zero-shot", "in-context", "calibrated"):
        classifier.fit_support(support)
        builder = classifier.answerer_.inference.builder
        return Learned(
            classifier.answerer_,
            facts
            | {"shots": shots, "demonstrations": classifier.demonstrations_.shown, "template": builder.template.name},
        )
    escalation = Escalation(target=suite.target, recipe=suite.recipe, budget_minutes=suite.budget_minutes, seed=seed)
    climb = run_ladder if method == "ladder" else force_lora
    climbed = climb(assemble(classifier, support), escalation)
    return Learned(climbed.answerer, facts | _climbed_facts(climbed))


def _climbed_facts(climbed: Climbed) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "rung": climbed.decision.rung,
        "template": climbed.answerer.inference.builder.template.name,
        "decision": _decision_facts(climbed.decision),
    }
    if climbed.tuned is not None:
        facts["training"] = {
            "losses": [round(loss, 5) for loss in climbed.tuned.fitted.losses],
            "accuracy": climbed.tuned.fitted.accuracy,
            "seconds": round(climbed.tuned.fitted.seconds, 2),
        }
    return facts


def _decision_facts(decision: Decision) -> dict[str, Any]:
    """The decision without its rows: a suite keeps figures, and answers to test rows."""
    return decision.model_dump(mode="json", exclude={"evidence": {"__all__": {"rows", "right", "losses", "briers"}}})
