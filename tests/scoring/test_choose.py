from __future__ import annotations

import torch
from transformers import MambaConfig, MambaForCausalLM

from fewshot_llm.models.load import LanguageModel
from fewshot_llm.prompting.builder import Prompt
from fewshot_llm.scoring.reference import ReferenceScorer
from fewshot_llm.scoring.tree_scorer import TreeScorer, choose_scorer, probe_difference
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
