from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from fewshot_llm.errors import TuningError
from fewshot_llm.scoring import Encoded, ReferenceScorer, causal_network
from fewshot_llm.training import TrainingRows, check_attention, label_scores, pack_hidden, split_rows


def scores_of(model, rows, token_limit):
    network = causal_network(model.model)
    packs = TrainingRows.of(rows)
    found = np.empty((len(rows), packs.labels))
    for group in split_rows(packs, range(len(rows)), token_limit):
        pack = packs.pack(group)
        found[group] = label_scores(network, pack, pack_hidden(network, pack)).detach().numpy()
    return found


@pytest.mark.parametrize("token_limit", [16, 90, 10_000])
def test_scores_equal_the_reference_whatever_the_packs(any_model, encoded, prompts, token_limit):
    # The Gemma shape has a window of 16 tokens and most prompts are longer.
    slow = np.stack([row.log_probs for row in ReferenceScorer(any_model).log_probs(prompts)])
    np.testing.assert_allclose(scores_of(any_model, encoded(any_model), token_limit), slow, atol=1e-4)


def test_gradients_equal_those_of_separate_sequences(any_model, encoded):
    network = causal_network(any_model.model)
    rows = encoded(any_model)
    weight = next(p for name, p in network.named_parameters() if "layers.0" in name or "h.0" in name if p.ndim > 1)
    packs = TrainingRows.of(rows)
    pack = packs.pack(range(len(rows)))
    with torch.enable_grad():
        weight.requires_grad_(True)
        total = label_scores(network, pack, pack_hidden(network, pack)).sum()
        (packed,) = torch.autograd.grad(total, weight)
        plain = torch.zeros_like(weight)
        for row in rows:
            for answer in row.answers:
                ids = torch.tensor([row.context + answer])
                logs = network(input_ids=ids).logits[0].log_softmax(-1)
                places = torch.arange(len(row.context) - 1, ids.shape[1] - 1)
                plain += torch.autograd.grad(logs[places, ids[0, len(row.context) :]].sum(), weight)[0]
    # A label's frozen normaliser has its own gradient path; both must meet here.
    torch.testing.assert_close(packed, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))


ids = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple)


@given(st.lists(st.tuples(ids, st.lists(ids, min_size=2, max_size=2, unique=True)), min_size=1, max_size=6))
def test_every_token_stands_once_and_sees_its_own_row_only(pairs):
    rows = [Encoded(context, tuple(answers)) for context, answers in pairs]
    packs = TrainingRows.of(rows)
    prefixes = {row.context[: i + 1] for row in rows for i in range(len(row.context))}
    prefixes |= {row.context + a[: i + 1] for row in rows for a in row.answers for i in range(len(a) - 1)}
    assert len(packs.tree.ids) == len(prefixes)
    pack = packs.pack(range(len(rows)))
    for place in range(len(pack.nodes)):
        seen = pack.tokens[pack.visible[place]].tolist()
        assert len(seen) == pack.positions[place] + 1
        assert tuple(seen) in prefixes
        assert seen[-1] == pack.tokens[place]


@given(st.lists(ids, min_size=1, max_size=8), st.integers(16, 40))
def test_split_rows_keeps_every_row_and_the_limit(contexts, limit):
    packs = TrainingRows.of([Encoded(context, ((1,), (2,))) for context in contexts])
    groups = split_rows(packs, range(len(contexts)), limit)
    assert sorted(row for group in groups for row in group) == list(range(len(contexts)))
    assert all(len(group) == 1 or len(packs.pack(group).nodes) <= limit for group in groups)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "0 rows"),
        ([Encoded((1,), ((2,),)), Encoded((1,), ((2,), (3,)))], "different numbers"),
        ([Encoded((1,), ((2,), ()))], "empty answer"),
    ],
)
def test_unusable_rows_are_refused(rows, message):
    with pytest.raises(TuningError, match=message):
        TrainingRows.of(rows)


def test_attention_that_takes_no_mask_is_refused(llama):
    class Flash:
        config = type("C", (), {"_attn_implementation": "flash_attention_2"})

    check_attention(llama.model)
    with pytest.raises(TuningError, match="sdpa"):
        check_attention(Flash())
