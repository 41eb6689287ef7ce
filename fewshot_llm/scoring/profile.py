"""What a scoring run cost: tokens asked for, tokens computed, seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fewshot_llm.scoring.encoding import Encoded

__all__ = ["Profile", "asked_tokens"]


@dataclass(frozen=True)
class Profile:
    """Counts of scoring; add two to join them, subtract an earlier one to see what came since.

    Attributes:
        rows: prompts scored.
        asked: tokens that one full pass per prompt and label would run.
        computed: tokens that were run.
        passes: forward passes.
        positions: positions at which the output head was applied.
        encode_seconds: time to tokenise.
        model_seconds: time in the model's body and head.
    """

    rows: int = 0
    asked: int = 0
    computed: int = 0
    passes: int = 0
    positions: int = 0
    encode_seconds: float = 0.0
    model_seconds: float = 0.0

    def __add__(self, other: Profile) -> Profile:
        return Profile(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def __sub__(self, earlier: Profile) -> Profile:
        return Profile(*(getattr(self, name) - getattr(earlier, name) for name in self.__dataclass_fields__))

    @property
    def reuse(self) -> float:
        """Tokens asked for per token computed."""
        return self.asked / self.computed if self.computed else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Computed tokens per second in the model."""
        return self.computed / self.model_seconds if self.model_seconds else 0.0


def asked_tokens(rows: Sequence[Encoded]) -> int:
    """Tokens that one full forward pass per prompt and answer would run."""
    return sum(len(row.context) * len(row.answers) + sum(map(len, row.answers)) for row in rows)
