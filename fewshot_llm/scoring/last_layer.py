"""The last layer, worked out only where it is read.

What the last layer makes of a token is seen by the output head alone: no other token attends to it. Most tokens of a
pass are not scored, so the parts of that layer that work on each token by itself run for the scored ones only, and
hand on zeros for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from fewshot_llm.models.decoder import decoder_layers

__all__ = ["last_layer_at"]


@contextmanager
def last_layer_at(network: Any, places: torch.Tensor) -> Iterator[None]:
    """Within it, the network's last hidden states [1, tokens, width] are right at `places`, and only there.

    Args:
        network: a `transformers` causal model.
        places: positions in the pass, shape [read].
    """
    with ExitStack() as stack:
        for part in _by_token(network):
            stack.enter_context(_only_at(part, places))
        yield


def _by_token(network: Any) -> Iterator[torch.nn.Module]:
    """The last layer's modules that see one token at a time."""
    layers = decoder_layers(network)
    last = layers[-1] if layers else None
    attention = getattr(last, "self_attn", None)
    for part in (getattr(attention, "q_proj", None), getattr(attention, "o_proj", None), getattr(last, "mlp", None)):
        if isinstance(part, torch.nn.Module):
            yield part


@contextmanager
def _only_at(part: torch.nn.Module, places: torch.Tensor) -> Iterator[None]:
    tokens: list[int] = []

    def pick(module: torch.nn.Module, inputs: tuple[Any, ...]) -> torch.Tensor | None:
        if len(inputs) != 1:  # Bloom's takes the residual too
            return None
        tokens.append(inputs[0].shape[1])
        picked: torch.Tensor = inputs[0][:, places.to(inputs[0].device)]
        return picked

    def put_back(module: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        if not tokens:
            return None
        found, *rest = output if isinstance(output, tuple) else (output,)  # experts may add their router's scores
        whole = found.new_zeros(found.shape[0], tokens.pop(), found.shape[2])
        whole[:, places.to(found.device)] = found
        return (whole, *rest) if isinstance(output, tuple) else whole

    before, after = part.register_forward_pre_hook(pick), part.register_forward_hook(put_back)
    try:
        yield
    finally:
        before.remove()
        after.remove()
