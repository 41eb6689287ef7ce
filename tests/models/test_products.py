from __future__ import annotations

import copy
import platform

import pytest
import torch
from hypothesis import given, settings, strategies as st

from fewshot_llm.models import (
    OneDnnLinear,
    linear as products,
    multiply_by_onednn,
    onednn_is_faster,
    padded,
    product_of,
)

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this build of torch comes without oneDNN"
)


def layers(width: int, out: int, bias: bool) -> tuple[torch.nn.Linear, torch.nn.Linear]:
    """A frozen layer as torch has it, and the same by oneDNN."""
    torch.manual_seed(0)
    usual = torch.nn.Linear(width, out, bias=bias).requires_grad_(False)
    other = copy.deepcopy(usual)
    multiply_by_onednn(other)
    assert type(other) is OneDnnLinear
    return usual, other


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.lists(st.integers(0, 5), max_size=3))
def test_values_and_gradients_are_those_of_a_linear_layer(width, out, bias, shape):
    usual, other = layers(width, out, bias)
    x = torch.randn(*shape, width)
    xs = [x.clone().requires_grad_() for _ in range(2)]
    values = [usual(xs[0]), other(xs[1])]
    slopes = torch.randn_like(values[0])
    gradients = [torch.autograd.grad((value * slopes).sum(), own)[0] for value, own in zip(values, xs, strict=True)]
    torch.testing.assert_close(values[1], values[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(other(x), usual(x), rtol=1e-4, atol=1e-4)


@given(st.integers(1, 5000))
def test_few_shapes_are_asked_for_and_little_is_added(rows):
    assert rows <= padded(rows) <= max(rows + 15, rows * 9 / 8)
    assert padded(padded(rows)) == padded(rows)
    assert len({padded(n) for n in range(1, rows + 1)}) <= 5 + 8 * max(1, rows.bit_length() - 6)


def test_weights_that_are_trained_get_their_gradients():
    usual, other = layers(5, 3, True)
    x = torch.randn(4, 5)
    gradients = []
    for layer in (usual, other):
        layer.requires_grad_(True)
        gradients.append(torch.autograd.grad(layer(x).square().sum(), list(layer.parameters())))
    for one, same in zip(*gradients, strict=True):
        torch.testing.assert_close(one, same)


def test_other_number_formats_are_multiplied_as_usual():
    usual, other = layers(8, 8, True)
    x = torch.randn(2, 8, dtype=torch.float64)
    assert torch.equal(usual.double()(x), other.double()(x))
    assert torch.equal(product_of(other)(x, other.weight, other.bias), usual(x))


def test_a_network_keeps_its_scores_and_its_names(any_model):
    network = copy.deepcopy(any_model.model)
    tokens = torch.randint(3, 50, (2, 7), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = network(tokens).logits
        multiply_by_onednn(network)
        torch.testing.assert_close(network(tokens).logits, before, rtol=1e-4, atol=1e-4)
    assert network.state_dict().keys() == any_model.model.state_dict().keys()
    assert isinstance(network.get_output_embeddings(), torch.nn.Linear)


def test_only_plain_layers_have_a_product():
    class Doubled(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    usual, other = layers(4, 4, False)
    x = torch.randn(3, 4)
    for layer in (usual, other):
        torch.testing.assert_close(product_of(layer)(x, layer.weight, None), layer(x))
    other._hf_hook = object()
    network = torch.nn.Sequential(Doubled(4, 4), torch.nn.Linear(4, 4).bfloat16())
    multiply_by_onednn(network)
    assert type(network[0]) is Doubled
    assert type(network[1]) is torch.nn.Linear
    assert product_of(other) is product_of(network[0]) is product_of(torch.nn.Embedding(4, 4)) is None


@pytest.mark.parametrize(
    ("maker", "kernels", "expected"),
    [
        ("AuthenticAMD", "AVX512", True),
        ("AuthenticAMD", "AVX2", False),
        ("GenuineIntel", "AVX512", False),
        (None, "AVX512", False),
    ],
)
def test_onednn_is_for_amds_processors_with_avx_512(maker, kernels, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: kernels)
    monkeypatch.setattr(platform, "processor", lambda: "Intel64 Family 6")
    if maker is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_text(f"processor\t: 0\nvendor_id\t: {maker}\n", encoding="utf-8")
    assert onednn_is_faster(tmp_path) is expected


def test_without_the_kernel_nothing_changes(monkeypatch):
    monkeypatch.setattr(products.torch.ops, "mkldnn", object())
    assert not onednn_is_faster()
