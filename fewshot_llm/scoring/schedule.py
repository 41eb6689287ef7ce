"""Cuts a token tree into forward passes of bounded size.

A pass is a run of the depth-first order whose tokens all see the same ancestors outside it (its path), and otherwise
only tokens of their own block. The keys and values of what several passes see are kept: a long shared chain is run by
itself, a short one together with what stands before it and with the first of what hangs below it. Everything else
comes in blocks of whole subtrees.
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
