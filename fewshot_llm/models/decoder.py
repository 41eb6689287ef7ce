"""Where a decoder keeps its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["decoder_layers"]


def decoder_layers(network: Any) -> Sequence[Any]:
    """The decoder's layers, bottom first; none where the network does not keep them in one list.

    Args:
        network: a `transformers` causal model.
    """
    count = network.config.get_text_config().num_hidden_layers
    lists = (m for m in network.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count)
    return list(next(lists, ()))
