"""Cuts a token tree into forward passes of bounded size.

A pass is a run of the depth-first order whose tokens all see the same ancestors outside it (its path), and otherwise
only tokens of their own block. The keys and values of what several passes see are kept: a long shared chain is run by
itself, a short one together with the first of what hangs below it. Everything else comes in blocks of whole subtrees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fewshot_llm.scoring.token_tree import TokenTree

__all__ = ["Pass", "path_capacity", "schedule"]

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
        keep: how many of its first nodes extend the path for those that follow.
    """

    start: int
    stop: int
    path: int
    blocks: tuple[tuple[int, int], ...]
    keep: int

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
                yield from _block_pass(blocks, path)
                if chain - node < min(MIN_SHARED, budget):
                    done = _filled(tree, node, chain, end, budget)
                    yield Pass(node, done, path, ((node, done),), keep=chain - node)
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
    return max((step.path + step.keep for step in schedule(tree, budget) if step.keep), default=0)


def _stands_alone(tree: TokenTree, node: int, budget: int) -> bool:
    size = int(tree.ends[node]) - node
    if size > budget:
        return True
    if size < MIN_SHARED + MIN_BELOW:
        return False
    shared = tree.chain(node) - node
    return shared >= MIN_SHARED and size - shared >= MIN_BELOW


def _filled(tree: TokenTree, node: int, chain: int, end: int, budget: int) -> int:
    """One past the subtrees below a chain that fit into its pass."""
    done = chain
    while done < end and int(tree.ends[done]) - node <= budget:
        done = int(tree.ends[done])
    return done


def _block_pass(blocks: list[tuple[int, int]], path: int) -> Iterator[Pass]:
    if blocks:
        yield Pass(blocks[0][0], blocks[-1][1], path, tuple(blocks), keep=0)


def _chain_passes(node: int, stop: int, path: int, budget: int, *, below: bool) -> Iterator[Pass]:
    """A chain in pieces of nearly equal length; the last one is kept only where something hangs below it."""
    pieces = -(-(stop - node) // budget)
    for piece in range(pieces):
        first = node + (stop - node) * piece // pieces
        last = node + (stop - node) * (piece + 1) // pieces
        kept = last - first if below or piece < pieces - 1 else 0
        yield Pass(first, last, path + first - node, ((first, last),), keep=kept)
