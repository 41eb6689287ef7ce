"""The token tree against the slow reference, on odd shapes."""

from __future__ import annotations

import copy
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from peft import LoraConfig, get_peft_model

from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import SMALLEST, ReferenceScorer, TreeScorer, best_of, halve_on_out_of_memory
from tests.conftest import CORPUS, SHAPES, tiny_model

TOLERANCE = 1e-4
INTENTS = (" track order", " cancel order", " cancel", "退款", " complain loudly")
HEAD = "Instruction: say what the customer wants.\n" * 8  # longer than the tiny Gemma's window of 16


def mixed_prompts(seed: int = 0) -> list[Prompt]:
    """A shared prefix, shared beginnings of queries, other label sets, repeated rows, rows of very different length."""
    rng = random.Random(seed)
    shared = [Prompt(f"{HEAD}Customer: {rng.choice(CORPUS)}{n % 5}\nIntent:", INTENTS) for n in range(12)]
    other = [Prompt(rng.choice(CORPUS) * rng.randint(1, 6) + "Answer:", ("a", "b")) for _ in range(4)]
    return [*shared, *other, shared[0], Prompt("x", ("y",))]


def largest_difference(scored, expected) -> float:
    return max(np.abs(a.log_probs - b.log_probs).max() for a, b in zip(scored, expected, strict=True))


@pytest.fixture(scope="module")
def reference() -> dict[str, list]:
    return {shape: ReferenceScorer(tiny_model(shape)).log_probs(mixed_prompts()) for shape in SHAPES}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("budget", [16, 100, 4096])
def test_scores_equal_the_reference(shape, budget, reference):
    scored = TreeScorer(tiny_model(shape), budget).log_probs(mixed_prompts())
    assert largest_difference(scored, reference[shape]) <= TOLERANCE
    for own, expected in zip(scored, reference[shape], strict=True):
        assert own.token_counts.tolist() == expected.token_counts.tolist()


def test_threads_may_share_a_model(reference):
    model = tiny_model("llama")
    before = model.model.config._attn_implementation
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: TreeScorer(model, 16).log_probs(mixed_prompts()), range(8)))
    for scored in found:
        assert largest_difference(scored, reference["llama"]) <= TOLERANCE
    assert model.model.config._attn_implementation == before


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("budget", [16, 4096])
@pytest.mark.parametrize("k", [1, 3])
def test_best_equals_full_scoring(shape, budget, k, reference):
    found = TreeScorer(tiny_model(shape), budget).best(mixed_prompts(), k)
    for own, scores in zip(found, reference[shape], strict=True):
        expected = best_of(scores, k)
        assert own.indices == expected.indices
        assert own.scores == pytest.approx(expected.scores, abs=TOLERANCE)
        assert own.bound >= expected.bound - TOLERANCE


@pytest.mark.parametrize("shape", SHAPES)
def test_offsets_count_when_the_best_are_searched(shape):
    prompts = [Prompt(f"text {n}\nlabel:", (" good", " good enough", " bad", " badly"), "") for n in range(5)]
    offsets = (-3.0, 4.0, 0.0, 2.0)
    model = tiny_model(shape)
    found = TreeScorer(model, 64).best(prompts, 2, offsets=offsets)
    for own, scores in zip(found, ReferenceScorer(model).log_probs(prompts), strict=True):
        expected = best_of(scores, 2, offsets)
        assert own.indices == expected.indices
        assert own.scores == pytest.approx(expected.scores, abs=TOLERANCE)


@pytest.mark.parametrize("shape", SHAPES)
def test_neighbours_and_order_do_not_change_a_row(shape):
    prompts = mixed_prompts(1)
    model = tiny_model(shape)
    together = TreeScorer(model, 256).log_probs(prompts)
    alone = [TreeScorer(model, 256).log_probs([prompt])[0] for prompt in prompts]
    backwards = TreeScorer(model, 64).log_probs(prompts[::-1])[::-1]
    assert largest_difference(together, alone) <= TOLERANCE
    assert largest_difference(together, backwards) <= TOLERANCE


@settings(max_examples=25)
@given(
    texts=st.lists(st.text(min_size=1, max_size=40) | st.sampled_from(CORPUS), min_size=1, max_size=6),
    answers=st.lists(
        st.text(st.characters(codec="ascii"), min_size=1, max_size=6), min_size=2, max_size=4, unique=True
    ),
    budget=st.integers(4, 300),
    shape=st.sampled_from(SHAPES),
)
def test_random_prompts_equal_the_reference(texts, answers, budget, shape):
    prompts = [Prompt(f"Q {text.encode('utf-8', 'replace').decode()}\nA", tuple(answers)) for text in texts]
    model = tiny_model(shape)
    expected = ReferenceScorer(model).log_probs(prompts)
    assert largest_difference(TreeScorer(model, budget).log_probs(prompts), expected) <= TOLERANCE


def test_the_models_own_attention_is_untouched_afterwards(llama):
    ids = torch.tensor([[5, 6, 7, 8]])
    before = llama.model(ids).logits
    TreeScorer(llama).log_probs(mixed_prompts()[:2])
    assert torch.equal(llama.model(ids).logits, before)
    assert llama.model.config._attn_implementation == "sdpa"


def test_an_adapter_is_scored_as_peft_runs_it(llama):
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    adapted = replace(llama, model=get_peft_model(copy.deepcopy(llama.model), config).eval())
    prompts = mixed_prompts()[:6]
    expected = ReferenceScorer(adapted).log_probs(prompts)
    assert largest_difference(TreeScorer(adapted).log_probs(prompts), expected) <= TOLERANCE
    assert largest_difference(expected, ReferenceScorer(llama).log_probs(prompts)) > 0.01


def test_profile_counts_every_unique_token_once(llama):
    scorer = TreeScorer(llama)
    answers = tuple(intent for intent in INTENTS if intent != " cancel")  # it begins another, and would be closed
    prompts = [replace(prompt, answers=answers) for prompt in mixed_prompts()[:12]]
    scorer.log_probs(prompts)
    encoded = [llama.tokenizer(p.text + a).input_ids for p in prompts for a in p.answers]
    assert scorer.profile.rows == 12
    assert scorer.profile.asked == pytest.approx(sum(map(len, encoded)), rel=0.05)
    # A node for every distinct beginning of a sequence; the last tokens of labels are never run.
    assert scorer.profile.computed == len({tuple(ids[:n]) for ids in encoded for n in range(1, len(ids))})
    assert scorer.profile.reuse > 20


def test_best_opens_fewer_nodes_than_full_scoring(llama):
    scorer = TreeScorer(llama)
    scorer.log_probs(mixed_prompts())
    full = scorer.profile.computed
    scorer.best(mixed_prompts())
    assert scorer.profile.computed - full < full


def test_progress_reaches_the_end(llama):
    seen = []
    TreeScorer(llama, 64).log_probs(mixed_prompts(), lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (18, 18)


def test_no_prompts_no_scores(llama):
    assert TreeScorer(llama).log_probs([]) == []
    assert TreeScorer(llama).best([]) == []


def test_out_of_memory_halves_the_budget_and_goes_on(caplog):
    def work(budget: int) -> int:
        if budget > 200:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return budget

    assert halve_on_out_of_memory(work, 1000) == (125, 125)
    assert "125 tokens a pass" in caplog.text


def test_other_errors_pass_through():
    def work(budget: int) -> int:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape"):
        halve_on_out_of_memory(work, SMALLEST * 4)
