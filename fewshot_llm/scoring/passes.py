"""Runs one pass of a token tree through the model's body."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fewshot_llm.scoring.attention import Group, KeyValues, PassPlan, tree_attention
from fewshot_llm.scoring.schedule import Pass
from fewshot_llm.scoring.token_tree import TokenTree

__all__ = ["length_buckets", "plan_pass", "run_body"]

PADDING_RATIO = 1.25
PADDING_SLACK = 8
"""Blocks share a group while the longest is at most so much longer than the shortest."""


def plan_pass(
    tree: TokenTree,
    step: Pass,
    shared: KeyValues,
    device: torch.device,
    *,
    live: KeyValues | None = None,
    live_start: int = 0,
) -> PassPlan:
    """Who sees whom in one pass over a token tree.

    Args:
        tree: the batch.
        step: which of its nodes, from `schedule`.
        shared: the path cache; holds `step.path` tokens.
        device: where the plan's tensors go.
        live: where this pass's keys and values are to stay readable, see `PassPlan`.
        live_start: from which position of `live` on.
    """
    groups, places = [], np.zeros(step.size, dtype=np.int64)
    padded = 0
    all_starts, all_stops = np.array(step.blocks).T
    for bucket in length_buckets(all_stops - all_starts):
        starts, stops = all_starts[bucket, None], all_stops[bucket, None]
        local = np.arange(int((stops - starts).max()))
        nodes = np.minimum(starts + local, stops - 1)
        real = starts + local < stops
        places[(nodes - step.start)[real]] = padded + np.flatnonzero(real)
        padded += nodes.size
        ends = tree.ends[nodes] - starts
        chains = bool((ends == stops - starts).all())
        visible = None
        if not chains:
            visible = (local[None, None, :] <= local[None, :, None]) & (local[None, :, None] < ends[:, None, :])
        depths = torch.from_numpy(tree.depths[nodes]).to(device)
        queries = torch.from_numpy(nodes - step.start).to(device)
        groups.append(
            Group(
                queries=queries,
                keys=queries + live_start if live is not None else queries,
                visible=None if visible is None else torch.from_numpy(visible).to(device),
                query_depths=depths,
                key_depths=depths,
            )
        )
    return PassPlan(
        depths=torch.from_numpy(tree.depths[step.start : step.stop]).to(device),
        groups=tuple(groups),
        unpad=torch.from_numpy(places).to(device),
        path=step.path,
        shared=shared,
        keep=step.keep,
        live=live,
        live_start=live_start,
    )


def length_buckets(lengths: Sequence[int]) -> Iterator[npt.NDArray[np.int64]]:
    """Positions of similar lengths together, shortest first, so that padding them wastes little.

    >>> [bucket.tolist() for bucket in length_buckets([50, 10, 11, 55])]
    [[1, 2], [0, 3]]
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(sizes, kind="stable")
    while len(order):
        limit = sizes[order[0]] * PADDING_RATIO + PADDING_SLACK
        count = int(np.searchsorted(sizes[order], limit, side="right"))
        yield order[:count]
        order = order[count:]


def run_body(network: Any, ids: npt.NDArray[np.int64], plan: PassPlan) -> torch.Tensor:
    """Last hidden states (after the final norm) of a pass's tokens, shape [tokens, width]."""
    with torch.inference_mode(), tree_attention(network, plan):
        output = network.base_model(
            input_ids=torch.from_numpy(ids).to(plan.depths.device)[None],
            position_ids=plan.depths[None],
            use_cache=False,
        )
    hidden: torch.Tensor = output.last_hidden_state[0]
    return hidden
