"""A batch of prompts and their label tries as one token tree, every node once, in depth-first order.

Two arrays describe the whole tree. `ends[j]` is one past the last node of j's subtree, so "j is an ancestor of i or i
itself" is `j <= i < ends[j]`; `depths` are the positions that the model is told. Common prefixes are found on the
token ids, whatever a template does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.trie import LabelTrie, build_trie

__all__ = ["TokenTree", "build_tree"]

IntArray = npt.NDArray[np.int64]


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
