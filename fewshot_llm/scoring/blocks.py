"""Attention of tokens to keys of their own block: a row's, or several rows' that share more than the path."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from fewshot_llm.scoring.kernels import HIDDEN, attend, attend_band

__all__ = ["Group"]


@dataclass(frozen=True)
class Group:
    """Queries that attend to keys of their own block; blocks of similar length together.

    Attributes:
        queries: position in the pass of each query, padded at the end, shape [blocks, longest].
        into: where each query's result goes: the same, and one past the pass's end for padding; shape as `queries`.
        keys: position in the key source of each key, padded at the end, shape [blocks, most keys].
        visible: who sees whom, shape [blocks, longest, most keys]; None for plain causal chains.
        query_depths: position that the model is told, shape as `queries`.
        key_depths: likewise, shape as `keys`.
    """

    queries: torch.Tensor
    into: torch.Tensor
    keys: torch.Tensor
    visible: torch.Tensor | None
    query_depths: torch.Tensor
    key_depths: torch.Tensor

    def read_at(self, read: torch.Tensor) -> Group | None:
        """The group with only those of its queries that are read, None where there are none.

        Args:
            read: which positions of the pass, and one more for padding, shape [tokens + 1].
        """
        here = read[self.into]
        most = int(here.sum(dim=1).max())
        if not most or self.visible is None:  # a chain goes as a whole: the kernel's causal rule counts from its start
            return self if most else None
        first = torch.argsort(here, dim=1, descending=True, stable=True)[:, :most]
        into = self.into.gather(1, first).where(here.gather(1, first), len(read) - 1)
        return replace(
            self,
            queries=self.queries.gather(1, first),
            into=into,
            visible=self.visible.gather(1, first[:, :, None].expand(-1, -1, self.keys.shape[1])),
            query_depths=self.query_depths.gather(1, first),
        )

    def bias(self, window: int | None, repeat: int) -> torch.Tensor | None:
        """What `attention` adds to the scores, where `repeat` heads share keys; the same for all layers of a window.

        Shape [blocks, 1, longest, most keys] for chains, or None where the kernel's causal rule is enough; for trees
        [blocks, 1, longest · repeat, most keys], as the queries are folded there.
        """
        if self.visible is not None:
            return self._hiding(self.visible, window).repeat_interleave(repeat, dim=2)
        if window is None or int(self.query_depths.max()) - int(self.key_depths.min()) < window:
            return None
        length = self.queries.shape[1]
        chain = torch.ones((length, length), dtype=torch.bool, device=self.queries.device).tril()
        return self._hiding(chain, window)

    def _hiding(self, seen: torch.Tensor, window: int | None) -> torch.Tensor:
        if window is not None:
            seen = seen & (self.key_depths[:, None, :] > self.query_depths[:, :, None] - window)
        return torch.where(seen, torch.zeros((), device=seen.device), HIDDEN)[:, None]

    def attention(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        window: int | None,
        bias: torch.Tensor | None,
        **how: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs [blocks · longest, heads, width] and log-sum-exps [blocks · longest, heads] of the group's queries.

        Args:
            query: of the pass, shape [heads, tokens, width].
            key: of the key source, shape [heads that share none, tokens, width].
            value: like `key`.
            window: how far back a token sees, itself included; None: to the beginning.
            bias: from `bias`, for this window.
            how: scale and softcap, see `attend`.
        """
        heads, tokens, width = query.shape
        blocks, length = self.queries.shape
        shared = len(key)
        own = _gather(key, self.keys), _gather(value, self.keys)
        if self.visible is None:
            parts = _gather(query, self.queries), *(_repeat(part, heads // shared) for part in own)
            if bias is None or window is None:
                out, total = attend(*parts, causal=True, **how)
            else:
                out, total = attend_band(*parts, window=window, bias=bias, **how)
            return out.transpose(1, 2).reshape(-1, heads, width), total.transpose(1, 2).reshape(-1, heads)
        # Heads that share keys become so many more queries of one head: fewer and larger products, no keys repeated.
        folded = query.transpose(0, 1).reshape(tokens * shared, -1)
        of_keys = torch.arange(shared, device=self.queries.device)[:, None]
        asked = folded.index_select(0, (self.queries[:, None] * shared + of_keys).flatten())
        out, total = attend(asked.view(blocks, shared, -1, width), *own, bias=bias, **how)
        out = out.reshape(blocks, shared, length, -1, width).transpose(1, 2)
        total = total.reshape(blocks, shared, length, -1).transpose(1, 2)
        return out.reshape(-1, heads, width), total.reshape(-1, heads)


def _gather(tokens: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """[heads, tokens, width] at [blocks, length] to [blocks, heads, length, width]; a token's heads lie together."""
    picked = tokens.transpose(0, 1).index_select(0, index.flatten())
    return picked.view(*index.shape, *picked.shape[1:]).transpose(1, 2)


def _repeat(heads: torch.Tensor, times: int) -> torch.Tensor:
    """Each head [batch, heads, tokens, width] so many times in a row; a view, not a copy, where there is one head."""
    batch, count, tokens, width = heads.shape
    return heads.unsqueeze(2).expand(batch, count, times, tokens, width).flatten(1, 2)
