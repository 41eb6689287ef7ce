"""A batch of prompts and their label tries as one token tree, every node once, in depth-first order.

Two arrays describe the whole tree. `ends[j]` is one past the last node of j's subtree, so "j is an ancestor of i or i
itself" is `j <= i < ends[j]`; `depths` are the positions that the model is told. Common prefixes are found on the
token ids, whatever a template does.

Labels as a token trie: labels that share tokens share work, and a label's last token is never run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.types import IntArray

__all__ = ["LabelTrie", "TokenTree", "build_tree", "build_trie"]


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


@dataclass(frozen=True)
class TokenTree:
    """Unique tokens of a batch.

    Attributes:
        ids: token ids in depth-first order, shape [nodes].
        depths: distance from the sequence's first token, shape [nodes].
        ends: one past the last node of each subtree, shape [nodes].
        last: for each row the node of its context's last token, shape [rows].
        labels: for each row the first node of its label trie's inner tokens, shape [rows].
        tries: for each row its label trie.
    """

    ids: IntArray
    depths: IntArray
    ends: IntArray
    last: IntArray
    labels: IntArray
    tries: tuple[LabelTrie, ...]

    def chain(self, node: int) -> int:
        """One past the run of only children that begins at `node`."""
        same = self.ends[node : self.ends[node]] == self.ends[node]
        return node + (int(np.argmin(same)) if not same.all() else len(same))

    def nodes_of(self, row: int, trie_nodes: IntArray) -> IntArray:
        """Where nodes of a row's label trie stand in the tree; trie node 0 is the context's last token."""
        places: IntArray = np.where(trie_nodes == 0, self.last[row], self.labels[row] + trie_nodes - 1)
        return places


def build_tree(rows: Sequence[Encoded], *, with_labels: bool = True) -> TokenTree:
    """The token tree of encoded rows.

    Args:
        rows: token ids of prompts and answers. Rows that are alike share all their nodes.
        with_labels: whether the tries' inner tokens are nodes of the tree; without, only the contexts are.

    Returns:
        The tree. Its order is that of the sorted contexts; `last`, `labels` and `tries` are in the order of `rows`.
    """
    contexts = [np.array(row.context, dtype=np.int64) for row in rows]
    tries = tuple(build_trie(row.answers) for row in rows)
    order = sorted(range(len(rows)), key=lambda r: (rows[r].context, rows[r].answers))
    ids: list[IntArray] = []
    depths: list[IntArray] = []
    ends = np.zeros(sum(len(c) for c in contexts) + sum(t.inner for t in tries), dtype=np.int64)
    last, labels = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    size = 0
    path = np.zeros(0, dtype=np.int64)  # the nodes from the root to the end of the previous row's context
    before: int | None = None
    for row in order:
        context, trie = contexts[row], tries[row]
        shared = 0 if before is None else _common(contexts[before], context)
        ends[path[shared:]] = size
        if len(context) > shared:
            ids.append(context[shared:])
            depths.append(np.arange(shared, len(context)))
            path = np.concatenate([path[:shared], np.arange(size, size + len(context) - shared)])
            size += len(context) - shared
        last[row], labels[row] = path[-1], size
        if before is not None and rows[before] == rows[row]:
            labels[row] = labels[before]
        elif with_labels and trie.inner:
            ids.append(trie.tokens[1:])
            depths.append(len(context) - 1 + trie.depths[1:])
            ends[size : size + trie.inner] = size - 1 + trie.ends[1:]
            size += trie.inner
        before = row
    ends[path] = size
    return TokenTree(_join(ids), _join(depths), ends[:size], last, labels, tries)


def _common(a: IntArray, b: IntArray) -> int:
    """Length of the common prefix."""
    shorter = min(len(a), len(b))
    differing = a[:shorter] != b[:shorter]
    return int(np.argmax(differing)) if differing.any() else shorter


def _join(parts: Sequence[IntArray]) -> IntArray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
