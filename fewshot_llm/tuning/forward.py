"""One pack through the model: hidden states, then label scores."""

from __future__ import annotations

from typing import Any

import torch

from fewshot_llm.errors import TuningError
from fewshot_llm.tuning.head_gradient import token_log_probs
from fewshot_llm.tuning.tree import Pack

__all__ = ["attention_masks", "check_attention", "label_scores", "pack_hidden"]


def check_attention(network: Any) -> None:
    """Refuse an attention that cannot take a tree's mask.

    Raises:
        TuningError: the model runs flash or flex attention.
    """
    kind = getattr(network.config, "_attn_implementation", "eager")
    if kind not in ("sdpa", "eager"):
        raise TuningError(
            f"The model was loaded with attention {kind!r}, which takes no custom mask. Load it with "
            'attn_implementation="sdpa" to train it here.'
        )


def attention_masks(network: Any, pack: Pack, dtype: torch.dtype) -> torch.Tensor | dict[str, torch.Tensor]:
    """The tree's mask in the form the network wants: additive, shape [1, 1, n, n], one per kind of layer.

    A sliding window counts distances in the row (depths), not in the flattened sequence.
    """

    def additive(allowed: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
        return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[None, None]

    config = network.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    if window is None or getattr(config, "use_sliding_window", True) is False:
        return additive(pack.visible)
    near = pack.visible & (pack.positions[:, None] - pack.positions[None, :] < window)
    if not kinds:
        return additive(near)
    return {kind: additive(near if kind == "sliding_attention" else pack.visible) for kind in kinds}


def pack_hidden(network: Any, pack: Pack) -> torch.Tensor:
    """Hidden states after the final norm, shape [n, width].

    Args:
        network: a `transformers` causal model; its body is run, its head is not.
        pack: on the network's device.
    """
    output = network.base_model(
        input_ids=pack.tokens[None],
        position_ids=pack.positions[None],
        attention_mask=attention_masks(network, pack, network.dtype),
        use_cache=False,
    )
    hidden: torch.Tensor = output.last_hidden_state[0]
    return hidden


def label_scores(network: Any, pack: Pack, hidden: torch.Tensor) -> torch.Tensor:
    """Log P(answer | prompt), summed over the answer's tokens.

    Args:
        network: a `transformers` causal model whose output head is frozen.
        pack: on the network's device.
        hidden: of `pack_hidden`, shape [n, width].

    Returns:
        Natural logarithms, float32, shape [rows, labels].
    """
    places, tokens, rows, labels = pack.terms.unbind(1)
    logs = token_log_probs(network, hidden[pack.scored], places, tokens)
    scores = torch.zeros(len(pack.rows) * pack.labels, dtype=logs.dtype, device=logs.device)
    return scores.index_add(0, rows * pack.labels + labels, logs).view(len(pack.rows), pack.labels)
