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

__all__ = ["plan_pass", "run_body"]

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
    for blocks in _by_length(step.blocks):
        starts = np.array([lo for lo, _ in blocks])[:, None]
        stops = np.array([hi for _, hi in blocks])[:, None]
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


def _by_length(blocks: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    ordered = sorted(blocks, key=lambda block: block[1] - block[0])
    while ordered:
        shortest = ordered[0][1] - ordered[0][0]
        limit = shortest * PADDING_RATIO + PADDING_SLACK
        count = next((n for n, (lo, hi) in enumerate(ordered) if hi - lo > limit), len(ordered))
        yield ordered[:count]
        ordered = ordered[count:]


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
