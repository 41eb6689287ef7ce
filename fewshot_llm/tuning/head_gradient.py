"""log P(token) with gradients to the hidden states, without ever holding the vocabulary's logits.

`scoring.head` does this for inference. Training needs gradients too, and keeping a row of 150 to 260 thousand
logits per scored place for the backward pass would take more memory than everything else. The head is frozen, so
the only gradient it owes is that of the normaliser with respect to the hidden state: one vector per place. It is
computed in the forward pass, a few places at a time, and the logits are dropped at once (the idea of Cut
Cross-Entropy, Wijmans et al. 2024, https://arxiv.org/abs/2411.09009).
"""

from __future__ import annotations

from typing import Any

import torch

from fewshot_llm.scoring.head import HEAD_BYTES, token_logits, vocabulary_logits

__all__ = ["token_log_probs"]


class _LogNormaliser(torch.autograd.Function):
    """log sum exp of the whole vocabulary's logits, shape [s, width] -> [s]."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, network: Any) -> torch.Tensor:
        step = max(1, HEAD_BYTES // (4 * network.get_output_embeddings().weight.shape[0]))
        totals: list[torch.Tensor] = []
        slopes: list[torch.Tensor] = []
        for block in torch.split(hidden, step):
            block = block.detach().requires_grad_(ctx.needs_input_grad[0])
            with torch.set_grad_enabled(ctx.needs_input_grad[0]):
                total = torch.logsumexp(vocabulary_logits(network, block), dim=-1)
                if ctx.needs_input_grad[0]:
                    slopes.extend(torch.autograd.grad(total.sum(), block))
            totals.append(total.detach())
        if slopes:
            ctx.save_for_backward(torch.cat(slopes))
        return torch.cat(totals)

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
