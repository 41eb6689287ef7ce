from __future__ import annotations

import pytest
import torch

from fewshot_llm.scoring import head


@pytest.mark.parametrize("softcap", [None, 5.0])
def test_value_and_gradient_equal_a_full_log_softmax(any_model, softcap, monkeypatch):
    network = any_model.model
    monkeypatch.setattr(network.config, "final_logit_softcapping", softcap, raising=False)
    # Several slices, so that their joints are tested too.
    monkeypatch.setattr(head, "SLICE", 100)
    width = network.config.get_text_config().hidden_size
    hidden = torch.randn(5, width, generator=torch.Generator().manual_seed(0), requires_grad=True)
    rows, tokens = torch.tensor([0, 0, 2, 4, 4, 3]), torch.tensor([7, 8, 9, 10, 7, 11])
    weights = torch.linspace(0.5, 2.0, len(rows))

    fast = head.token_log_probs(network, hidden, rows, tokens)
    (fast_gradient,) = torch.autograd.grad((weights * fast).sum(), hidden)
    slow = head.vocabulary_logits(network, hidden).log_softmax(-1)[rows, tokens]
    (slow_gradient,) = torch.autograd.grad((weights * slow).sum(), hidden)

    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fast_gradient, slow_gradient, rtol=1e-4, atol=1e-5)


def test_scoring_and_training_give_the_same_figures(any_model):
    network = any_model.model
    width = network.config.get_text_config().hidden_size
    hidden = torch.randn(5, width, generator=torch.Generator().manual_seed(0))
    rows, tokens = torch.tensor([0, 0, 2, 3, 4, 4]), torch.tensor([7, 8, 9, 11, 10, 7])
    with torch.inference_mode():
        scored = head.token_log_probs(network, hidden, rows, tokens)
    trained = head.token_log_probs(network, hidden.requires_grad_(), rows, tokens)
    assert trained.requires_grad
    torch.testing.assert_close(trained.detach(), scored, rtol=1e-6, atol=1e-6)
