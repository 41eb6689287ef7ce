"""log P(token) with gradients to the hidden states, without ever holding the vocabulary's logits.

`scoring.head` does this for inference. Training needs gradients too, and keeping a row of 150 to 260 thousand
logits per scored place for the backward pass would take more memory than everything else. The head is frozen, so
the only gradient it owes is that of the normaliser with respect to the hidden state: one vector per place. It is
computed in the forward pass, a slice of the vocabulary at a time (the idea of Cut Cross-Entropy, Wijmans et al. 2024,
https://arxiv.org/abs/2411.09009). A slice's vectors serve its logits and, while they are still in the processor's
cache, the gradient; the sums so far are scaled down when a higher logit turns up (Milakov and Gimelshein 2018, "Online
normalizer calculation for softmax", https://arxiv.org/abs/1805.02867).
"""

from __future__ import annotations

from typing import Any

import torch

from fewshot_llm.models.products import product_of
from fewshot_llm.scoring.head import finished_logits, token_logits, vocabulary_slices

__all__ = ["token_log_probs"]


class _LogNormaliser(torch.autograd.Function):
    """log sum exp of the whole vocabulary's logits, shape [s, width] -> [s]."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, network: Any) -> torch.Tensor:
        head = network.get_output_embeddings()
        multiply = product_of(head) or torch.nn.functional.linear
        highest = hidden.new_full((len(hidden),), float("-inf"), dtype=torch.float32)
        total, slope = torch.zeros_like(highest), torch.zeros_like(hidden, dtype=torch.float32)
        for weight, bias in vocabulary_slices(head, hidden):
            products = multiply(hidden, weight, bias).requires_grad_()
            with torch.enable_grad():
                logits = finished_logits(network, products)
            before, highest = highest, torch.maximum(highest, logits.detach().amax(dim=1))
            kept = torch.exp(before - highest)
            share = torch.exp(logits.detach() - highest[:, None])
            total = total * kept + share.sum(dim=1)
            (by_product,) = torch.autograd.grad(logits, products, share)
            slope = slope * kept[:, None] + multiply(by_product, weight.T, None)
        ctx.save_for_backward((slope / total[:, None]).to(hidden.dtype))
        return highest + torch.log(total)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (slopes,) = ctx.saved_tensors
        return (gradients[0][:, None] * slopes).to(slopes.dtype), None


def token_log_probs(network: Any, hidden: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """`scoring.head.token_log_probs` with a gradient to `hidden`.

    Args:
        network: a `transformers` causal model whose output head is frozen.
        hidden: last hidden states, one per scored place, shape [s, width].
        rows: which place each pair reads, shape [t].
        tokens: which token each pair asks for, shape [t].

    Returns:
        Natural logarithms, shape [t], float32.
    """
    normalisers: torch.Tensor = _LogNormaliser.apply(hidden, network)  # type: ignore[no-untyped-call]
    return token_logits(network, hidden[rows], tokens) - normalisers[rows]
