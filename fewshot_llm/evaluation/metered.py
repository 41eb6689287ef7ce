"""A scorer that adds up what its runs cost."""

from __future__ import annotations

from collections.abc import Sequence

from fewshot_llm.prompting.prompt import Prompt
from fewshot_llm.scoring.base import LabelScores, Progress, Scorer, TopLabels
from fewshot_llm.scoring.profile import Profile

__all__ = ["MeteredScorer"]


class MeteredScorer:
    """Passes everything on to another scorer and adds up its profiles, where it keeps any.

    Args:
        scorer: the scorer that does the work.

    Attributes:
        total: what all runs cost.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.total = Profile()

    @property
    def fingerprint(self) -> str:
        """The scorer's own."""
        return self.scorer.fingerprint

    def log_probs(self, prompts: Sequence[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        """See `Scorer.log_probs`."""
        found = self.scorer.log_probs(prompts, progress)
        self._add()
        return found

    def best(self, prompts: Sequence[Prompt], k: int = 1, progress: Progress | None = None) -> list[TopLabels]:
        """See `Scorer.best`."""
        found = self.scorer.best(prompts, k, progress)
        self._add()
        return found

    def _add(self) -> None:
        self.total += getattr(self.scorer, "profile", Profile())
