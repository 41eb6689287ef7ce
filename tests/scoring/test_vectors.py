"""Texts as vectors by hidden states."""

from __future__ import annotations

import numpy as np
import torch

from fewshot_llm.models import LanguageModel
from fewshot_llm.scoring import MeanHiddenState

TEXTS = ["物流很快", "the parcel came late and the box was broken", "", "great"]


def test_a_row_does_not_depend_on_its_neighbours(any_model: LanguageModel) -> None:
    embed = MeanHiddenState(any_model)
    together = embed(TEXTS)
    assert together.shape == (4, 32)
    alone = np.concatenate([embed([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_is_the_mean_of_the_models_own_states(llama: LanguageModel) -> None:
    ids = torch.tensor([llama.tokenizer(TEXTS[1])["input_ids"]])
    with torch.inference_mode():
        states = llama.model(ids, output_hidden_states=True).hidden_states[-1]
    np.testing.assert_allclose(MeanHiddenState(llama)([TEXTS[1]])[0], states[0].mean(dim=0).numpy(), atol=1e-5)
