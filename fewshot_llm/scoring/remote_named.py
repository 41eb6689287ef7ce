"""vLLM's way of telling the log-probabilities of next tokens that are named by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewshot_llm.errors import ServerError
from fewshot_llm.scoring.base import LabelScores
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.remote_http import Http
from fewshot_llm.scoring.trie import LabelTrie, build_trie

__all__ = ["MOST_TOKENS", "NamedTokens", "prefixes_of", "takes_named_tokens"]

MOST_TOKENS = 128
"""How many tokens vLLM lets a request name (`MAX_LOGPROB_TOKEN_IDS` in its `sampling_params.py`)."""


@dataclass(frozen=True)
class NamedTokens:
    """Labels are followed down their trie; the server is told which next tokens are of interest.

    Cheaper than echo, which computes the output head for every token of the prompt once per label and may not read the
    server's prefix cache: a label of one token costs the prompt alone, and prompts with a start in common share it.

    Attributes:
        path: the completions route.
        model: the served model's or adapter's name.
    """

    path: str
    model: str

    def score(self, http: Http, encoded: Encoded) -> LabelScores:
        """Score all answers of a prompt: one request, or a few where the labels have more tokens than it may name.

        Raises:
            ServerError: the server refused the prompt, changed it, or left a token out.
        """
        trie = build_trie(encoded.answers)
        prefixes = prefixes_of(trie)
        scores = np.zeros(len(trie.edge_nodes))
        for edges in _groups(trie):
            wanted = sorted({int(trie.edge_tokens[edge]) for edge in edges})
            nodes = sorted({int(trie.edge_nodes[edge]) for edge in edges})
            told = self.ask(http, [(*encoded.context, *prefixes[node]) for node in nodes], wanted)
            for edge in edges:
                scores[edge] = told[nodes.index(int(trie.edge_nodes[edge]))][int(trie.edge_tokens[edge])]
        return LabelScores(trie.answer_scores(scores), trie.lengths)

    def ask(self, http: Http, prompts: Sequence[Sequence[int]], wanted: Sequence[int]) -> list[dict[int, float]]:
        """Log P(token | prompt) of each wanted token after each prompt, nats."""
        body = {
            "model": self.model,
            "prompt": [list(prompt) for prompt in prompts],
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": 1,
            "logprob_token_ids": list(wanted),
            "return_tokens_as_token_ids": True,
        }
        answer = http.post(self.path, body)
        choices = sorted(answer.get("choices", ()), key=lambda choice: choice.get("index", 0))
        if len(choices) != len(prompts):
            raise ServerError(f"{http.root} answered {len(choices)} of {len(prompts)} prompts in one request.")
        sent, read = sum(map(len, prompts)), (answer.get("usage") or {}).get("prompt_tokens")
        if read not in (None, sent):
            raise ServerError(
                f"{http.root} was sent {sent} token ids and read {read}: it changes the prompt (a second BOS, or a "
                "template of its own). Turn that off in the server."
            )
        told = [_by_id(choice) for choice in choices]
        for listed in told:
            if missing := [token for token in wanted if token not in listed]:
                raise ServerError(f"{http.root} was asked for the token {missing[0]} and does not tell it.")
        return told


def prefixes_of(trie: LabelTrie) -> list[tuple[int, ...]]:
    """The answer tokens that lead to each inner node, one tuple per node.

    >>> prefixes_of(build_trie(((5, 6), (5, 7, 8), (9,))))
    [(), (5,), (5, 7)]
    """
    prefixes: list[tuple[int, ...]] = [()]
    for node in range(1, len(trie.tokens)):
        prefixes.append((*prefixes[trie.parents[node]], int(trie.tokens[node])))
    return prefixes


def takes_named_tokens(http: Http, named: NamedTokens, probe: Sequence[int]) -> bool:
    """Whether the server heeds `logprob_token_ids`: older versions of vLLM leave it out without an error.

    Args:
        http: the server.
        named: how it would be asked.
        probe: at least two token ids to try with.
    """
    try:
        named.ask(http, [probe[:-1]], sorted({int(probe[0]), int(probe[-1])}))
    except ServerError:
        return False
    return True


def _groups(trie: LabelTrie) -> list[list[int]]:
    """The trie's edges, parted so that no group names more tokens than a request may."""
    groups: list[list[int]] = []
    named: set[int] = set()
    for edge, token in enumerate(trie.edge_tokens.tolist()):
        if not groups or len(named | {token}) > MOST_TOKENS:
            groups.append([])
            named = set()
        groups[-1].append(edge)
        named.add(token)
    return groups


def _by_id(choice: dict[str, Any]) -> dict[int, float]:
    listed = ((choice.get("logprobs") or {}).get("top_logprobs") or [{}])[0] or {}
    ids = {name.removeprefix("token_id:"): score for name, score in listed.items()}
    return {int(token): float(score) for token, score in ids.items() if token.isdigit()}
