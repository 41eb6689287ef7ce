"""Texts as vectors by a causal model's own hidden states; the output head is not computed.

The mean over a text's tokens tells texts on the same thing from others. The state after "… means in one word:" is where
the model has gathered what it would answer (Jiang et al. 2023, "Scaling sentence embeddings with large language
models"), which a linear head reads better.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from fewshot_llm.models.load import LanguageModel
from fewshot_llm.scoring.head import causal_network
from fewshot_llm.types import FloatArray, Progress, Text

__all__ = ["ONE_WORD", "MeanHiddenState", "OneWordState", "layers_to_try", "one_word_states"]

LONGEST = 256
"""Tokens of a text that are read; what a review is about shows in its beginning."""

BATCH = 16

ONE_WORD = Text('This sentence: "{text}" means in one word: "', "这句话：“{text}”用一个词概括：“")
"""What stands around a text before its last state is taken."""


@dataclass(frozen=True)
class MeanHiddenState:
    """The mean of the last layer's hidden states over a text's tokens.

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
        vectors: list[FloatArray] = [np.empty(0)] * len(rows)
        for batch, ids, mask in _batches(rows, model.device):
            states = network(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state.double()
            means = (states * mask.unsqueeze(-1)).sum(dim=1) / mask.sum(dim=1, keepdim=True)
            for row, vector in zip(batch, means.cpu().numpy(), strict=True):
                vectors[row] = vector
        return np.stack(vectors) if vectors else np.empty((0, 0))


@dataclass(frozen=True)
class OneWordState:
    """A layer's hidden state after "… means in one word:".

    Attributes:
        language_model: the model whose hidden states are taken.
        language: of the words around the text.
        layer: which layer's output, counted from 1; the last one is normalised as the output head reads it.
    """

    language_model: LanguageModel = field(repr=False)
    language: str
    layer: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that may change a number, beside the machine."""
        told = (self.language_model.fingerprint, ONE_WORD.say(self.language), str(self.layer), str(LONGEST))
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def __call__(self, texts: Sequence[str], progress: Progress | None = None) -> FloatArray:
        """Shape [texts, width]; a row does not depend on the others."""
        return one_word_states(self.language_model, self.language, texts, [self.layer], progress)[0]


def layers_to_try(language_model: LanguageModel) -> list[int]:
    """Five and seven eighths of the way up, and the last of a model's layers, counted from 1."""
    layers = int(language_model.model.config.get_text_config().num_hidden_layers)
    return sorted({max(1, round(layers * share)) for share in (5 / 8, 7 / 8, 1)})


@torch.inference_mode()
def one_word_states(
    language_model: LanguageModel,
    language: str,
    texts: Sequence[str],
    layers: Sequence[int],
    progress: Progress | None = None,
) -> list[FloatArray]:
    """Several layers' states of the same texts, in one pass.

    Args:
        language_model: the model.
        language: of the words around a text.
        texts: what is read; of a long one, its beginning.
        layers: counted from 1.
        progress: called with texts finished and texts in all.

    Returns:
        For each layer shape [texts, width].
    """
    network, tokenizer = causal_network(language_model.model).base_model, language_model.tokenizer
    before, _, after = ONE_WORD.say(language).partition("{text}")
    rows = []
    for text in texts:
        read = tokenizer(before + text, truncation=True, max_length=LONGEST)["input_ids"]
        whole = tokenizer(before + text + after)["input_ids"]
        # Tokenised together; only a text that is cut gets its end joined on.
        rows.append(whole if len(read) < LONGEST else read + tokenizer(after, add_special_tokens=False)["input_ids"])
    found: list[list[FloatArray]] = [[np.empty(0)] * len(rows) for _ in layers]
    done = 0
    for batch, ids, mask in _batches(rows, language_model.device):
        states = network(input_ids=ids, attention_mask=mask, use_cache=False, output_hidden_states=True).hidden_states
        last = mask.sum(dim=1) - 1
        for place, layer in enumerate(layers):
            ends = states[layer][torch.arange(len(batch), device=ids.device), last].double().cpu().numpy()
            for row, vector in zip(batch, ends, strict=True):
                found[place][row] = vector
        done += len(batch)
        if progress is not None:
            progress(done, len(rows))
    return [np.stack(vectors) if vectors else np.empty((0, 0)) for vectors in found]


def _batches(
    rows: Sequence[Sequence[int]], device: torch.device
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Rows of like length together: their positions, token ids and mask, shape [rows, tokens] each.

    Padded on the right: a causal model's states before the padding do not see it.
    """
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        width = max(len(rows[row]) for row in batch)
        ids = torch.tensor([[*rows[row], *[0] * (width - len(rows[row]))] for row in batch], device=device)
        mask = torch.tensor([[1] * len(rows[row]) + [0] * (width - len(rows[row])) for row in batch])
        yield batch, ids, mask.to(device)
