"""What every scorer takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from fewshot_llm.errors import ScoringError
from fewshot_llm.types import FloatArray, Progress

if TYPE_CHECKING:
    from fewshot_llm.models.load import LanguageModel
    from fewshot_llm.prompting.prompt import Prompt

__all__ = ["LabelScores", "LocalScorer", "Scorer", "TopLabels", "local_model", "require_local"]


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


@runtime_checkable
class LocalScorer(Protocol):
    """What a scorer has besides where its model runs in this process."""

    @property
    def language_model(self) -> LanguageModel:
        """The model that it asks."""
        ...


def local_model(scorer: Scorer) -> LanguageModel | None:
    """The model behind a scorer; None where it runs elsewhere, or the scorer has none."""
    return scorer.language_model if isinstance(scorer, LocalScorer) else None


def require_local(scorer: Scorer) -> LanguageModel:
    """The model behind a scorer.

    Raises:
        ScoringError: it runs elsewhere, or the scorer has none.
    """
    model = local_model(scorer)
    if model is None:
        raise ScoringError(
            "This needs a model in this process, and the scorer has none: it asks a server, or it is your own. Give an "
            "embedded model's name, a folder or a LanguageModel."
        )
    return model
