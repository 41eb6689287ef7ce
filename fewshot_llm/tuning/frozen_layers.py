"""`layers = "top:N"`: the lower layers never change, so each row goes through them once.

The layers below the cut pass their input on unread and the last of them hands over the kept hidden states. That
works for every decoder that keeps its layers in a list, whatever it does around them (embedding scales, learned
positions, one mask per kind of layer), because everything else still runs as written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from fewshot_llm.errors import TuningError
from fewshot_llm.models.decoder import decoder_layers
from fewshot_llm.tuning.forward import pack_hidden
from fewshot_llm.tuning.replaced import replaced_forwards
from fewshot_llm.tuning.tree import TokenTree, split_rows

__all__ = ["frozen_hidden", "handed_over", "listed_layers"]


def listed_layers(network: Any) -> Sequence[Any]:
    """The decoder's layers, bottom first.

    Raises:
        TuningError: the network does not keep its layers in one list.
    """
    if not (layers := decoder_layers(network)):
        count = network.config.get_text_config().num_hidden_layers
        raise TuningError(f'{type(network).__name__} keeps its {count} layers in no list; use layers = "all".')
    return layers


@contextmanager
def _replaced(layers: Sequence[Any], value: torch.Tensor | None) -> Iterator[None]:
    """Let `layers` hand on `value` (None: what they are given) for a while."""

    def handing(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return hidden if value is None else value

    with replaced_forwards(dict.fromkeys(layers, handing)):
        yield


@contextmanager
def handed_over(layers: Sequence[Any], cut: int, hidden: torch.Tensor) -> Iterator[None]:
    """Run the network above layer `cut` only, on `hidden` [n, width] as what the layers below it gave."""
    with _replaced(layers[:cut], hidden[None]):
        yield


@torch.no_grad()
def frozen_hidden(network: Any, tree: TokenTree, cut: int, token_limit: int) -> torch.Tensor:
    """What the layers below `cut` give for every node of the tree, computed once.

    A node's state depends on its ancestors only, so one vector per node serves every batch.

    Returns:
        Shape [N, width], on the network's device.
    """
    layers = listed_layers(network)
    states: torch.Tensor | None = None
    kept: list[torch.Tensor] = []
    hook = layers[cut - 1].register_forward_hook(
        lambda module, inputs, output: kept.append(output[0] if isinstance(output, tuple) else output)
    )
    try:
        with _replaced(layers[cut:], None):
            for rows in split_rows(tree, range(len(tree.paths)), token_limit):
                pack = tree.pack(rows).to(network.device)
                pack_hidden(network, pack)
                found = kept.pop()[0]
                if states is None:
                    states = found.new_empty(len(tree.tokens), found.shape[-1])
                states[pack.nodes] = found
    finally:
        hook.remove()
    if states is None:
        raise TuningError("There is nothing to train on: 0 rows were given.")
    return states
