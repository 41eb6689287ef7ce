"""A batch of prompts and their label tries as one token tree, every node once, in depth-first order.

Two arrays describe the whole tree. `ends[j]` is one past the last node of j's subtree, so "j is an ancestor of i or i
itself" is `j <= i < ends[j]`; `depths` are the positions that the model is told. Common prefixes are found on the
token ids, whatever a template does. Labels that share tokens share work, and a label's last token is never run.

Scoring and training read the same tree: a causal model gives each node exactly the hidden state that it would have in
its own row, so scores, losses and gradients equal those of separate sequences (tree attention as in SpecInfer, Miao et
al. 2023, https://arxiv.org/abs/2305.09781).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.types import IntArray

__all__ = ["LabelTrie", "TokenTree", "build_tree", "build_trie"]


BoolArray: TypeAlias = npt.NDArray[np.bool_]


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
    tokens, parents, depths = [0], [-1], [0]
    edges: list[list[int]] = []  # node, token, child, answer
    paths: list[list[tuple[int, int]]] = [[] for _ in answers]
    waiting: list[tuple[int, list[int]]] = [(-1, list(range(len(answers))))]  # the edge that leads to a node
    while waiting:
        edge, members = waiting.pop()
        node = 0
        if edge >= 0:
            node = edges[edge][2] = len(tokens)
            parent = edges[edge][0]
            tokens.append(edges[edge][1])
            parents.append(parent)
            depths.append(depths[parent] + 1)
        depth = depths[node]
        groups: dict[int, list[int]] = {}
        for member in members:
            if len(answers[member]) > depth:
                groups.setdefault(answers[member][depth], []).append(member)
        below = []
        for token, group in groups.items():
            if any(len(answers[m]) > depth + 1 for m in group):
                below.append((len(edges), group))
            edges.append([node, token, -1, next((m for m in group if len(answers[m]) == depth + 1), -1)])
            for member in group:
                paths[member].append((node, token))
        waiting += reversed(below)
    ends = list(range(1, len(tokens) + 1))
    for node in range(len(tokens) - 1, 0, -1):  # a node comes after its parent
        ends[parents[node]] = max(ends[parents[node]], ends[node])
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
    """Unique tokens of a batch: what is scored, and what is trained on.

    Attributes:
        ids: token ids in depth-first order, shape [nodes].
        depths: distance from the sequence's first token, shape [nodes].
        ends: one past the last node of each subtree, shape [nodes].
        last: for each row the node of its context's last token, shape [rows].
        places: for each row where its label trie's nodes stand; the first, the trie's root, is `last`.
        tries: for each row its label trie.
    """

    ids: IntArray
    depths: IntArray
    ends: IntArray
    last: IntArray
    places: tuple[IntArray, ...]
    tries: tuple[LabelTrie, ...]

    def chain(self, node: int) -> int:
        """One past the run of only children that begins at `node`."""
        same = self.ends[node : self.ends[node]] == self.ends[node]
        return node + (int(np.argmin(same)) if not same.all() else len(same))

    def sees(self, queries: IntArray, keys: IntArray) -> BoolArray:
        """Which keys are a query's ancestors or the query itself: the mask of all attention over the tree.

        Args:
            queries: nodes, shape [..., queries].
            keys: nodes, shape [..., keys].

        Returns:
            Shape [..., queries, keys].
        """
        # An ancestor comes before its descendants, and its subtree ends after them.
        seen: BoolArray = keys[..., None, :] <= queries[..., :, None]
        seen &= queries[..., :, None] < self.ends[keys][..., None, :]
        return seen

    def path(self, row: int) -> IntArray:
        """A row's own nodes in ascending order: its context, and every answer token that another one follows."""
        last = self.last[row]
        return np.union1d(np.flatnonzero(self.ends[: last + 1] > last), self.places[row])

    def part(self, nodes: IntArray, rows: Sequence[int]) -> TokenTree:
        """The tree of some rows alone.

        Args:
            nodes: all nodes of the rows' paths, each once, ascending.
            rows: the rows, in the order that they shall have.
        """
        return TokenTree(
            self.ids[nodes],
            self.depths[nodes],
            np.searchsorted(nodes, self.ends[nodes]),
            np.searchsorted(nodes, self.last[list(rows)]),
            tuple(np.searchsorted(nodes, self.places[row]) for row in rows),
            tuple(self.tries[row] for row in rows),
        )


def build_tree(rows: Sequence[Encoded], *, with_labels: bool = True) -> TokenTree:
    """The token tree of encoded rows: every token stands in it once, whichever rows it belongs to.

    Args:
        rows: token ids of prompts and answers.
        with_labels: whether the tries' inner tokens are nodes of the tree; without, only the contexts are.

    Returns:
        The tree. Its order is that of the sorted contexts; `last`, `places` and `tries` are in the order of `rows`.
    """
    contexts = [np.array(row.context, dtype=np.int64) for row in rows]
    order = sorted(range(len(rows)), key=lambda r: (rows[r].context, rows[r].answers))
    ids: list[IntArray] = []
    depths: list[IntArray] = []
    ends: list[IntArray] = []
    finished: list[tuple[IntArray, int]] = []  # nodes of contexts, and where their subtrees end
    places = [np.zeros(1, dtype=np.int64)] * len(rows)
    size = 0
    path = np.zeros(0, dtype=np.int64)  # the nodes from the root to the end of the previous family's context
    for family, shared in _families(contexts, order):
        context = contexts[family[0]]
        trie, inside = _below([rows[row] for row in family], with_labels)
        finished.append((path[shared:], size))
        path = np.concatenate([path[:shared], np.arange(size, size + len(context) - shared)])
        ids += [context[shared:], trie.tokens[1:]]
        depths += [np.arange(shared, len(context)), len(context) - 1 + trie.depths[1:]]
        size += len(context) - shared
        ends += [np.zeros(len(context) - shared, dtype=np.int64), size - 1 + trie.ends[1:]]
        nodes = np.concatenate([path[-1:], np.arange(size, size + trie.inner)])
        for row, own in zip(family, inside, strict=True):
            places[row] = nodes[own]
        size += trie.inner
    finished.append((path, size))
    joined = _join(ends)
    for context_nodes, end in finished:
        joined[context_nodes] = end
    last = np.array([own[0] for own in places], dtype=np.int64)
    tries = tuple(build_trie(row.answers) for row in rows)
    return TokenTree(_join(ids), _join(depths), joined, last, tuple(places), tries)


def _families(contexts: Sequence[IntArray], order: Sequence[int]) -> Iterator[tuple[list[int], int]]:
    """Rows whose contexts begin with the whole context of the first of them, one after the other.

    Args:
        contexts: token ids of each row.
        order: rows by their sorted contexts.

    Yields:
        The rows, and how many tokens their context has in common with the one before.
    """
    family: list[int] = []
    shared = 0
    for row in order:
        common = _common(contexts[family[0]], contexts[row]) if family else 0
        if family and common == len(contexts[family[0]]):
            family.append(row)
            continue
        if family:
            yield family, shared
        family, shared = [row], common
    if family:
        yield family, shared


def _below(family: Sequence[Encoded], with_labels: bool) -> tuple[LabelTrie, list[IntArray]]:
    """All that hangs below the first context of a family as one trie, and where each row's own trie stands in it."""
    first = family[0]
    if with_labels and all(row == first for row in family):  # nearly always: no row's prompt begins another's
        trie = build_trie(first.answers)
        return trie, [np.arange(len(trie.tokens))] * len(family)
    asked = [row.answers if with_labels else ((-1,),) for row in family]  # an answer's last token is no node
    beyond = [row.context[len(first.context) :] for row in family]
    number: dict[tuple[int, ...], int] = {}
    for rest, answers in zip(beyond, asked, strict=True):
        for answer in answers:
            number.setdefault(rest + answer, len(number))
    whole = build_trie(tuple(number))
    inside = []
    for rest, answers in zip(beyond, asked, strict=True):
        own = build_trie(answers)
        nodes = np.zeros(len(own.tokens), dtype=np.int64)
        for answer, path in zip(answers, own.paths, strict=True):
            steps = whole.paths[number[rest + answer]][len(rest) :][: len(answer)]
            nodes[own.edge_nodes[path[: len(answer)]]] = whole.edge_nodes[steps]
        inside.append(nodes)
    return whole, inside


def _common(a: IntArray, b: IntArray) -> int:
    """Length of the common prefix."""
    shorter = min(len(a), len(b))
    differing = a[:shorter] != b[:shorter]
    return int(np.argmax(differing)) if differing.any() else shorter


def _join(parts: Sequence[IntArray]) -> IntArray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
