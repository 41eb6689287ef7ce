"""`Prediction`: one text's label, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fewshot_llm.scoring.base import FloatArray

__all__ = ["Prediction"]


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one text.

    Attributes:
        label: the most probable label.
        probabilities: calibrated probability of every label, in the task's label order; they sum to 1.
        margin: the best probability minus the second best; 1 where there is one label.
        abstained: whether the label should not be acted upon without a human look.
        prompt_fingerprint: SHA-256 (hex) of what was scored; with several permutations, of all their prompts.
    """

    label: str
    probabilities: Mapping[str, float]
    margin: float
    abstained: bool
    prompt_fingerprint: str

    @property
    def probability(self) -> float:
        """Probability of `label`."""
        return self.probabilities[self.label]

    @classmethod
    def from_log_probabilities(
        cls, labels: Sequence[str], log_probabilities: FloatArray, prompt_fingerprint: str
    ) -> Prediction:
        """The prediction for one text.

        Args:
            labels: in the order of `log_probabilities`.
            log_probabilities: log P(label | text), nats, shape [labels].
            prompt_fingerprint: of the scored prompt.

        >>> Prediction.from_log_probabilities(["good", "bad"], np.log([0.75, 0.25]), "").margin
        0.5
        """
        p = np.exp(log_probabilities)
        order = np.argsort(-p, kind="stable")
        margin = float(p[order[0]] - p[order[1]]) if len(p) > 1 else 1.0
        probabilities = dict(zip(labels, p.tolist(), strict=True))
        return cls(labels[order[0]], probabilities, margin, abstained=False, prompt_fingerprint=prompt_fingerprint)
