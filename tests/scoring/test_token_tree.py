from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fewshot_llm.scoring import Encoded, build_tree, path_capacity, schedule

IDS = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple)
ROWS = st.lists(
    st.builds(Encoded, IDS, st.lists(IDS, min_size=1, max_size=4, unique=True).map(tuple)), min_size=1, max_size=12
)


def ancestors(tree, node):
    return [j for j in range(node + 1) if tree.ends[j] > node]


@given(rows=ROWS)
def test_every_node_spells_the_sequence_that_leads_to_it(rows):
    tree = build_tree(rows)
    for number, row in enumerate(rows):
        assert tuple(tree.ids[ancestors(tree, tree.last[number])]) == row.context
        trie = tree.tries[number]
        for node in range(1, len(trie.tokens)):
            place = int(tree.places[number][node])
            spelt = tuple(tree.ids[ancestors(tree, place)])
            assert spelt[: len(row.context)] == row.context
            assert any(answer[: len(spelt) - len(row.context)] == spelt[len(row.context) :] for answer in row.answers)
            assert tree.depths[place] == len(spelt) - 1


@given(rows=ROWS)
def test_contexts_are_held_once(rows):
    tree = build_tree(rows, with_labels=False)
    prefixes = {row.context[: n + 1] for row in rows for n in range(len(row.context))}
    assert len(tree.ids) == len(prefixes)


@given(rows=ROWS, budget=st.integers(1, 40))
def test_passes_run_every_node_once_and_see_all_their_ancestors(rows, budget):
    tree = build_tree(rows)
    path: list[int] = []
    covered: list[int] = []
    for step in schedule(tree, budget):
        assert step.size <= budget
        assert step.start == len(covered)
        covered += range(step.start, step.stop)
        path = path[: step.path]
        for first, last in step.blocks:
            for node in range(first, last):
                own = [j for j in range(first, node + 1) if tree.ends[j] > node]
                assert path + own == ancestors(tree, node)
        if step.keep:
            assert step.start <= step.keep.start <= step.keep.stop <= step.stop
            path += step.keep
            assert len(path) <= path_capacity(tree, budget)
    assert covered == list(range(len(tree.ids)))


@pytest.mark.parametrize("copies", [1, 5])
def test_rows_that_are_alike_share_their_nodes(copies):
    row = Encoded((1, 2, 3), ((4, 5), (4, 6), (7,)))
    assert len(build_tree([row] * copies).ids) == 4


def test_a_short_chain_rides_with_the_first_rows_below_it():
    rows = [Encoded((7, *range(100 * row, 100 * row + 50)), ((1,), (2,))) for row in range(1, 31)]
    passes = list(schedule(build_tree(rows), 512))
    assert [step.size for step in passes] == [501, 500, 500]
    assert [(step.path, len(step.keep)) for step in passes] == [(0, 1), (1, 0), (1, 0)]


def test_a_short_chain_does_not_cut_off_what_stands_before_it():
    few = [Encoded((5, *range(9000 + 100 * row, 9050 + 100 * row)), ((1,), (2,))) for row in range(4)]
    many = [Encoded((7, *range(100 * row, 100 * row + 50)), ((1,), (2,))) for row in range(1, 31)]
    passes = list(schedule(build_tree([*few, *many]), 512))
    assert [step.size for step in passes] == [502, 500, 500, 200]
    assert (len(passes[0].blocks), passes[0].keep) == (2, range(201, 202))
    assert [step.path for step in passes] == [0, 1, 1, 1]


@given(rows=ROWS)
def test_every_token_stands_once_whichever_rows_it_belongs_to(rows):
    prefixes = {row.context[: n + 1] for row in rows for n in range(len(row.context))}
    prefixes |= {row.context + a[: n + 1] for row in rows for a in row.answers for n in range(len(a) - 1)}
    tree = build_tree(rows)
    assert {tuple(tree.ids[ancestors(tree, node)]) for node in range(len(tree.ids))} == prefixes
    assert len(tree.ids) == len(prefixes)


@given(rows=ROWS, data=st.data())
def test_a_part_is_the_tree_of_some_rows(rows, data):
    some = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, unique=True))
    whole = build_tree(rows)
    nodes = np.unique(np.concatenate([whole.path(row) for row in some]))
    part, alone = whole.part(nodes, some), build_tree([rows[row] for row in some])
    assert len(part.ids) == len(alone.ids)
    everything = np.arange(len(nodes))
    assert (part.sees(everything, everything) == whole.sees(nodes, nodes)).all()
    for own, expected in zip(part.places, alone.places, strict=True):
        spelt = [part.ids[ancestors(part, node)].tolist() for node in own]
        assert spelt == [alone.ids[ancestors(alone, node)].tolist() for node in expected]
