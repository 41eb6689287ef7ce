"""Tree attention inside any `transformers` model that lets its attention function be chosen.

A pass packs the tokens of many rows into one sequence without padding, so that every matrix product of the model runs
over exactly the tokens that are needed. Only attention has to know who sees whom: it reads the current `PassPlan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import AttentionInterface

from fewshot_llm.scoring.blocks import Group
from fewshot_llm.scoring.kernels import ALIGNMENT, HIDDEN, attend, merge

__all__ = ["KeyValues", "PassPlan", "tree_attention"]

NAME = "fewshot_tree"


class KeyValues:
    """Keys and values of some tokens, for every layer: one tensor each, never copied per row."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def write(self, layer: int, start: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Store keys and values [heads, tokens, width] from position `start` on."""
        if layer not in self._layers:
            self._layers[layer] = tuple(  # type: ignore[assignment]
                part.new_empty((part.shape[0], self.capacity, part.shape[2])) for part in (key, value)
            )
        for stored, part in zip(self._layers[layer], (key, value), strict=True):
            stored[:, start : start + part.shape[1]] = part

    def grow(self, capacity: int) -> None:
        """Make room for at least `capacity` tokens."""
        if capacity <= self.capacity:
            return
        self.capacity = max(capacity, self.capacity * 3 // 2)
        for layer, pair in self._layers.items():
            larger = tuple(part.new_empty((part.shape[0], self.capacity, part.shape[2])) for part in pair)
            for new, old in zip(larger, pair, strict=True):
                new[:, : old.shape[1]] = old
            self._layers[layer] = larger  # type: ignore[assignment]

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
        seen = torch.arange(first, self.path, device=self.depths.device) > self.depths[:, None] - window
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
