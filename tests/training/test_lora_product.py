from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st
from peft import LoraConfig, inject_adapter_in_model

from fewshot_llm.training import fused_lora


def adapted_layer(width: int, out: int, rank: int, *, bias: bool = False, dropout: float = 0.0, seed: int = 0):
    """A network of one linear layer with LoRA, all of whose weights are random."""
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(width, out, bias=bias))
    config = LoraConfig(r=rank, lora_alpha=3 * rank, lora_dropout=dropout, target_modules=["0"])
    network = inject_adapter_in_model(config, network)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_()
    return network


def value_and_gradients(network, x):
    value = network(x)
    weights = [p for p in network.parameters() if p.requires_grad]
    return value, torch.autograd.grad((value**2).sum(), [x, *weights] if x.requires_grad else weights)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(1, 4), max_size=3),
)
def test_value_and_gradients_are_pefts(width, out, rank, bias, asked, shape):
    network = adapted_layer(width, out, rank, bias=bias)
    x = torch.randn(*shape, width, requires_grad=asked)
    slow, slow_gradients = value_and_gradients(network, x)
    with fused_lora(network):
        fast, fast_gradients = value_and_gradients(network, x)
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-4)
    for one, other in zip(fast_gradients, slow_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * (1 + float(other.abs().max())))


@pytest.mark.parametrize("kind", ["dropout", "bfloat16", "no adapter"])
def test_other_layers_are_left_to_peft(kind):
    if kind == "no adapter":
        network = torch.nn.Sequential(torch.nn.Linear(4, 4))
    else:
        network = adapted_layer(4, 4, 2, dropout=0.5 if kind == "dropout" else 0.0)
    if kind == "bfloat16":
        network = network.bfloat16()
    with fused_lora(network):
        assert "forward" not in vars(network[0])


def test_nothing_stays_on_the_network():
    network = adapted_layer(4, 4, 2)
    with fused_lora(network):
        assert "forward" in vars(network[0])
    assert "forward" not in vars(network[0])
