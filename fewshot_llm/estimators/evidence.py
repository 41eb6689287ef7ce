"""What a calibration method may ask of a classifier that is being fitted, scored when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fewshot_llm.calibration import IntArray
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.estimators.out_of_fold import score_held_out
from fewshot_llm.scoring.base import FloatArray

__all__ = ["DrawEvidence"]


@dataclass(frozen=True)
class DrawEvidence:
    """The `Evidence` of one draw of demonstrations.

    Attributes:
        inference: what will be served.
        draw: which draw.
    """

    inference: Inference
    draw: int = 0

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return len(self.inference.builder.labels)

    def held_out(self) -> tuple[FloatArray, IntArray]:
        """See `Evidence.held_out`."""
        found = score_held_out(self.inference, self.draw)
        return found.scores, found.targets

    def unlabelled(self, texts: Sequence[str]) -> FloatArray:
        """See `Evidence.unlabelled`."""
        queries = [self.inference.query(text) for text in texts]
        return self.inference.score_prompts(self.inference.prompts(queries, self.draw), self.draw)
