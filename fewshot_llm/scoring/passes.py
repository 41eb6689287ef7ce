"""Cuts a token tree into forward passes of bounded size, runs them through the model's body, counts what they cost.

A pass is a run of the depth-first order whose tokens all see the same ancestors outside it (its path), and otherwise
only tokens of their own block. The keys and values of what several passes see are kept: a long shared chain is run by
itself, a short one together with what stands before it and with the first of what hangs below it. Everything else
comes in blocks of whole subtrees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from fewshot_llm.models.load import LanguageModel
from fewshot_llm.scoring.attention import ALIGNMENT, Group, KeyValues, PassPlan, tree_attention
from fewshot_llm.scoring.base import Scorer, check_stop
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.head import causal_network, last_layer_at
from fewshot_llm.scoring.token_tree import TokenTree
from fewshot_llm.types import IntArray

__all__ = [
    "Pass",
    "Profile",
    "ProfiledScorer",
    "asked_tokens",
    "body_flops",
    "describe_profile",
    "length_buckets",
    "matrix_peak",
    "padded_runs",
    "path_capacity",
    "plan_pass",
    "profile_of",
    "run_body",
    "schedule",
]


@dataclass(frozen=True)
class Profile:
    """Counts of scoring; add two to join them, subtract an earlier one to see what came since.

    Attributes:
        rows: prompts scored.
        asked: tokens that one full pass per prompt and label would run.
        computed: tokens that were run.
        passes: forward passes.
        positions: positions at which the output head was applied.
        encode_seconds: time to tokenise.
        model_seconds: time in the model's body and head.
    """

    rows: int = 0
    asked: int = 0
    computed: int = 0
    passes: int = 0
    positions: int = 0
    encode_seconds: float = 0.0
    model_seconds: float = 0.0

    def __add__(self, other: Profile) -> Profile:
        return Profile(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def __sub__(self, earlier: Profile) -> Profile:
        return Profile(*(getattr(self, name) - getattr(earlier, name) for name in self.__dataclass_fields__))

    @property
    def reuse(self) -> float:
        """Tokens asked for per token computed."""
        return self.asked / self.computed if self.computed else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Computed tokens per second in the model."""
        return self.computed / self.model_seconds if self.model_seconds else 0.0


@runtime_checkable
class ProfiledScorer(Protocol):
    """What a scorer has besides where it counts what its runs cost."""

    profile: Profile


def profile_of(scorer: Scorer) -> Profile:
    """What a scorer's runs cost so far; nothing where it keeps no books (a server)."""
    return scorer.profile if isinstance(scorer, ProfiledScorer) else Profile()


def asked_tokens(rows: Sequence[Encoded]) -> int:
    """Tokens that one full forward pass per prompt and answer would run."""
    return sum(len(row.context) * len(row.answers) + sum(map(len, row.answers)) for row in rows)


SIDE = 1536
TRIALS = 6


def matrix_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, the best of a few; takes about a second."""
    a, b = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(TRIALS + 1):
        began = perf_counter()
        (a @ b)[0, 0].item()  # reading an element waits for the device
        best = min(best, perf_counter() - began)
    return 2 * SIDE**3 / best


def body_flops(network: Any) -> int:
    """Operations per token in the matrices of the model's body: 2 per weight, embeddings and head left out."""
    outside = {id(network.get_input_embeddings().weight), id(network.get_output_embeddings().weight)}
    weights: int = sum(p.numel() for p in network.parameters() if p.ndim == 2 and id(p) not in outside)
    return 2 * weights


def describe_profile(profile: Profile, language_model: LanguageModel) -> dict[str, float]:
    """A run's figures with the machine's limit beside them.

    Args:
        profile: what the run cost.
        language_model: what it ran.

    Returns:
        Tokens asked for and computed, the reuse factor, tokens per second, seconds, the matrix peak in GFLOP/s as
        measured now, and the share of it that the run reached (body and head; attention not counted).
    """
    network = causal_network(language_model.model)
    head = 2 * network.get_output_embeddings().weight.numel()
    flops = profile.computed * body_flops(network) + profile.positions * head
    peak = matrix_peak(language_model.device, language_model.dtype)
    return {
        "tokens_asked": profile.asked,
        "tokens_computed": profile.computed,
        "reuse": round(profile.reuse, 2),
        "tokens_per_second": round(profile.tokens_per_second, 1),
        "tokenise_seconds": round(profile.encode_seconds, 3),
        "model_seconds": round(profile.model_seconds, 3),
        "passes": profile.passes,
        "matrix_peak_gflops": round(peak / 1e9, 1),
        "share_of_peak": round(flops / peak / profile.model_seconds, 6) if profile.model_seconds else 0.0,
    }


MIN_SHARED = 96
MIN_BELOW = 192
"""A chain at least so long, with at least so many tokens below it, gets its own pass: attention to it is then one
product for all. Shorter ones are cheaper inside their block."""


@dataclass(frozen=True)
class Pass:
    """One forward pass over the nodes `start` to `stop`.

    Attributes:
        start: first node.
        stop: one past the last node.
        path: how many ancestors every token of the pass sees; they stand in the path cache.
        blocks: runs of nodes that see nothing of each other; together they are the pass.
        keep: those of its nodes that extend the path for the passes that follow.
    """

    start: int
    stop: int
    path: int
    blocks: tuple[tuple[int, int], ...]
    keep: range = range(0)

    @property
    def size(self) -> int:
        """Tokens of the pass."""
        return self.stop - self.start


def schedule(tree: TokenTree, budget: int) -> Iterator[Pass]:
    """Passes in depth-first order, each of at most `budget` tokens.

    Args:
        tree: the batch.
        budget: tokens a pass, at least 1.

    Yields:
        Passes that together run every node once.
    """
    stack = [(0, len(tree.ids), 0)]
    while stack:
        node, stop, path = stack.pop()
        blocks: list[tuple[int, int]] = []
        while node < stop:
            end = int(tree.ends[node])
            if _stands_alone(tree, node, budget):
                chain = tree.chain(node)
                short = chain - node < min(MIN_SHARED, budget)
                if blocks and not (short and chain - blocks[0][0] <= budget):
                    yield from _block_pass(blocks, path)
                    blocks = []
                if short:
                    first = blocks[0][0] if blocks else node
                    done = _filled(tree, first, chain, end, budget)
                    yield Pass(first, done, path, (*blocks, (node, done)), keep=range(node, chain))
                else:
                    done = chain
                    yield from _chain_passes(node, chain, path, budget, below=chain < end)
                stack += [(end, stop, path), (done, end, path + chain - node)]
                blocks = []
                break
            if blocks and end - blocks[0][0] > budget:
                yield from _block_pass(blocks, path)
                blocks = []
            blocks.append((node, end))
            node = end
        yield from _block_pass(blocks, path)


def path_capacity(tree: TokenTree, budget: int) -> int:
    """The longest path, in tokens, that any pass leaves behind for others."""
    return max((step.path + len(step.keep) for step in schedule(tree, budget) if step.keep), default=0)


def _stands_alone(tree: TokenTree, node: int, budget: int) -> bool:
    size = int(tree.ends[node]) - node
    if size > budget:
        return True
    if size < MIN_SHARED + MIN_BELOW:
        return False
    shared = tree.chain(node) - node
    return shared >= MIN_SHARED and size - shared >= MIN_BELOW


def _filled(tree: TokenTree, first: int, chain: int, end: int, budget: int) -> int:
    """One past the subtrees below a chain that fit into its pass, which begins at `first`."""
    done = chain
    while done < end and int(tree.ends[done]) - first <= budget:
        done = int(tree.ends[done])
    return done


def _block_pass(blocks: list[tuple[int, int]], path: int) -> Iterator[Pass]:
    if blocks:
        yield Pass(blocks[0][0], blocks[-1][1], path, tuple(blocks))


def _chain_passes(node: int, stop: int, path: int, budget: int, *, below: bool) -> Iterator[Pass]:
    """A chain in pieces of nearly equal length; the last one is kept only where something hangs below it."""
    pieces = -(-(stop - node) // budget)
    for piece in range(pieces):
        first = node + (stop - node) * piece // pieces
        last = node + (stop - node) * (piece + 1) // pieces
        kept = range(first, last) if below or piece < pieces - 1 else range(0)
        yield Pass(first, last, path + first - node, ((first, last),), keep=kept)


PADDING_RATIO = 1.25
PADDING_SLACK = 8
"""Pieces share a group while the most keys are at most so many more than the fewest."""

CUT_FROM = 96
"""A smaller block is attended to as a whole."""

TOGETHER = 32
"""Neighbouring subtrees stay in one piece up to so many tokens: many tiny products cost more than a masked one."""

CAUSAL_FROM = 256
"""Chains with so many keys are left to the kernel's causal rule, which skips what is hidden a block at a time."""

PIECE_COST = 1000
"""What a piece costs beside its products, in pairs of query and key."""


@dataclass(frozen=True)
class _Piece:
    """Some of a block's nodes, whose attention is one product.

    Attributes:
        start: first node.
        stop: one past the last node.
        above: nodes of the block, before `start`, that all nodes of the piece see.
    """

    start: int
    stop: int
    above: tuple[int, ...] = ()

    @property
    def keys(self) -> int:
        """How many nodes its nodes may see."""
        return len(self.above) + self.stop - self.start

    @property
    def cost(self) -> int:
        """Of its attention, in pairs of query and key."""
        return (self.stop - self.start) * self.keys + PIECE_COST


def _cut(tree: TokenTree, block: _Piece) -> list[_Piece]:
    """A subtree in pieces, where that is less work than one product in which most pairs are masked."""
    chain = min(tree.chain(block.start), block.stop)
    if block.stop - block.start < CUT_FROM or chain == block.stop:
        return [block]
    above = (*block.above, *range(block.start, chain))
    pieces = [_Piece(block.start, chain, block.above)]
    node = first = chain
    while node < block.stop:
        end = min(int(tree.ends[node]), block.stop)
        if node > first and end - first > TOGETHER:
            pieces += _cut(tree, _Piece(first, node, above))
            first = node
        node = end
    pieces += _cut(tree, _Piece(first, block.stop, above))
    return pieces if sum(piece.cost for piece in pieces) < block.cost else [block]


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
    pieces = [piece for block in step.blocks for piece in _cut(tree, _Piece(*block))]
    groups = []
    for bucket in length_buckets([piece.keys for piece in pieces]):
        some = [pieces[number] for number in bucket]
        keys, seen = padded_runs([(*piece.above, *range(piece.start, piece.stop)) for piece in some], ALIGNMENT)
        causal = keys.shape[1] >= CAUSAL_FROM and all(_is_chain(tree, piece) for piece in some)
        queries, real = padded_runs([range(piece.start, piece.stop) for piece in some], ALIGNMENT if causal else 1)
        groups.append(
            Group(
                queries=torch.from_numpy(queries - step.start).to(device),
                into=torch.from_numpy(np.where(real, queries - step.start, step.size)).to(device),
                keys=torch.from_numpy(keys - step.start + (live_start if live is not None else 0)).to(device),
                visible=None if causal else torch.from_numpy(tree.sees(queries, keys) & seen[:, None, :]).to(device),
                query_depths=torch.from_numpy(tree.depths[queries]).to(device),
                key_depths=torch.from_numpy(tree.depths[keys]).to(device),
            )
        )
    return PassPlan(
        depths=torch.from_numpy(tree.depths[step.start : step.stop]).to(device),
        groups=tuple(groups),
        path=step.path,
        shared=shared,
        keep=range(step.keep.start - step.start, step.keep.stop - step.start),
        live=live,
        live_start=live_start,
    )


def _is_chain(tree: TokenTree, piece: _Piece) -> bool:
    return not piece.above and tree.chain(piece.start) >= piece.stop


def padded_runs(runs: Sequence[Sequence[int] | IntArray], multiple: int = 1) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Runs of nodes side by side, each filled up with its last node, and which places are real: [runs, width].

    The width is that of the longest run, rounded up to a multiple of `multiple`.
    """
    lengths = np.array([len(run) for run in runs])
    width = -(-lengths.max() // multiple) * multiple
    real = np.arange(width) < lengths[:, None]
    nodes = np.repeat(np.array([run[-1] for run in runs], dtype=np.int64)[:, None], width, axis=1)
    nodes[real] = np.concatenate([np.asarray(run, dtype=np.int64) for run in runs])
    return nodes, real


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


def run_body(network: Any, ids: npt.NDArray[np.int64], plan: PassPlan, read: IntArray) -> torch.Tensor:
    """Last hidden states (after the final norm) at the positions `read` of a pass, shape [read, width].

    Raises:
        Stopped: the thread's session was stopped before the pass began.
    """
    device = plan.depths.device
    places = torch.from_numpy(read).to(device)
    with torch.inference_mode(), tree_attention(network, plan, places), last_layer_at(network, places):
        check_stop()  # here, where it is this thread's turn: others may have run a pass since it asked for one
        output = network.base_model(
            input_ids=torch.from_numpy(ids).to(device)[None],
            position_ids=plan.depths[None],
            use_cache=False,
        )
        hidden: torch.Tensor = output.last_hidden_state[0, places]
    return hidden
