"""Label scores of encoded rows, from the same trees the training uses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.scoring.base import FloatArray
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.head import causal_network
from fewshot_llm.tuning.forward import label_scores, pack_hidden
from fewshot_llm.tuning.tree import TokenTree, split_rows

__all__ = ["score_rows"]


@torch.no_grad()
def score_rows(language_model: LanguageModel, rows: Sequence[Encoded], token_limit: int = 1024) -> FloatArray:
    """Log P(answer | prompt) of every answer of every row.

    Args:
        language_model: with or without an adapter.
        rows: encoded with one label set.
        token_limit: tokens per forward pass.

    Returns:
        Natural logarithms, shape [rows, labels].
    """
    network = causal_network(language_model.model)
    tree = TokenTree.grow(rows)
    scores = np.empty((len(rows), tree.labels))
    for group in split_rows(tree, range(len(rows)), token_limit):
        pack = tree.pack(group).to(language_model.device)
        scores[group] = label_scores(network, pack, pack_hidden(network, pack)).cpu().numpy()
    return scores
