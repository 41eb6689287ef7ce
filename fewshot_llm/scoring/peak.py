"""What a scoring run reached of what the machine can do."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch

from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.scoring.head import causal_network
from fewshot_llm.scoring.profile import Profile

__all__ = ["body_flops", "describe_profile", "matrix_peak"]

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
