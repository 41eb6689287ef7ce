"""The exactly best labels without scoring all of them.

A label's log-probability only falls as its tokens are added, so a partial label's score, plus the largest offset of
the labels below it, bounds every one of them. Opening the partial label with the highest bound first therefore finds
the best label, and after it the second best, exactly (A* with an admissible bound: Hart, Nilsson and Raphael 1968;
without offsets uniform-cost search, on the label trie).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import lru_cache

from fewshot_llm.scoring.base import TopLabels
from fewshot_llm.scoring.trie import LabelTrie

__all__ = ["Frontier", "Goal", "highest_offsets"]


@dataclass(frozen=True)
class Goal:
    """What a search looks for.

    Attributes:
        k: how many answers.
        offsets: nats added to each answer's log-probability before answers are ranked; None adds nothing.
    """

    k: int = 1
    offsets: tuple[float, ...] | None = None


class Frontier:
    """One row's search over its label trie.

    Example:
        >>> from fewshot_llm.scoring.trie import build_trie
        >>> frontier = Frontier(build_trie(((1, 2), (1, 3), (4,))), Goal(k=1))
        >>> frontier.opened(0, {1: -0.5, 4: -2.0})
        >>> frontier.next_node()  # the node of token 1 must be opened: both its labels may still be best
        1
        >>> frontier.opened(1, {2: -0.1, 3: -3.0})
        >>> frontier.next_node(), frontier.result().indices
        (None, (0,))
    """

    def __init__(self, trie: LabelTrie, goal: Goal) -> None:
        self.trie = trie
        self._wanted = min(goal.k, len(trie.lengths))
        self._offsets = (0.0,) * len(trie.lengths) if goal.offsets is None else goal.offsets
        self._highest = highest_offsets(trie, self._offsets)
        self._open: list[tuple[float, int, int]] = []  # -bound; the answer, or -1 and the node that leads to some
        self._found: list[tuple[int, float]] = []
        self._log_probs = {0: 0.0}

    def opened(self, node: int, token_log_probs: dict[int, float]) -> None:
        """Take in log P(token | ..) of the edges that start from a node."""
        for edge in self.trie.edges_of(node):
            log_prob = self._log_probs[node] + token_log_probs[int(self.trie.edge_tokens[edge])]
            answer, child = int(self.trie.edge_answers[edge]), int(self.trie.edge_children[edge])
            if answer >= 0:
                heapq.heappush(self._open, (-log_prob - self._offsets[answer], answer, -1))
            if child >= 0:
                self._log_probs[child] = log_prob
                heapq.heappush(self._open, (-log_prob - self._highest[child], -1, child))

    def next_node(self) -> int | None:
        """The node to open next; None when the best k are known."""
        while self._open and len(self._found) < self._wanted:
            cost, answer, node = heapq.heappop(self._open)
            if answer < 0:
                return node
            self._found.append((answer, -cost))
        return None

    def result(self) -> TopLabels:
        """The best k, once `next_node` gave None."""
        return TopLabels(
            indices=tuple(answer for answer, _ in self._found),
            scores=tuple(score for _, score in self._found),
            bound=-self._open[0][0] if self._open else float("-inf"),
        )


@lru_cache(maxsize=256)
def highest_offsets(trie: LabelTrie, offsets: tuple[float, ...]) -> tuple[float, ...]:
    """For each node the largest offset of the answers below it, shape [nodes]; the same for all rows of a label set.

    >>> from fewshot_llm.scoring.trie import build_trie
    >>> highest_offsets(build_trie(((1, 2), (1, 3), (4,))), (0.5, -1.0, 2.0))
    (2.0, 0.5)
    """
    highest = [float("-inf")] * len(trie.tokens)
    for node, answer in zip(trie.edge_nodes.tolist(), trie.edge_answers.tolist(), strict=True):
        if answer >= 0:
            highest[node] = max(highest[node], offsets[answer])
    for node in range(len(highest) - 1, 0, -1):  # a node comes after its parent
        parent = int(trie.parents[node])
        highest[parent] = max(highest[parent], highest[node])
    return tuple(highest)
