"""Labels as a token trie: labels that share tokens share work, and a label's last token is never run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["LabelTrie", "build_trie"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)  # one object per label set: told apart, and remembered, by identity
class LabelTrie:
    """The trie of a label set's token ids, in depth-first order.

    Node 0 is the root: the prompt's last token, which is not part of the trie's own tokens. Node n > 0 is an inner
    token that has to be run through the model. Edges are what the model is asked for: the log-probability of a
    token after a node. A label is a path of edges; its last edge leads to a leaf, and leaves are no nodes.

    Attributes:
        tokens: token of each node, shape [nodes]; 0 for the root.
        parents: parent of each node, shape [nodes]; -1 for the root.
        depths: tokens below the root, shape [nodes].
        ends: one past the last node of each node's subtree, shape [nodes].
        edge_nodes: the node that each edge starts from, ascending, shape [edges].
        edge_tokens: the token that each edge asks for, shape [edges].
        edge_children: the node that each edge leads to, -1 where it only ends labels, shape [edges].
        edge_answers: the answer that ends with each edge, -1 where none does, shape [edges].
        paths: for each answer its edges, padded with `len(edge_nodes)`, shape [answers, longest].
        lengths: tokens of each answer, shape [answers].
    """

    tokens: IntArray
    parents: IntArray
    depths: IntArray
    ends: IntArray
    edge_nodes: IntArray
    edge_tokens: IntArray
    edge_children: IntArray
    edge_answers: IntArray
    paths: IntArray
    lengths: IntArray

    @property
    def inner(self) -> int:
        """How many tokens have to be run besides the prompt."""
        return len(self.tokens) - 1

    def answer_scores(self, edge_log_probs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sum edges to answers: shape [..., edges] to [..., answers]."""
        padded = np.concatenate([edge_log_probs, np.zeros((*edge_log_probs.shape[:-1], 1))], axis=-1)
        summed: npt.NDArray[np.float64] = padded[..., self.paths].sum(axis=-1)
        return summed

    def edges_of(self, node: int) -> range:
        """The edges that start from a node."""
        first, last = np.searchsorted(self.edge_nodes, [node, node + 1])
        return range(int(first), int(last))


@lru_cache(maxsize=256)
def build_trie(answers: tuple[tuple[int, ...], ...]) -> LabelTrie:
    """The trie of some answers' token ids.

    >>> trie = build_trie(((5, 6), (5, 7, 8), (9,)))
    >>> trie.inner, trie.tokens.tolist(), trie.edge_tokens.tolist()
    (2, [0, 5, 7], [5, 9, 6, 7, 8])
    """
    tokens, parents, depths, ends = [0], [-1], [0], [0]
    edges: list[tuple[int, int, int, int]] = []  # node, token, child, answer
    paths: list[list[tuple[int, int]]] = [[] for _ in answers]

    def grow(node: int, members: Sequence[int]) -> None:
        depth = depths[node]
        groups: dict[int, list[int]] = {}
        for member in members:
            if len(answers[member]) > depth:
                groups.setdefault(answers[member][depth], []).append(member)
        for token, group in groups.items():
            ending = next((m for m in group if len(answers[m]) == depth + 1), -1)
            child = -1
            if any(len(answers[m]) > depth + 1 for m in group):
                child = len(tokens)
                tokens.append(token)
                parents.append(node)
                depths.append(depth + 1)
                ends.append(0)
                grow(child, group)
            edges.append((node, token, child, ending))
            for member in group:
                paths[member].append((node, token))
        ends[node] = len(tokens)

    grow(0, range(len(answers)))
    edges.sort(key=lambda edge: edge[0])
    place = {(node, token): at for at, (node, token, _, _) in enumerate(edges)}
    longest = max(map(len, answers))
    padded = [[place[step] for step in path] + [len(edges)] * (longest - len(path)) for path in paths]
    nodes, edge_tokens, children, ending_answers = np.array(edges, dtype=np.int64).T
    return LabelTrie(
        np.array(tokens),
        np.array(parents),
        np.array(depths),
        np.array(ends),
        nodes,
        edge_tokens,
        children,
        ending_answers,
        np.array(padded, dtype=np.int64),
        np.array([len(a) for a in answers]),
    )
