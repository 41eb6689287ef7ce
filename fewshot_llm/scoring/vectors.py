"""Texts as vectors by a causal model's own hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from fewshot_llm.models.load import LanguageModel
from fewshot_llm.scoring.head import causal_network
from fewshot_llm.types import FloatArray

__all__ = ["MeanHiddenState"]

LONGEST = 256
"""Tokens of a text that are read; what a review is about shows in its beginning."""

BATCH = 16


@dataclass(frozen=True)
class MeanHiddenState:
    """The mean of the last layer's hidden states over a text's tokens; the output head is not computed.

    Attributes:
        language_model: the model whose hidden states are taken.
    """

    language_model: LanguageModel = field(repr=False)

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts.

        Returns:
            Shape [texts, width]; a row does not depend on the others.
        """
        model = self.language_model
        network = causal_network(model.model).base_model
        # An empty text would have no token to take the mean over.
        rows = [model.tokenizer(text or " ", truncation=True, max_length=LONGEST)["input_ids"] or [0] for text in texts]
        order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
        vectors: list[FloatArray] = [np.empty(0)] * len(rows)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            width = max(len(rows[row]) for row in batch)
            # Padded on the right: a causal model's states before the padding do not see it.
            ids = torch.tensor([rows[row] + [0] * (width - len(rows[row])) for row in batch], device=model.device)
            mask = torch.tensor([[1] * len(rows[row]) + [0] * (width - len(rows[row])) for row in batch])
            mask = mask.to(model.device)
            states = network(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state.double()
            means = (states * mask.unsqueeze(-1)).sum(dim=1) / mask.sum(dim=1, keepdim=True)
            for row, vector in zip(batch, means.cpu().numpy(), strict=True):
                vectors[row] = vector
        return np.stack(vectors) if vectors else np.empty((0, 0))
