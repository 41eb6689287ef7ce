"""What a scoring run cost: tokens asked for, tokens computed, seconds.

What a scoring run reached of what the machine can do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from fewshot_llm.models.load import LanguageModel
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.head import causal_network

__all__ = ["Profile", "asked_tokens", "body_flops", "describe_profile", "matrix_peak"]


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


SIDE = 1536
TRIALS = 6


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, the best of a few; takes about a second."""
    a, b = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(TRIALS + 1):
        began = perf_counter()
        (a @ b)[0, 0].item()  # reading an element waits for the device
        best = min(best, perf_counter() - began)
    return 2 * SIDE**3 / best


def body_flops(network: Any) -> int:
    """Operations per token in the matrices of the model's body: 2 per weight, embeddings and head left out."""
    outside = {id(network.get_input_embeddings().weight), id(network.get_output_embeddings().weight)}
    weights: int = sum(p.numel() for p in network.parameters() if p.ndim == 2 and id(p) not in outside)
    return 2 * weights


def describe_profile(profile: Profile, language_model: LanguageModel) -> dict[str, float]:
    """A run's figures with the machine's limit beside them.

    Args:
        profile: what the run cost.
        language_model: what it ran.

    Returns:
        Tokens asked for and computed, the reuse factor, tokens per second, seconds, the matrix peak in GFLOP/s as
        measured now, and the share of it that the run reached (body and head; attention not counted).
    """
    network = causal_network(language_model.model)
    head = 2 * network.get_output_embeddings().weight.numel()
    flops = profile.computed * body_flops(network) + profile.positions * head
    peak = matrix_peak(language_model.device, language_model.dtype)
    return {
        "tokens_asked": profile.asked,
        "tokens_computed": profile.computed,
        "reuse": round(profile.reuse, 2),
        "tokens_per_second": round(profile.tokens_per_second, 1),
        "tokenise_seconds": round(profile.encode_seconds, 3),
        "model_seconds": round(profile.model_seconds, 3),
        "passes": profile.passes,
        "matrix_peak_gflops": round(peak / 1e9, 1),
        "share_of_peak": round(flops / peak / profile.model_seconds, 6) if profile.model_seconds else 0.0,
    }
