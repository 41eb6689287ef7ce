from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from fewshot_llm.scoring import last_layer_at, probe_difference


class Decoder(torch.nn.Module):
    """A model of one layer that is nothing but an MLP."""

    def __init__(self, mlp: torch.nn.Module) -> None:
        super().__init__()
        layer = torch.nn.Module()
        layer.mlp = mlp
        self.layers = torch.nn.ModuleList([layer])
        self.config = self

    def get_text_config(self) -> Decoder:
        return self

    num_hidden_layers = 1


class Routed(torch.nn.Module):
    """Experts hand out their router's scores too."""

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, str]:
        return 2 * hidden, "scores"


class WithResidual(torch.nn.Module):
    def forward(self, hidden: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return 2 * hidden + residual


HIDDEN = torch.arange(12.0).view(1, 6, 2)
PLACES = torch.tensor([5, 1])


def test_other_places_are_zero():
    mlp = torch.nn.Linear(2, 2)
    expected = mlp(HIDDEN)
    with last_layer_at(Decoder(mlp), PLACES):
        found = mlp(HIDDEN)
    torch.testing.assert_close(found[:, PLACES], expected[:, PLACES])
    assert not found[:, [0, 2, 3, 4]].any()
    torch.testing.assert_close(mlp(HIDDEN), expected)


def test_what_comes_beside_the_hidden_states_is_handed_on():
    mlp = Routed()
    with last_layer_at(Decoder(mlp), PLACES):
        found, scores = mlp(HIDDEN)
    assert scores == "scores"
    torch.testing.assert_close(found[:, PLACES], 2 * HIDDEN[:, PLACES])


def test_a_part_that_takes_more_than_hidden_states_runs_whole():
    mlp = WithResidual()
    with last_layer_at(Decoder(mlp), PLACES):
        found = mlp(HIDDEN, HIDDEN)
    torch.testing.assert_close(found, 3 * HIDDEN)


def test_nothing_to_read_runs_nothing():
    mlp = torch.nn.Linear(2, 2)
    with last_layer_at(Decoder(mlp), torch.tensor([], dtype=torch.long)):
        found = mlp(HIDDEN)
    assert found.shape == HIDDEN.shape
    assert not found.any()


@pytest.mark.parametrize("experts", [2, 4])
def test_a_mixture_of_experts_keeps_the_token_tree(llama, experts):
    config = Qwen3MoeConfig(
        vocab_size=len(llama.tokenizer),
        hidden_size=32,
        intermediate_size=64,
        moe_intermediate_size=32,
        head_dim=8,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_experts=experts,
        num_experts_per_tok=2,
        decoder_sparse_step=1,
    )
    torch.manual_seed(0)
    model = Qwen3MoeForCausalLM(config).eval()
    assert probe_difference(replace(llama, model=model)) < 1e-4
