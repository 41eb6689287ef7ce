from __future__ import annotations

import numpy as np
from hypothesis import given, strategies as st

from fewshot_llm.scoring import Frontier, Goal, build_trie

ANSWERS = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=5).map(tuple), min_size=1, max_size=12, unique=True
).map(tuple)


def edge_values(trie, seed):
    return -np.random.default_rng(seed).exponential(size=len(trie.edge_nodes))


@given(answers=ANSWERS, seed=st.integers(0, 2**32 - 1))
def test_an_answer_is_the_sum_of_its_edges(answers, seed):
    trie = build_trie(answers)
    values = edge_values(trie, seed)
    by_prefix = {}
    for node, token, value in zip(trie.edge_nodes, trie.edge_tokens, values, strict=True):
        prefix = []
        at = node
        while at > 0:
            prefix.append(int(trie.tokens[at]))
            at = trie.parents[at]
        by_prefix[(*prefix[::-1], int(token))] = value
    expected = [sum(by_prefix[answer[: n + 1]] for n in range(len(answer))) for answer in answers]
    np.testing.assert_allclose(trie.answer_scores(values), expected)


@given(answers=ANSWERS)
def test_only_inner_tokens_are_nodes_and_each_once(answers):
    inner = {answer[:n] for answer in answers for n in range(1, len(answer))}
    assert build_trie(answers).inner == len(inner)


@given(answers=ANSWERS)
def test_subtrees_are_runs_of_the_depth_first_order(answers):
    trie = build_trie(answers)
    for node in range(1, len(trie.tokens)):
        assert trie.parents[node] < node < trie.ends[node] <= trie.ends[trie.parents[node]]
        assert trie.depths[node] == trie.depths[trie.parents[node]] + 1


@given(answers=ANSWERS, seed=st.integers(0, 2**32 - 1), k=st.integers(1, 13), spread=st.sampled_from([0.0, 1.0, 9.0]))
def test_best_first_finds_what_full_scoring_finds(answers, seed, k, spread):
    trie = build_trie(answers)
    values = edge_values(trie, seed)
    offsets = np.random.default_rng(seed).normal(0, spread, len(answers))
    frontier = Frontier(trie, Goal(k, tuple(offsets.tolist()) if spread else None))
    opened = 0
    node = 0
    while node is not None:
        own = trie.edges_of(node)
        frontier.opened(node, {int(trie.edge_tokens[e]): float(values[e]) for e in own})
        opened += 1
        node = frontier.next_node()
    scores = trie.answer_scores(values) + offsets
    order = np.argsort(-scores, kind="stable")
    found = frontier.result()
    np.testing.assert_allclose(found.scores, scores[order[:k]])
    assert opened <= trie.inner + 1
    rest = order[k:]
    assert all(scores[r] <= found.bound + 1e-12 for r in rest)
