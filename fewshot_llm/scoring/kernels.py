"""Attention that also returns the log-sum-exp of its scores, so that parts can be merged exactly.

For one query, attention over keys A and B together is the average of both results, weighted by their share of the
softmax's denominator: with o_A, l_A = attend(A) and o_B, l_B = attend(B),

    l = log(exp l_A + exp l_B),    o = o_A · exp(l_A - l) + o_B · exp(l_B - l)

(Milakov and Gimelshein 2018, arXiv:1805.02867; used for shared prefixes in Hydragen, arXiv:2402.05099). A shared
prefix is therefore attended to by all rows in one large product, without a copy for each row.
"""

from __future__ import annotations

import torch

__all__ = ["ALIGNMENT", "HIDDEN", "attend", "attend_band", "attend_plainly", "merge"]

ALIGNMENT = 16
"""The fused kernel takes keys so many at a time, and the rest one by one: 47 last twice as long as 48."""

BAND = 256
"""Queries that `attend_band` takes at a time."""

HIDDEN = -1e30
"""Bias of a key that a query does not see. Finite: the fused kernel calls the log-sum-exp of nothing 0, not -inf."""


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scale: float,
    bias: torch.Tensor | None = None,
    causal: bool = False,
    softcap: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention and the log-sum-exp of its scores.

    Args:
        query: shape [batch, heads, queries, width].
        key: shape [batch, heads, keys, width]; may be an expanded view.
        value: like `key`.
        scale: factor of the scores.
        bias: added to the scores, 0 or `HIDDEN`, broadcastable to [batch, heads, queries, keys].
        causal: query i sees keys 0..i only.
        softcap: scores s become `softcap · tanh(s / softcap)` (Gemma 2).

    Returns:
        Outputs [batch, heads, queries, width] and log-sum-exp [batch, heads, queries] in float32. A query that sees
        no key gets a log-sum-exp near `HIDDEN`, so that it counts for nothing once it is merged.
    """
    if query.device.type != "cpu" or softcap is not None or query.dtype != torch.float32:
        return attend_plainly(query, key, value, scale=scale, bias=bias, causal=causal, softcap=softcap)
    # The only way to torch's fused CPU kernel that hands out the log-sum-exp it computes anyway.
    out, total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, causal, attn_mask=bias, scale=scale
    )
    return out, total


def attend_band(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    window: int,
    bias: torch.Tensor,
    scale: float,
    softcap: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`attend` along chains whose tokens see themselves and `window - 1` tokens before them.

    A slice of the queries at a time meets only the keys that some of them see.

    Args:
        query: shape [batch, heads, tokens, width].
        key: shape [batch, heads, tokens, width].
        value: like `key`.
        window: how far back a token sees, itself included.
        bias: hides all else, shape [batch, 1, tokens, tokens].
        scale: see `attend`.
        softcap: see `attend`.
    """
    parts = []
    for start in range(0, query.shape[2], BAND):
        first = max(0, start - window + 1) // ALIGNMENT * ALIGNMENT
        rows, keys = slice(start, start + BAND), slice(first, start + BAND)
        seen = bias[:, :, rows, keys]
        parts.append(
            attend(query[:, :, rows], key[:, :, keys], value[:, :, keys], scale=scale, bias=seen, softcap=softcap)
        )
    outs, totals = zip(*parts, strict=True)
    return torch.cat(outs, dim=2), torch.cat(totals, dim=2)


def attend_plainly(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scale: float,
    bias: torch.Tensor | None = None,
    causal: bool = False,
    softcap: float | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`attend` in plain products: the reference, and what runs on devices other than the CPU."""
    scores = torch.matmul(query.float(), key.float().transpose(-1, -2)) * scale
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(hidden, float("-inf"))
    if bias is not None:
        scores = scores + bias
    total = torch.logsumexp(scores, dim=-1)
    weights = torch.exp(scores - total.unsqueeze(-1))
    return torch.matmul(weights, value.float()).to(query.dtype), total


def merge(first: tuple[torch.Tensor, torch.Tensor], second: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Outputs of attention over two key sets together, from the outputs and log-sum-exps over each."""
    (out_a, total_a), (out_b, total_b) = first, second
    # exp(l_B - l) is the logistic function of l_B - l_A, so the weighted average is one fused interpolation.
    share = torch.sigmoid(total_b - total_a).unsqueeze(-1).to(out_a.dtype)
    return torch.lerp(out_a, out_b, share)
