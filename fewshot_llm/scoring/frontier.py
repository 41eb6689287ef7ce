"""The exactly best labels without scoring all of them.

A label's log-probability only falls as its tokens are added, so a partial label's score bounds every label below it.
Opening the most probable partial label first therefore finds the best label, and after it the second best, exactly
(uniform-cost search: Dijkstra 1959, on the label trie).
"""

from __future__ import annotations

import heapq

from fewshot_llm.scoring.base import TopLabels
from fewshot_llm.scoring.trie import LabelTrie

__all__ = ["Frontier"]


class Frontier:
    """One row's search over its label trie.

    Example:
        >>> from fewshot_llm.scoring.trie import build_trie
        >>> frontier = Frontier(build_trie(((1, 2), (1, 3), (4,))), k=1)
        >>> frontier.opened(0, {1: -0.5, 4: -2.0})
        >>> frontier.next_node()  # the node of token 1 must be opened: both its labels may still be best
        1
        >>> frontier.opened(1, {2: -0.1, 3: -3.0})
        >>> frontier.next_node(), frontier.result().indices
        (None, (0,))
    """

    def __init__(self, trie: LabelTrie, k: int) -> None:
        self.trie = trie
        self._wanted = min(k, len(trie.lengths))
        self._open: list[tuple[float, int, int]] = []  # -log P; the answer, or -1 and the node that leads to some
        self._found: list[tuple[int, float]] = []
        self._log_probs = {0: 0.0}

    def opened(self, node: int, token_log_probs: dict[int, float]) -> None:
        """Take in log P(token | ..) of the edges that start from a node."""
        for edge in self.trie.edges_of(node):
            log_prob = self._log_probs[node] + token_log_probs[int(self.trie.edge_tokens[edge])]
            answer, child = int(self.trie.edge_answers[edge]), int(self.trie.edge_children[edge])
            if answer >= 0:
                heapq.heappush(self._open, (-log_prob, answer, -1))
            if child >= 0:
                self._log_probs[child] = log_prob
                heapq.heappush(self._open, (-log_prob, -1, child))

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
            log_probs=tuple(log_prob for _, log_prob in self._found),
            bound=-self._open[0][0] if self._open else float("-inf"),
        )
