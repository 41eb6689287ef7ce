from __future__ import annotations

import pytest
import torch

from fewshot_llm.scoring import causal_network, last_layer_at
from fewshot_llm.training import (
    PackLoss,
    TrainingRows,
    adapter_config,
    attach,
    frozen_hidden,
    label_scores,
    labels_loss,
    pack_hidden,
)


def gradients(loss, weights):
    return torch.autograd.grad(loss.sum(), weights)


@pytest.mark.parametrize("layers", ["all", "top:1"])
def test_a_last_layer_of_scored_tokens_gives_the_loss_and_gradients_of_all(any_model, encoded, targets, recipe, layers):
    recipe = recipe.model_copy(update={"layers": layers})
    peft_model = attach(any_model, adapter_config(any_model, recipe), seed=0)
    network = causal_network(peft_model)
    cut = network.config.get_text_config().num_hidden_layers - 1 if layers == "top:1" else 0
    weights = [p for p in peft_model.parameters() if p.requires_grad]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in weights:  # B begins as zero, and nothing would flow to A
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    packs = TrainingRows.of(encoded(any_model))
    pack, truth = packs.pack(range(len(targets))), torch.tensor(targets)
    assert len(pack.scored) < len(pack.nodes)
    lower = frozen_hidden(network, packs, cut, 4096)[pack.nodes] if cut else None

    fast = PackLoss(peft_model, cut)(pack, truth, lower)
    slow = labels_loss(label_scores(network, pack, pack_hidden(network, pack)), truth)

    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-4)
    for one, other in zip(gradients(fast, weights), gradients(slow, weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()))


def test_nothing_stays_on_the_model(llama, encoded, targets, recipe):
    peft_model = attach(llama, adapter_config(llama, recipe), seed=0)
    network = causal_network(peft_model)
    pack = TrainingRows.of(encoded(llama)).pack([0, 1])
    before = pack_hidden(network, pack)
    PackLoss(peft_model)(pack, torch.tensor(targets[:2]))
    assert torch.equal(pack_hidden(network, pack), before)
    with last_layer_at(network, pack.scored):
        assert not torch.equal(pack_hidden(network, pack), before)
