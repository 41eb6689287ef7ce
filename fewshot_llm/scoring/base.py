"""What every scorer takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # `prompting` imports this module
    from fewshot_llm.prompting.prompt import Prompt

__all__ = ["FloatArray", "LabelScores", "Progress", "Scorer", "TopLabels"]

FloatArray: TypeAlias = npt.NDArray[np.float64]

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (rows finished, rows in all)."""


@dataclass(frozen=True)
class LabelScores:
    """The scores of one prompt's answers.

    Attributes:
        log_probs: natural log P(answer | prompt) summed over the answer's tokens, shape [labels].
        token_counts: how many tokens each sum runs over, shape [labels].
    """

    log_probs: FloatArray
    token_counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class TopLabels:
    """The exactly best answers of one prompt, best first.

    Attributes:
        indices: positions in `Prompt.answers`, best first, length k.
        scores: their log P(answer | prompt) plus their offset, nats.
        bound: no answer outside `indices` has a score above this (-inf when there is none).
    """

    indices: tuple[int, ...]
    scores: tuple[float, ...]
    bound: float


class Scorer(Protocol):
    """Anything that scores answers: the slow reference, the token tree, a remote server."""

    @property
    def fingerprint(self) -> str:
        """Names everything that may change a score: model, revision, adapter, dtype."""
        ...

    def log_probs(self, prompts: Sequence[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        """Scores of all answers of all prompts, in input order."""
        ...

    def best(
        self,
        prompts: Sequence[Prompt],
        k: int = 1,
        progress: Progress | None = None,
        offsets: Sequence[float] | None = None,
    ) -> list[TopLabels]:
        """The exactly best k answers of each prompt by log P(answer | prompt) + offset, in input order.

        Args:
            prompts: all with the same number of answers where there are offsets.
            k: how many answers each.
            progress: told of the rows that are finished.
            offsets: nats added to each answer's log-probability, a calibration's bias for example; none are 0.
        """
        ...
