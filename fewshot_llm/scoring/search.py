"""The exactly best labels of a batch without scoring all of them.

A label's log-probability only falls as its tokens are added, so a partial label's score, plus the largest offset of
the labels below it, bounds every one of them. Opening the partial label with the highest bound first therefore finds
the best label, and after it the second best, exactly (A* with an admissible bound: Hart, Nilsson and Raphael 1968;
without offsets uniform-cost search, on the label trie).

Each row runs its own search (`Frontier`), over contexts that share one token tree. A round is one forward pass over the
trie nodes that the rows of a group want opened. Keys and values of the group's contexts stay readable until all its
rows are done.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fewshot_llm.models.load import LanguageModel
from fewshot_llm.scoring.attention import ALIGNMENT, Group, KeyValues, PassPlan
from fewshot_llm.scoring.base import TopLabels
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.head import causal_network, token_log_probs
from fewshot_llm.scoring.passes import (
    Pass,
    Profile,
    length_buckets,
    padded_runs,
    path_capacity,
    plan_pass,
    run_body,
    schedule,
)
from fewshot_llm.scoring.token_tree import LabelTrie, TokenTree, build_tree

__all__ = ["Frontier", "Goal", "search_rows"]


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
        >>> from fewshot_llm.scoring.token_tree import build_trie
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
        self._highest = _highest_offsets(trie, self._offsets)
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
def _highest_offsets(trie: LabelTrie, offsets: tuple[float, ...]) -> tuple[float, ...]:
    """For each node the largest offset of the answers below it, shape [nodes]; the same for all rows of a label set.

    >>> from fewshot_llm.scoring.token_tree import build_trie
    >>> _highest_offsets(build_trie(((1, 2), (1, 3), (4,))), (0.5, -1.0, 2.0))
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


LIVE_TOKENS = 4096
"""Context tokens whose rows are searched together: more rows a round make better matrix products."""


@dataclass
class _Row:
    """One row in search: its frontier, and where the tokens that its next node sees stand among the live ones."""

    frontier: Frontier
    context: npt.NDArray[np.int64]
    depth: int
    places: dict[int, int] = field(default_factory=dict)

    def keys(self, node: int, own_place: int) -> npt.NDArray[np.int64]:
        """Live positions that a trie node sees: the context's block, the opened nodes above it, itself."""
        self.places[node] = own_place
        above, parents = [], self.frontier.trie.parents
        while node > 0:
            above.append(self.places[node])
            node = int(parents[node])
        return np.concatenate([self.context, above[::-1]])


def search_rows(
    language_model: LanguageModel, rows: Sequence[Encoded], goal: Goal, budget: int, report: Callable[[int], None]
) -> tuple[list[TopLabels], Profile]:
    """The exactly best answers of encoded prompts.

    Args:
        language_model: what to score with.
        rows: encoded prompts.
        goal: how many answers each, and what ranks them.
        budget: tokens a forward pass.
        report: called with the number of rows that are finished.

    Returns:
        The best answers in the order of `rows`, and what they cost.
    """
    unique = list(dict.fromkeys(rows))
    tree = build_tree(unique, with_labels=False)
    search = _Search(causal_network(language_model.model), language_model.device, tree, goal, budget)
    for group in _groups(schedule(tree, budget)):
        search.run(group)
        report(len(search.results))
    place = {row: number for number, row in enumerate(unique)}
    return [search.results[place[row]] for row in rows], search.profile


def _groups(passes: Iterable[Pass]) -> Iterator[list[Pass]]:
    """Passes that follow each other along one path, as many as fit the live tokens."""
    group: list[Pass] = []
    for step in passes:
        if group and (group[-1].keep or step.keep or step.path != group[0].path or _size(group) >= LIVE_TOKENS):
            yield group
            group = []
        group.append(step)
    if group:
        yield group


def _size(group: Sequence[Pass]) -> int:
    return group[-1].stop - group[0].start


class _Search:
    """State of one batch's search."""

    def __init__(self, network: Any, device: torch.device, tree: TokenTree, goal: Goal, budget: int) -> None:
        self.network, self.device, self.tree, self.goal, self.budget = network, device, tree, goal, budget
        self.shared = KeyValues(path_capacity(tree, budget))
        self.by_last = np.argsort(tree.last, kind="stable")
        self.results: dict[int, TopLabels] = {}
        self.profile = Profile()

    def run(self, group: Sequence[Pass]) -> None:
        """Run the contexts of a group of passes, then search all rows whose context ends there."""
        start = group[0].start
        ending = self._rows_ending(start, group[-1].stop)
        live = KeyValues(_size(group) + 4 * len(ending)) if len(ending) else None
        rows: dict[int, _Row] = {}
        for step in group:
            plan = plan_pass(self.tree, step, self.shared, self.device, live=live, live_start=step.start - start)
            here = self._rows_ending(step.start, step.stop)
            hidden = self._body(self.tree.ids[step.start : step.stop], plan, self.tree.last[here] - step.start)
            blocks = np.array([first for first, _ in step.blocks])
            for row in here:
                last = int(self.tree.last[row])
                first = int(blocks[np.searchsorted(blocks, last, side="right") - 1])
                context = first + np.flatnonzero(self.tree.ends[first : last + 1] > last) - start
                rows[int(row)] = _Row(Frontier(self.tree.tries[row], self.goal), context, int(self.tree.depths[last]))
            self._read(hidden, [(rows[int(row)], 0) for row in here])
        if live is not None:
            self._rounds(list(rows.values()), live, _size(group), group[0].path)
        self.results.update((row, state.frontier.result()) for row, state in rows.items())

    def _rounds(self, rows: Sequence[_Row], live: KeyValues, place: int, path: int) -> None:
        """Open one node of every unfinished row, until all are finished."""
        while wanted := [(row, node) for row in rows if (node := row.frontier.next_node()) is not None]:
            for first in range(0, len(wanted), self.budget):
                some = wanted[first : first + self.budget]
                ids = np.array([row.frontier.trie.tokens[node] for row, node in some])
                hidden = self._body(ids, self._plan_round(some, live, place, path), np.arange(len(some)))
                place += len(some)
                self._read(hidden, some)

    def _plan_round(self, wanted: Sequence[tuple[_Row, int]], live: KeyValues, place: int, path: int) -> PassPlan:
        live.grow(place + len(wanted))
        keys = [row.keys(node, place + number) for number, (row, node) in enumerate(wanted)]
        depths = np.array([row.depth + row.frontier.trie.depths[node] for row, node in wanted])
        groups = []
        for members in length_buckets([len(own) for own in keys]):
            padded, real = padded_runs([keys[m] for m in members], ALIGNMENT)
            # What a node sees, in order, are the tokens right before it: the last of n keys has its own depth.
            key_depths = depths[members][:, None] - real.sum(axis=1)[:, None] + 1 + np.arange(padded.shape[1])
            groups.append(
                Group(
                    queries=self._tensor(members[:, None]),
                    into=self._tensor(members[:, None]),
                    keys=self._tensor(padded),
                    visible=self._tensor(real)[:, None],
                    query_depths=self._tensor(depths[members][:, None]),
                    key_depths=self._tensor(key_depths),
                )
            )
        return PassPlan(
            depths=self._tensor(depths),
            groups=tuple(groups),
            path=path,
            shared=self.shared,
            live=live,
            live_start=place,
        )

    def _read(self, hidden: torch.Tensor, asked: Sequence[tuple[_Row, int]]) -> None:
        """Give each row the log-probabilities of the edges that leave its node, read from one hidden state each."""
        if not asked:
            return
        edges = [row.frontier.trie.edges_of(node) for row, node in asked]
        tokens = [
            row.frontier.trie.edge_tokens[own.start : own.stop] for (row, _), own in zip(asked, edges, strict=True)
        ]
        pairs = np.repeat(np.arange(len(asked)), [len(own) for own in edges])
        with torch.inference_mode():
            found = token_log_probs(
                self.network,
                hidden,
                self._tensor(pairs),
                self._tensor(np.concatenate(tokens)),
            ).tolist()
        at = 0
        for (row, node), own in zip(asked, tokens, strict=True):
            row.frontier.opened(node, dict(zip(own.tolist(), found[at : at + len(own)], strict=True)))
            at += len(own)
        self.profile += Profile(positions=len(asked))

    def _body(self, ids: npt.NDArray[np.int64], plan: PassPlan, read: npt.NDArray[np.int64]) -> torch.Tensor:
        self.profile += Profile(computed=len(ids), passes=1)
        return run_body(self.network, ids, plan, read)

    def _rows_ending(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        first, last = np.searchsorted(self.tree.last[self.by_last], [start, stop])
        return self.by_last[first:last]

    def _tensor(self, array: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)
