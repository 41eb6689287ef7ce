"""From hidden states to log-probabilities, only at the positions and for the tokens that are asked for.

At a vocabulary of 150,000 to 262,144 tokens the output head costs more than the rest of a small model, so hidden
states are gathered first, and the logits of all of them are summed up a slice of the vocabulary at a time (Milakov and
Gimelshein 2018, "Online normalizer calculation for softmax", https://arxiv.org/abs/1805.02867): a slice stays in the
processor's cache, and memory is bounded. Scoring and training share the sum; training gets its gradient as well.

The last layer is worked out only where the head reads it, too. What it makes of a token no other token attends to, and
most tokens of a pass are not scored: the parts of that layer that work on each token by itself run for the scored ones
only, and hand on zeros for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from fewshot_llm.models.linear import Product, product_of
from fewshot_llm.models.load import decoder_layers

__all__ = [
    "causal_network",
    "last_layer_at",
    "token_log_probs",
    "vocabulary_logits",
]

HEAD_BYTES = 64 * 2**20
"""Logits held at once, bytes."""

SLICE = 1536
"""Tokens of the vocabulary at a time on a CPU. Their vectors and logits stay in its cache, and every row of logits
begins at a multiple of 16: slices of 8 MiB and whatever width took half as long again."""

FEW = 256
"""Up to so many different tokens are worked out for all positions: fetching a vector for each pair takes longer."""

PAIRS = 4096
"""Pairs of position and token whose vectors are held at once."""


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
    return _finished_logits(network, network.get_output_embeddings()(hidden))


def _finished_logits(network: Any, products: torch.Tensor) -> torch.Tensor:
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


def _vocabulary_slices(
    head: torch.nn.Linear, hidden: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """The head's weight [tokens, width] and bias [tokens], slice by slice of the vocabulary.

    A slice suits the CPU's cache, or elsewhere the memory for logits of all of `hidden` [positions, width].
    """
    step = SLICE if hidden.device.type == "cpu" else max(1, HEAD_BYTES // (4 * max(1, len(hidden))))
    for start in range(0, len(head.weight), step):
        own = slice(start, start + step)
        yield head.weight[own], None if head.bias is None else head.bias[own]


def _token_logits(network: Any, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Logits of one token per hidden state: a dot product each, not a pass over the vocabulary.

    Args:
        network: a `transformers` causal model whose output head is a plain linear layer.
        hidden: last hidden states after the final norm, shape [t, width].
        tokens: token ids, shape [t].

    Returns:
        Shape [t], float32.
    """
    head = network.get_output_embeddings()
    products = (hidden.float() * head.weight[tokens].float()).sum(-1)
    if getattr(head, "bias", None) is not None:
        products = products + head.bias[tokens]
    return _finished_logits(network, products)


def token_log_probs(network: Any, hidden: torch.Tensor, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Log P(token | everything before) for chosen pairs of position and token.

    The normaliser runs over the whole vocabulary: a log-probability of a label with several tokens cannot do
    without it. Where `hidden` asks for a gradient it gets one; the head itself is frozen.

    Args:
        network: a `transformers` causal model.
        hidden: last hidden states, shape [positions, width].
        rows: which position each pair reads, shape [pairs]; ascending where no gradient is asked for.
        tokens: which token each pair asks for, shape [pairs].

    Returns:
        Natural logarithms, shape [pairs], float32.
    """
    head = network.get_output_embeddings()
    multiply = product_of(head)
    if torch.is_grad_enabled() and hidden.requires_grad:
        normalisers: torch.Tensor = _LogNormaliser.apply(hidden, network)  # type: ignore[no-untyped-call]
        return _token_logits(network, hidden[rows], tokens) - normalisers[rows]
    if multiply is not None:
        asked = _asked_logits(network, head, multiply, hidden, rows, tokens)
        return asked - _log_normaliser(network, head, multiply, hidden)[rows]
    out = torch.empty(len(rows), dtype=torch.float32, device=hidden.device)
    step = max(1, HEAD_BYTES // (4 * head.weight.shape[0]))
    for start in range(0, len(hidden), step):
        first, last = torch.searchsorted(rows, torch.tensor([start, start + step], device=rows.device)).tolist()
        logits = vocabulary_logits(network, hidden[start : start + step])
        own = rows[first:last] - start
        out[first:last] = logits[own, tokens[first:last]] - torch.logsumexp(logits, dim=-1)[own]
    return out


def _asked_logits(
    network: Any,
    head: torch.nn.Linear,
    multiply: Product,
    hidden: torch.Tensor,
    rows: torch.Tensor,
    tokens: torch.Tensor,
) -> torch.Tensor:
    """Logits of the pairs: one product where the same few tokens are asked everywhere, else pair by pair."""
    few, which = torch.unique(tokens, return_inverse=True)
    if len(few) <= FEW:
        bias = None if head.bias is None else head.bias[few]
        products = multiply(hidden, head.weight[few], bias)
        return _finished_logits(network, products[rows, which])
    pairs = zip(torch.split(rows, PAIRS), torch.split(tokens, PAIRS), strict=True)
    return torch.cat([_token_logits(network, hidden[own], asked) for own, asked in pairs])


def _log_normaliser(
    network: Any, head: torch.nn.Linear, multiply: Product, hidden: torch.Tensor, slopes: torch.Tensor | None = None
) -> torch.Tensor:
    """Log Σ exp of the vocabulary's logits, a slice of the vocabulary at a time, shape [positions], float32.

    The sums so far are scaled down when a higher logit turns up. Into `slopes` [positions, width], zeros, goes the
    normaliser's gradient with respect to `hidden`.
    """
    highest = hidden.new_full((len(hidden),), float("-inf"), dtype=torch.float32)
    total = torch.zeros_like(highest)
    for weight, bias in _vocabulary_slices(head, hidden):
        products = multiply(hidden, weight, bias)
        with torch.set_grad_enabled(slopes is not None):
            logits = _finished_logits(network, products.requires_grad_(slopes is not None))
        before, highest = highest, torch.maximum(highest, logits.detach().amax(dim=1))
        kept = torch.exp(before - highest)
        if slopes is None:
            share = logits.sub_(highest[:, None]).exp_()
        else:
            share = torch.exp(logits.detach() - highest[:, None])
            (by_product,) = torch.autograd.grad(logits, products, share)
            slopes.mul_(kept[:, None]).add_(multiply(by_product, weight.T, None))
        total = total.mul_(kept).add_(share.sum(dim=1))
    if slopes is not None:
        slopes.div_(total[:, None])
    return highest + torch.log(total)


class _LogNormaliser(torch.autograd.Function):
    """`_log_normaliser` with a gradient, without ever holding the vocabulary's logits.

    To keep 150 to 260 thousand logits per position for the backward pass would take more memory than everything else
    in training. The frozen head owes one gradient only, that of the normaliser with respect to the hidden state: one
    vector per position, computed in the forward pass (the idea of Cut Cross-Entropy, Wijmans et al. 2024,
    https://arxiv.org/abs/2411.09009), where a slice's vectors serve its logits and, while they are still in the
    processor's cache, the gradient.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, network: Any) -> torch.Tensor:
        head = network.get_output_embeddings()
        slopes = torch.zeros_like(hidden, dtype=torch.float32)
        normaliser = _log_normaliser(network, head, product_of(head) or torch.nn.functional.linear, hidden, slopes)
        ctx.save_for_backward(slopes.to(hidden.dtype))
        return normaliser

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (slopes,) = ctx.saved_tensors
        return (gradients[0][:, None] * slopes).to(slopes.dtype), None


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
