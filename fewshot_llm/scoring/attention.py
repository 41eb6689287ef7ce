"""Tree attention inside any `transformers` model that lets its attention function be chosen.

A pass packs the tokens of many rows into one sequence without padding, so that every matrix product of the model runs
over exactly the tokens that are needed. Only attention has to know who sees whom: it reads the current `PassPlan`.
Tokens see the path that all of the pass shares, and keys of their own block: a row's, or several rows' that share more.

Both parts are attended to apart and merged exactly, by the log-sum-exp of their scores. For one query, attention over
keys A and B together is the average of both results, weighted by their share of the softmax's denominator: with
o_A, l_A = attend(A) and o_B, l_B = attend(B),

    l = log(exp l_A + exp l_B),    o = o_A · exp(l_A - l) + o_B · exp(l_B - l)

(Milakov and Gimelshein 2018, arXiv:1805.02867; used for shared prefixes in Hydragen, arXiv:2402.05099). A shared
prefix is therefore attended to by all rows in one large product, without a copy for each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import AttentionInterface

__all__ = [
    "ALIGNMENT",
    "HIDDEN",
    "Group",
    "KeyValues",
    "PassPlan",
    "attend",
    "attend_band",
    "attend_plainly",
    "merge",
    "tree_attention",
    "within_window",
]

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


def within_window(query_depths: torch.Tensor, key_depths: torch.Tensor, window: int) -> torch.Tensor:
    """Whether a key is near enough for a sliding window, which counts positions in a row, not places in a pass.

    Args:
        query_depths: positions that the model is told, shape [..., queries].
        key_depths: likewise, shape [..., keys].
        window: how far back a token sees, itself included.

    Returns:
        Shape [..., queries, keys].
    """
    return key_depths[..., None, :] > query_depths[..., :, None] - window


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
            seen = seen & within_window(self.query_depths, self.key_depths, window)
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


NAME = "fewshot_tree"


class KeyValues:
    """Keys and values of some tokens, for every layer: one tensor each, never copied per row."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def write(self, layer: int, start: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Store keys and values [heads, tokens, width] from position `start` on."""
        if layer not in self._layers:
            self._layers[layer] = self._room(key), self._room(value)
        for stored, part in zip(self._layers[layer], (key, value), strict=True):
            stored[:, start : start + part.shape[1]] = part

    def grow(self, capacity: int) -> None:
        """Make room for at least `capacity` tokens."""
        if capacity <= self.capacity:
            return
        self.capacity = max(capacity, self.capacity * 3 // 2)
        for layer, (keys, values) in self._layers.items():
            larger = self._room(keys), self._room(values)
            for new, old in zip(larger, (keys, values), strict=True):
                new[:, : old.shape[1]] = old
            self._layers[layer] = larger

    def _room(self, part: torch.Tensor) -> torch.Tensor:
        return part.new_empty((part.shape[0], self.capacity, part.shape[2]))

    def read(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """All keys and values of a layer, shape [heads, capacity, width]."""
        return self._layers[layer]


@dataclass
class PassPlan:
    """Who sees whom in one forward pass.

    Attributes:
        depths: position of each token of the pass, shape [tokens].
        groups: every token's block, each token in exactly one group.
        path: how many tokens of `shared` every token sees; token i of it stands at depth i.
        shared: keys and values of the path.
        keep: tokens of this pass whose keys and values are written to `shared`, behind the path.
        live: where block keys are read from, and this pass's are written to at `live_start`; None: the pass itself.
        live_start: see `live`.
    """

    depths: torch.Tensor
    groups: tuple[Group, ...]
    path: int
    shared: KeyValues
    keep: range = range(0)
    live: KeyValues | None = None
    live_start: int = 0
    _biases: dict[Any, Any] = field(default_factory=dict)

    def attention(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        window: int | None,
        places: torch.Tensor | None = None,
        **how: Any,
    ) -> torch.Tensor:
        """Outputs [tokens, heads, width] of one layer, from queries, keys and values [heads, tokens, width].

        With `places`, the outputs are right at these positions of the pass only.
        """
        if self.keep:
            kept = slice(self.keep.start, self.keep.stop)
            self.shared.write(layer, self.path, key[:, kept], value[:, kept])
        out, total = self._within_blocks(layer, query, key, value, window, places, **how)
        if not self.path or (places is not None and not len(places)):
            return out
        seen = self._along_path(layer, query if places is None else query[:, places], window, places, **how)
        if not seen:
            return out
        if places is None:
            return merge((out, total), seen)
        return out.index_copy_(0, places, merge((out[places], total[places]), seen))

    def _within_blocks(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        window: int | None,
        places: torch.Tensor | None,
        **how: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention of the tokens (at `places`) to the keys of their own blocks."""
        if self.live is not None:
            self.live.write(layer, self.live_start, key, value)
            key, value = self.live.read(layer)
        heads, tokens, width = query.shape
        repeat = heads // len(key)
        groups = self.groups if places is None else self._cached("read", lambda: self._groups_at(places))
        # Token-major, as the kernel lays its results out and the model wants them. The last place takes the padding.
        outs = value.new_empty((tokens + 1, heads, width))
        totals = torch.empty((tokens + 1, heads), device=query.device)
        if places is not None:  # what is left out is not read, but goes through the rest of the layer
            outs.zero_()
            totals.zero_()
        for group in groups:
            bias = self._cached((id(group), window, repeat), lambda g=group: g.bias(window, repeat))
            out, total = group.attention(query, key, value, window=window, bias=bias, **how)
            outs.index_copy_(0, group.into.flatten(), out)
            totals.index_copy_(0, group.into.flatten(), total)
        return outs[:tokens], totals[:tokens]

    def _groups_at(self, places: torch.Tensor) -> tuple[Group, ...]:
        read = torch.zeros(len(self.depths) + 1, dtype=torch.bool, device=self.depths.device)
        read[places] = True
        return tuple(part for group in self.groups if (part := group.read_at(read)) is not None)

    def _along_path(
        self, layer: int, query: torch.Tensor, window: int | None, places: torch.Tensor | None, **how: Any
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Attention of the tokens (at `places`) to the shared path, one product; None where a window left it behind."""
        first, bias = self._cached(("path", window), lambda: self._path_view(window))
        if first >= self.path:
            return None
        if bias is not None and places is not None:
            bias = bias[places]
        heads, tokens, width = query.shape
        key, value = (part[:, None, first : self.path] for part in self.shared.read(layer))
        repeat = heads // key.shape[0]
        if bias is None:  # the heads that share keys fold into the queries: one larger product
            folded = query.reshape(key.shape[0], 1, repeat * tokens, width)
            out, total = attend(folded, key, value, **how)
        else:
            shape = (key.shape[0], repeat, key.shape[2], width)
            split = query.reshape(key.shape[0], repeat, tokens, width)
            out, total = attend(split, key.expand(shape), value.expand(shape), bias=bias, **how)
        return out.reshape(heads, tokens, width).transpose(0, 1), total.reshape(heads, tokens).T

    def _path_view(self, window: int | None) -> tuple[int, torch.Tensor | None]:
        """The first path token that any query sees, and the bias where not every query sees all from there."""
        if window is None:
            return 0, None
        first = max(0, int(self.depths.min()) - window + 1)
        if first >= self.path or int(self.depths.max()) - window < first:
            return first, None
        first = max(0, self.path - -(-(self.path - first) // ALIGNMENT) * ALIGNMENT)
        seen = within_window(self.depths, torch.arange(first, self.path, device=self.depths.device), window)
        return first, torch.where(seen, torch.zeros((), device=self.depths.device), HIDDEN)

    def _cached(self, key: Any, make: Any) -> Any:
        """Biases depend on the window and on how many heads share keys: layers of one kind share them."""
        if key not in self._biases:
            self._biases[key] = make()
        return self._biases[key]


@dataclass(frozen=True)
class _Current:
    """What the attention layers of this context follow."""

    plan: PassPlan
    last: int
    places: torch.Tensor


_CURRENT: ContextVar[_Current] = ContextVar("fewshot_tree_attention")


def _tree_attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer: Any = module.layer_idx
    current = _CURRENT.get()
    places = current.places if layer == current.last else None  # no other token attends to what the last layer makes
    out = current.plan.attention(
        layer, query[0], key[0], value[0], sliding_window, places, scale=scale, softcap=softcap
    )
    return out.unsqueeze(0), None


AttentionInterface.register(NAME, _tree_attention_forward)


@contextmanager
def tree_attention(network: Any, plan: PassPlan, places: torch.Tensor) -> Iterator[None]:
    """Within it, the network's attention layers follow `plan`; afterwards they do what they did before.

    The last layer's outputs are right at `places` [read], positions of the pass, only.

    Threads that share a network take turns: which attention it uses is a setting of the network, not of a call.
    """
    with _turn(network):
        configs = {id(m.config): m.config for m in network.modules() if hasattr(m, "config")}.values()
        before = [(config, config._attn_implementation) for config in configs]
        last = network.config.get_text_config().num_hidden_layers - 1
        token = _CURRENT.set(_Current(plan, last, places))
        try:
            for config in configs:
                config._attn_implementation = NAME
            yield
        finally:
            for config, implementation in before:
                config._attn_implementation = implementation
            _CURRENT.reset(token)


_TURNS: WeakKeyDictionary[torch.nn.Module, Lock] = WeakKeyDictionary()
_NEW_TURN = Lock()


def _turn(network: torch.nn.Module) -> Lock:
    """The network's lock. Kept beside it, for a model with a lock inside could not be copied."""
    with _NEW_TURN:
        return _TURNS.setdefault(network, Lock())
