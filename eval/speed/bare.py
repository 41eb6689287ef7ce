"""The limit: a bare forward pass of the model's body over as many tokens, in the batch shape that suits it best."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch

from fewshot_llm.models import LanguageModel
from fewshot_llm.scoring import causal_network

__all__ = ["SHAPES", "bare_forward", "best_shape"]

SHAPES = ((1, 256), (1, 512), (1, 1024), (2, 256), (4, 256), (8, 128), (8, 64))
"""Rows × tokens that are tried."""

SHARE = 4
"""A quarter of the tokens is run and the time multiplied: the bare passes are all alike."""


def best_shape(model: LanguageModel) -> tuple[int, int]:
    """The shape with the most tokens per second here and now."""
    return min(SHAPES, key=lambda shape: min(_per_token(model, shape) for _ in range(3)))


def _per_token(model: LanguageModel, shape: tuple[int, int]) -> float:
    ids = torch.randint(5, 1000, shape, generator=torch.Generator().manual_seed(0), device="cpu").to(model.device)
    body = causal_network(model.model).base_model
    with torch.inference_mode():
        began = perf_counter()
        body(input_ids=ids, use_cache=False)
    return (perf_counter() - began) / ids.numel()


def bare_forward(model: LanguageModel, tokens: int, shape: tuple[int, int]) -> Callable[[], float]:
    """A callable that gives the seconds which `tokens` tokens take in passes of `shape`."""
    passes = max(1, round(tokens / SHARE / (shape[0] * shape[1])))

    def work() -> float:
        return sum(_per_token(model, shape) for _ in range(passes)) / passes * tokens

    return work
