"""Who sees whom in a pass, whatever pieces its blocks are cut into."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from fewshot_llm.models import decoder_layers
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import (
    ALIGNMENT,
    Encoded,
    KeyValues,
    Pass,
    PassPlan,
    ReferenceScorer,
    TokenTree,
    TreeScorer,
    build_tree,
    passes,
    plan_pass,
    run_body,
    schedule,
)
from tests.conftest import CORPUS, SHAPES, tiny_model
from tests.scoring.test_token_tree import ROWS, ancestors

CPU = torch.device("cpu")


def planned(tree: TokenTree, step: Pass) -> PassPlan:
    return plan_pass(tree, step, KeyValues(0), CPU)


def seen_by_node(plan: PassPlan, start: int) -> dict[int, list[int]]:
    """For each node of the pass, by where its result goes, the nodes that it sees."""
    found = {}
    for group in plan.groups:
        blocks, length = group.queries.shape
        visible = torch.ones(length, length, dtype=torch.bool).tril().expand(blocks, -1, -1)
        if group.visible is not None:
            visible = group.visible
        for block in range(blocks):
            keys = group.keys[block].numpy() + start
            for place, mask in zip(group.into[block].tolist(), visible[block], strict=True):
                if place < len(plan.depths):
                    assert place not in found
                    found[place] = sorted(keys[mask.numpy()])
    return found


@given(rows=ROWS, budget=st.integers(1, 60), together=st.integers(0, 6))
def test_every_node_sees_its_ancestors_once(rows, budget, together):
    tree = build_tree(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "CUT_FROM", 3)
        patch.setattr(passes, "TOGETHER", together)
        patch.setattr(passes, "PIECE_COST", 0)
        for step in schedule(tree, budget):
            plan = planned(tree, step)
            seen = seen_by_node(plan, step.start)
            for first, last in step.blocks:
                for node in range(first, last):
                    assert seen[node - step.start] == [a for a in ancestors(tree, node) if a >= first]


def rows_with(shared: int) -> list[Encoded]:
    """40 rows of 20 tokens after `shared` common ones."""
    return [Encoded((*range(shared), *range(1000 + 20 * row, 1020 + 20 * row)), ((1,), (2,))) for row in range(40)]


def pairs(plan: PassPlan) -> int:
    return sum(group.queries.numel() * group.keys.shape[1] for group in plan.groups)


def test_a_few_common_tokens_do_not_make_one_large_product():
    apart, common = (build_tree(rows_with(shared)) for shared in (0, 3))
    (alone,), (together,) = (list(schedule(tree, 4096)) for tree in (apart, common))
    assert len(alone.blocks) == 40
    assert len(together.blocks) == 1
    assert pairs(planned(common, together)) < 1.3 * pairs(planned(apart, alone))


def test_a_long_chain_is_left_to_the_kernels_causal_rule():
    tree = build_tree(rows_with(300))
    chain = next(schedule(tree, 4096))
    assert chain.keep
    (group,) = planned(tree, chain).groups
    assert group.visible is None
    assert group.queries.shape == group.keys.shape == (1, 304)


def test_key_runs_are_as_wide_as_the_kernel_likes_them():
    tree = build_tree(rows_with(3))
    groups = [group for step in schedule(tree, 4096) for group in planned(tree, step).groups]
    assert all(group.keys.shape[1] % ALIGNMENT == 0 for group in groups)
    assert any(group.queries.shape[1] % ALIGNMENT for group in groups)


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_of_blocks_in_pieces_equal_the_reference(shape):
    model = tiny_model(shape)
    prompts = [
        Prompt(f"Say: {CORPUS[n % len(CORPUS)]}{n}\nIntent:", (" track order", " cancel", "退款")) for n in range(24)
    ]
    found = TreeScorer(model, 4096).log_probs(prompts)
    for own, expected in zip(found, ReferenceScorer(model).log_probs(prompts), strict=True):
        np.testing.assert_allclose(own.log_probs, expected.log_probs, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_last_layer_is_worked_out_where_it_is_read(shape):
    model = tiny_model(shape).model
    tree = build_tree([Encoded(tuple(range(10, 40)), ((1,), (2,)))])
    (step,) = schedule(tree, 4096)
    run = []
    first = next(decoder_layers(model)[-1].mlp.children())
    hook = first.register_forward_pre_hook(lambda part, inputs: run.append(inputs[0].shape[1]))
    every = run_body(model, tree.ids, planned(tree, step), np.arange(30))
    some = run_body(model, tree.ids, planned(tree, step), np.array([29, 4]))
    hook.remove()
    torch.testing.assert_close(some, every[[29, 4]])
    assert run == [30, 2]


def test_only_queries_that_are_read_are_asked_in_the_last_layer():
    tree = build_tree(rows_with(3))
    (step,) = schedule(tree, 4096)
    plan = planned(tree, step)
    read = torch.zeros(step.size + 1, dtype=torch.bool)
    read[[7, 8, 300]] = True
    parts = [part for group in plan.groups if (part := group.read_at(read)) is not None]
    assert sorted({int(place) for part in parts for place in part.into.flatten()} - {step.size}) == [7, 8, 300]
    assert sum(part.queries.numel() for part in parts) < step.size / 4


def test_layers_may_differ_in_how_many_heads_share_keys():
    tree = build_tree(rows_with(3))
    (step,) = schedule(tree, 4096)
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(4, step.size, 8, generator=generator) for _ in range(3))
    plan = planned(tree, step)
    for layer, kept in enumerate((4, 2, 1)):
        found = plan.attention(layer, query, key[:kept], value[:kept], None, scale=1.0)
        repeated = (part[:kept].repeat_interleave(4 // kept, dim=0) for part in (key, value))
        torch.testing.assert_close(found, planned(tree, step).attention(0, query, *repeated, None, scale=1.0))
