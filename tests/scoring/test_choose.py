from __future__ import annotations

import torch
from transformers import MambaConfig, MambaForCausalLM

from fewshot_llm.models import LanguageModel
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import (
    Profile,
    PromptLimits,
    ReferenceScorer,
    TreeScorer,
    choose_scorer,
    local_model,
    probe_difference,
    profile_of,
    prompt_limits,
    require_local,
)
from tests.conftest import tiny_tokenizer


def test_attention_models_get_the_tree(any_model):
    assert probe_difference(any_model) < 1e-4
    assert isinstance(choose_scorer(any_model), TreeScorer)


def test_a_state_space_model_is_scored_slowly_and_rightly(caplog):
    tokenizer = tiny_tokenizer(bos=False)
    torch.manual_seed(0)
    config = MambaConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, state_size=4, pad_token_id=0)
    network = MambaForCausalLM(config).eval()
    model = LanguageModel("tiny-mamba", network, tokenizer, torch.device("cpu"), torch.float32)
    scorer = choose_scorer(model)
    assert isinstance(scorer, ReferenceScorer)
    assert "one label at a time" in caplog.text
    (scores,) = scorer.log_probs([Prompt("Review: good\nSentiment:", (" positive", " negative"))])
    assert (scores.log_probs < 0).all()


def test_a_scorer_says_what_it_has(llama):
    tree, reference = TreeScorer(llama), ReferenceScorer(llama)
    assert local_model(tree) is local_model(reference) is require_local(tree) is llama
    assert prompt_limits(tree) == PromptLimits(llama.tokenizer, llama.special_tokens, llama.context_length)
    tree.log_probs([Prompt("Good?", (" yes", " no"))])
    assert profile_of(tree).rows == 1
    assert profile_of(reference) == Profile()
