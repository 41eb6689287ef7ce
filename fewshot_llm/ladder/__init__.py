"""The ladder: rungs from cheap to costly, the evidence of each, and the decision between them.

Names are imported when they are first used: to read a decision needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewshot_llm.ladder.base import Candidate, Climb, Ladder, LadderCallbacks, Rung, Skipped, check_target
    from fewshot_llm.ladder.climb import LadderResult, check_support, climb_rungs, run_ladder
    from fewshot_llm.ladder.decision import Decision, decide
    from fewshot_llm.ladder.evidence import Evidence, LabelEvidence, NumberEvidence, label_evidence, number_evidence
    from fewshot_llm.ladder.rungs import LABEL_RUNGS

__all__ = [
    "LABEL_RUNGS",
    "Candidate",
    "Climb",
    "Decision",
    "Evidence",
    "LabelEvidence",
    "Ladder",
    "LadderCallbacks",
    "LadderResult",
    "NumberEvidence",
    "Rung",
    "Skipped",
    "check_support",
    "check_target",
    "climb_rungs",
    "decide",
    "label_evidence",
    "number_evidence",
    "run_ladder",
]

_HOMES = {
    "Candidate": "fewshot_llm.ladder.base",
    "Climb": "fewshot_llm.ladder.base",
    "Decision": "fewshot_llm.ladder.decision",
    "Evidence": "fewshot_llm.ladder.evidence",
    "LABEL_RUNGS": "fewshot_llm.ladder.rungs",
    "LabelEvidence": "fewshot_llm.ladder.evidence",
    "Ladder": "fewshot_llm.ladder.base",
    "LadderCallbacks": "fewshot_llm.ladder.base",
    "LadderResult": "fewshot_llm.ladder.climb",
    "NumberEvidence": "fewshot_llm.ladder.evidence",
    "Rung": "fewshot_llm.ladder.base",
    "Skipped": "fewshot_llm.ladder.base",
    "check_support": "fewshot_llm.ladder.climb",
    "check_target": "fewshot_llm.ladder.base",
    "climb_rungs": "fewshot_llm.ladder.climb",
    "decide": "fewshot_llm.ladder.decision",
    "label_evidence": "fewshot_llm.ladder.evidence",
    "number_evidence": "fewshot_llm.ladder.evidence",
    "run_ladder": "fewshot_llm.ladder.climb",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
