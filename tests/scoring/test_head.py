from __future__ import annotations

import copy

import pytest
import torch

from fewshot_llm.scoring import head


class Called(torch.nn.Module):
    """A head that is more than its weight, as an adapter on it would make it."""

    def __init__(self, inner: torch.nn.Linear) -> None:
        super().__init__()
        self.inner, self.weight = inner, inner.weight

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return 2 * self.inner(hidden)


@pytest.mark.parametrize("kind", ["plain", "bias", "called"])
@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize("few", [0, 256])
def test_log_probabilities_equal_a_full_log_softmax(any_model, kind, softcap, few, monkeypatch):
    network = copy.deepcopy(any_model.model)
    monkeypatch.setattr(network.config, "final_logit_softcapping", softcap, raising=False)
    width, vocabulary = network.get_input_embeddings().weight.T.shape
    inner = network.get_output_embeddings()
    if kind == "bias":
        inner.bias = torch.nn.Parameter(torch.linspace(-1, 1, vocabulary))
    if kind == "called":
        network.set_output_embeddings(Called(inner))
    # Several slices, blocks and runs of pairs, so that their joints are tested too.
    monkeypatch.setattr(head, "SLICE", 37)
    monkeypatch.setattr(head, "HEAD_BYTES", 4 * vocabulary * 2)
    monkeypatch.setattr(head, "PAIRS", 4)
    monkeypatch.setattr(head, "FEW", few)
    hidden = torch.randn(5, width, generator=torch.Generator().manual_seed(0))
    rows, tokens = torch.tensor([0, 0, 2, 3, 4, 4]), torch.tensor([7, 8, 9, 10, 7, vocabulary - 1])

    with torch.inference_mode():
        found = head.token_log_probs(network, hidden, rows, tokens)
        expected = head.vocabulary_logits(network, hidden).log_softmax(-1)[rows, tokens]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
