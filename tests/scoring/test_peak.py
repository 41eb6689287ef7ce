from __future__ import annotations

import torch

from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import TreeScorer, body_flops, describe_profile, matrix_peak
from tests.conftest import tiny_model


def test_body_flops_count_the_matrices_of_the_layers():
    # Per layer: q and o 32x32, k and v 32x16, three products of the feed-forward part 32x64; two layers.
    assert body_flops(tiny_model("llama").model) == 2 * 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64)


def test_a_profile_is_described_beside_the_machines_limit(llama):
    scorer = TreeScorer(llama)
    scorer.log_probs([Prompt("Review: good\nSentiment:", (" positive", " negative"))])
    found = describe_profile(scorer.profile, llama)
    assert found["tokens_asked"] > found["tokens_computed"] > 0
    assert 0 < found["share_of_peak"] < 1


def test_the_peak_is_a_rate_of_this_machine():
    assert 1e8 < matrix_peak(torch.device("cpu"), torch.float32) < 1e14
