"""What a calibration method may ask of a classifier that is being fitted, scored when it is asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fewshot_llm.calibration import Calibration, CalibrationMethod, IntArray
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.estimators.out_of_fold import score_held_out
from fewshot_llm.scoring.base import FloatArray

__all__ = ["DrawEvidence", "calibrate"]


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


def calibrate(
    inference: Inference, method: CalibrationMethod, draws: int, adapter: str | os.PathLike[str] | None = None
) -> tuple[Calibration, ...]:
    """One calibration per draw of demonstrations.

    Args:
        inference: what will be served.
        method: how it is estimated.
        draws: how many draws are averaged.
        adapter: the adapter's folder, where there is one. If it was trained on these very support rows, they are no
            evidence any more, and the calibration that was measured in training is taken.

    Raises:
        AdapterError: the adapter was trained on these rows with other prompts.
    """
    if adapter is not None:
        from fewshot_llm.estimators.adapter_folder import recorded_calibration

        recorded = recorded_calibration(Path(adapter), inference.builder, inference.support)
        if recorded is not None:
            return (recorded,) * draws
    return tuple(method.fit(DrawEvidence(inference, draw)) for draw in range(draws))
