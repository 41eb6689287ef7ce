"""Rows as one token tree: what several rows share is computed once, and nothing is padded.

Training rows have much in common: the instruction, perhaps the demonstrations, and every candidate label of
one row follows the same text. All rows are laid into one prefix tree whose nodes are tokens. A batch is a set of
paths through it, flattened into a single sequence in which a token attends to its ancestors only, and whose
position is its depth. A causal model gives each node exactly the hidden state it would have in its own row, so
losses and gradients equal those of separate sequences (tree attention as in SpecInfer, Miao et al. 2023,
https://arxiv.org/abs/2305.09781, here with gradients).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fewshot_llm.errors import TuningError
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.types import IntArray

__all__ = ["Pack", "TokenTree", "split_rows"]


@dataclass(frozen=True)
class Pack:
    """Some rows of a `TokenTree`, flattened for one forward pass of n tokens and s scored places.

    Attributes:
        nodes: the tree's node at each place, shape [n], parents before children.
        tokens: token ids, shape [n].
        positions: depth of each token in its row, shape [n].
        visible: whether place i attends to place j, shape [n, n].
        scored: places whose next token is scored, shape [s].
        terms: for each scored token (place among `scored`, token id, row in the pack, label), shape [t, 4].
        rows: the rows of the tree, in order.
        labels: labels per row.
    """

    nodes: torch.Tensor
    tokens: torch.Tensor
    positions: torch.Tensor
    visible: torch.Tensor
    scored: torch.Tensor
    terms: torch.Tensor
    rows: tuple[int, ...]
    labels: int

    def to(self, device: torch.device) -> Pack:
        """The same pack with its tensors on `device`."""
        names = ("nodes", "tokens", "positions", "visible", "scored", "terms")
        moved = {name: getattr(self, name).to(device) for name in names}
        return Pack(**moved, rows=self.rows, labels=self.labels)


@dataclass(frozen=True)
class TokenTree:
    """All rows of a training set as a prefix tree over token ids.

    Attributes:
        tokens: token id of each node, shape [N]; a parent always stands before its children.
        parents: parent of each node, -1 for a first token, shape [N].
        depths: distance from the row's first token, shape [N].
        paths: per row, its nodes in ascending order: the context and every answer token that has a follower.
        terms: per row, one line (node, next token, label) for each scored token, shape [t, 3].
        labels: answers per row, the same for all rows.
    """

    tokens: IntArray
    parents: IntArray
    depths: IntArray
    paths: tuple[IntArray, ...]
    terms: tuple[IntArray, ...]
    labels: int

    @classmethod
    def grow(cls, rows: Sequence[Encoded]) -> TokenTree:
        """Lay rows into a tree.

        Raises:
            TuningError: no rows, a row without context, or rows with different numbers of answers.
        """
        if not rows:
            raise TuningError("There is nothing to train on: 0 rows were given. Give at least one labelled row.")
        if len({len(row.answers) for row in rows}) != 1:
            raise TuningError("The rows have different numbers of candidate labels; encode all with one label set.")
        children: dict[tuple[int, int], int] = {}
        tokens: list[int] = []
        parents: list[int] = []
        depths: list[int] = []

        def step(parent: int, token: int) -> int:
            node = children.get((parent, token))
            if node is None:
                node = children[parent, token] = len(tokens)
                tokens.append(token)
                parents.append(parent)
                depths.append(depths[parent] + 1 if parent >= 0 else 0)
            return node

        paths, terms = [], []
        for number, row in enumerate(rows):
            if not row.context or not all(row.answers):
                raise TuningError(f"Row {number} has an empty prompt or an empty answer, so no token can be scored.")
            nodes: list[int] = []
            end = -1
            for token in row.context:
                end = step(end, token)
                nodes.append(end)
            scored: list[tuple[int, int, int]] = []
            for label, answer in enumerate(row.answers):
                node = end
                for place, token in enumerate(answer):
                    scored.append((node, token, label))
                    if place + 1 < len(answer):
                        node = step(node, token)
                        nodes.append(node)
            paths.append(np.unique(np.array(nodes, dtype=np.int64)))
            terms.append(np.array(scored, dtype=np.int64))
        return cls(
            tokens=np.array(tokens, dtype=np.int64),
            parents=np.array(parents, dtype=np.int64),
            depths=np.array(depths, dtype=np.int64),
            paths=tuple(paths),
            terms=tuple(terms),
            labels=len(rows[0].answers),
        )

    def pack(self, rows: Sequence[int]) -> Pack:
        """Flatten the paths of `rows` into one sequence."""
        nodes = np.unique(np.concatenate([self.paths[row] for row in rows]))
        place = {int(node): index for index, node in enumerate(nodes)}
        visible = np.zeros((len(nodes), len(nodes)), dtype=np.bool_)
        for index, node in enumerate(nodes):
            parent = int(self.parents[node])
            if parent >= 0:
                visible[index] = visible[place[parent]]
            visible[index, index] = True
        flat = np.concatenate(
            [np.column_stack([self.terms[row], np.full(len(self.terms[row]), i)]) for i, row in enumerate(rows)]
        )
        scored, which = np.unique(flat[:, 0], return_inverse=True)
        return Pack(
            nodes=torch.from_numpy(nodes),
            tokens=torch.from_numpy(self.tokens[nodes]),
            positions=torch.from_numpy(self.depths[nodes]),
            visible=torch.from_numpy(visible),
            scored=torch.tensor([place[int(node)] for node in scored], dtype=torch.long),
            terms=torch.from_numpy(np.column_stack([which, flat[:, 1], flat[:, 3], flat[:, 2]])),
            rows=tuple(rows),
            labels=self.labels,
        )


def split_rows(tree: TokenTree, rows: Sequence[int], token_limit: int) -> list[list[int]]:
    """Split rows into groups whose packs hold at most `token_limit` tokens (a longer row stands alone).

    Rows are taken by length, so that a group that must be split wastes little, and a row's shared beginning is
    counted once per group.
    """
    groups: list[list[int]] = []
    held: set[int] = set()
    for row in sorted(rows, key=lambda row: len(tree.paths[row])):
        path = set(tree.paths[row].tolist())
        if groups and len(held | path) <= token_limit:
            groups[-1].append(row)
            held |= path
        else:
            groups.append([row])
            held = path
    return groups
