from __future__ import annotations

import pytest
import torch

from fewshot_llm.errors import TuningError
from fewshot_llm.training import TrainingRows, frozen_hidden, handed_over, listed_layers, pack_hidden


@torch.no_grad()
def test_upper_layers_on_kept_states_equal_the_whole_network(any_model, encoded):
    network, rows = any_model.model, encoded(any_model)
    packs = TrainingRows.of(rows)
    layers = listed_layers(network)
    for cut in range(1, len(layers)):
        kept = frozen_hidden(network, packs, cut, token_limit=40)
        pack = packs.pack([4, 1, 2])
        whole = pack_hidden(network, pack)
        with handed_over(layers, cut, kept[pack.nodes]):
            torch.testing.assert_close(pack_hidden(network, pack), whole, rtol=1e-4, atol=1e-4)
        # And afterwards the network is what it was.
        torch.testing.assert_close(pack_hidden(network, pack), whole)


def test_a_network_without_a_list_of_layers_is_refused(llama):
    bare = torch.nn.Module()
    bare.config = llama.model.config
    with pytest.raises(TuningError, match='layers = "all"'):
        listed_layers(bare)
