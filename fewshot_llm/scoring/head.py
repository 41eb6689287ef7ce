"""From hidden states to log-probabilities, only at the positions and for the tokens that are asked for.

At a vocabulary of 150,000 to 262,144 tokens the output head costs more than the rest of a small model, so hidden
states are gathered first and the head is applied in slices of bounded memory.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["causal_network", "finished_logits", "token_log_probs", "vocabulary_logits"]

HEAD_BYTES = 64 * 2**20
"""Logits held at once, bytes."""


def causal_network(model: Any) -> Any:
    """The `transformers` causal model inside a `peft.PeftModel` (its layers keep the adapter), or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def vocabulary_logits(network: Any, hidden: torch.Tensor) -> torch.Tensor:
    """Logits over the whole vocabulary as the network's own forward computes them, in float32.

    Args:
        network: a `transformers` causal model.
        hidden: last hidden states after the final norm, shape [..., width].

    Returns:
        Shape [..., vocabulary], float32.
    """
    return finished_logits(network, network.get_output_embeddings()(hidden))


def finished_logits(network: Any, products: torch.Tensor) -> torch.Tensor:
    """What the network's own forward makes, element by element, of the output head's products; float32."""
    logits = products.float()
    config = network.config.get_text_config()
    if (divisor := getattr(config, "logits_scaling", None)) is not None:  # Granite
        logits = logits / divisor
    if (factor := getattr(config, "logit_scale", None)) is not None:  # Cohere
        logits = logits * factor
    if (cap := getattr(config, "final_logit_softcapping", None)) is not None:  # Gemma 2
        logits = torch.tanh(logits / cap) * cap
    return logits


def token_log_probs(network: Any, hidden: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Log P(token | everything before) for chosen pairs of position and token.

    The normaliser runs over the whole vocabulary: a log-probability of a label with several tokens cannot do
    without it.

    Args:
        network: a `transformers` causal model.
        hidden: last hidden states, shape [positions, width].
        rows: which position each pair reads, ascending, shape [pairs].
        tokens: which token each pair asks for, shape [pairs].

    Returns:
        Natural logarithms, shape [pairs], float32.
    """
    out = torch.empty(len(rows), dtype=torch.float32, device=hidden.device)
    vocabulary = network.get_output_embeddings().weight.shape[0]
    step = max(1, HEAD_BYTES // (4 * vocabulary))
    for start in range(0, len(hidden), step):
        first, last = torch.searchsorted(rows, torch.tensor([start, start + step], device=rows.device)).tolist()
        logits = vocabulary_logits(network, hidden[start : start + step])
        normaliser = torch.logsumexp(logits, dim=-1)
        own = rows[first:last] - start
        out[first:last] = logits[own, tokens[first:last]] - normaliser[own]
    return out
