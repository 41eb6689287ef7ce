"""The estimators' labelled texts, and evidence that is quick to make."""

from __future__ import annotations

from fewshot_llm.ladder import Figure, LabelEvidence
from fewshot_llm.stats import brier_scores, row_losses
from tests.conftest import reviews

__all__ = ["bare", "reviews"]


def bare(rung, probabilities, targets):
    """Evidence without the figures that only people read: their intervals are a thousand times as slow to make."""
    unread = Figure(value=0.0, low=0.0, high=0.0)
    return LabelEvidence(
        rung=rung,
        rows=tuple(range(len(targets))),
        right=tuple((probabilities.argmax(axis=1) == targets).tolist()),
        losses=tuple(row_losses(targets, probabilities).tolist()),
        briers=tuple(brier_scores(targets, probabilities).tolist()),
        accuracy=unread,
        macro_f1=unread,
        log_loss=unread,
        calibration_error=unread,
        seconds=1.0,
    )
