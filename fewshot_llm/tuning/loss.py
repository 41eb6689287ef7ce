"""The losses, each over one pack."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeAlias

import torch

from fewshot_llm.scoring.head import causal_network
from fewshot_llm.scoring.last_layer import last_layer_at
from fewshot_llm.tuning.forward import label_scores, pack_hidden
from fewshot_llm.tuning.frozen_layers import handed_over, listed_layers
from fewshot_llm.tuning.lora_product import fused_lora
from fewshot_llm.tuning.tree import Pack

__all__ = ["PackLoss", "labels_loss", "ordinal_loss", "tokens_loss"]


LabelsLoss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def labels_loss(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """-log softmax over the candidate labels of the true one: what inference compares.

    Args:
        scores: log P(answer | prompt), shape [rows, labels].
        targets: the true label of each row, shape [rows].

    Returns:
        Shape [rows], nats.

    >>> labels_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))
    tensor([0.6931])
    """
    return torch.nn.functional.cross_entropy(scores, targets, reduction="none")


def ordinal_loss(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """As `labels_loss`, where labels have an order: the true one's neighbours are right by e⁻², e⁻⁴, … of its share.

    A model that says 4 where 5 is right has nearly understood; plain cross-entropy tells it that it might as well have
    said 1. Soft targets q_j ∝ exp(−2 |j − t|) (SORD: Díaz and Marathe, "Soft Labels for Ordinal Regression", 2019).

    Args:
        scores: log P(answer | prompt), answers in their order, shape [rows, labels].
        targets: the true label of each row, shape [rows].

    Returns:
        Shape [rows], nats.

    >>> near, far = ordinal_loss(torch.tensor([[0.0, 2.0, 0.0], [2.0, 0.0, 0.0]]), torch.tensor([2, 2]))
    >>> bool(near < far)
    True
    """
    positions = torch.arange(scores.shape[1], device=scores.device)
    soft = torch.softmax(-2.0 * (positions - targets[:, None]).abs().to(scores.dtype), dim=1)
    return torch.nn.functional.cross_entropy(scores, soft, reduction="none")


def tokens_loss(scores: torch.Tensor) -> torch.Tensor:
    """-log P(true answer | prompt): cross-entropy on the true label's tokens.

    Args:
        scores: of the true answer alone, shape [rows, 1].

    Returns:
        Shape [rows], nats.
    """
    return -scores[:, 0]


class PackLoss(torch.nn.Module):
    """Scores of one pack as a module, so that data-parallel training sees one forward call.

    Args:
        model: a `peft.PeftModel`.
        cut: layers below it are frozen; 0 for none.
        over_labels: the loss of a pack with several labels: (scores, targets) → shape [rows].
    """

    def __init__(self, model: Any, cut: int = 0, over_labels: LabelsLoss = labels_loss) -> None:
        super().__init__()
        self.model = model
        self.cut = cut
        self.over_labels = over_labels

    def forward(self, pack: Pack, targets: torch.Tensor, lower: torch.Tensor | None = None) -> torch.Tensor:
        """Loss of each row, shape [rows]; `lower` [n, width] is what the frozen layers gave.

        A pack of true answers only (one label) is trained on its tokens, any other on its labels.
        """
        network = causal_network(self.model)
        below = nullcontext() if lower is None else handed_over(listed_layers(network), self.cut, lower)
        with below, fused_lora(network), last_layer_at(network, pack.scored):
            hidden = pack_hidden(network, pack)
        scores = label_scores(network, pack, hidden)
        return tokens_loss(scores) if pack.labels == 1 else self.over_labels(scores, targets)
