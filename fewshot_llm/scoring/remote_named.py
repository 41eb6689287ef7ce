"""vLLM's way of telling the log-probabilities of next tokens that are named by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from pydantic import FiniteFloat

from fewshot_llm.errors import ServerError
from fewshot_llm.scoring.base import LabelScores
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.remote_http import Http, Told
from fewshot_llm.scoring.trie import LabelTrie, build_trie

__all__ = [
    "MOST_TOKENS",
    "NamedTokens",
    "in_order",
    "prefixes_of",
    "require_log_probability",
    "takes_named_tokens",
]

MOST_TOKENS = 128
"""How many tokens vLLM lets a request name (`MAX_LOGPROB_TOKEN_IDS` in its `sampling_params.py`)."""

ROUNDING = 1e-2
"""By how much a log-probability may be above 0 in a half-width format, nats."""


class _TopLogprobs(Told):
    top_logprobs: list[dict[str, FiniteFloat] | None] | None = None


class _NamedChoice(Told):
    index: int = 0
    logprobs: _TopLogprobs | None = None


class _Usage(Told):
    prompt_tokens: int | None = None


class _NamedCompletions(Told):
    choices: list[_NamedChoice]
    usage: _Usage | None = None


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
        answer = http.post(self.path, body, _NamedCompletions)
        choices = in_order(http.root, answer.choices, len(prompts))
        sent, read = sum(map(len, prompts)), answer.usage.prompt_tokens if answer.usage else None
        if read not in (None, sent):
            raise ServerError(
                f"{http.root} was sent {sent} token ids and read {read}: it changes the prompt (a second BOS, or a "
                "template of its own). Turn that off in the server."
            )
        told = [_by_id(choice) for choice in choices]
        for listed in told:
            if missing := [token for token in wanted if token not in listed]:
                raise ServerError(f"{http.root} was asked for the token {missing[0]} and does not tell it.")
            for token in wanted:
                require_log_probability(http.root, listed[token])
        return told


class _Indexed(Protocol):
    @property
    def index(self) -> int: ...


C = TypeVar("C", bound=_Indexed)


def in_order(server: str, choices: Sequence[C], count: int) -> list[C]:
    """One choice for each prompt, in the order in which they were sent.

    Raises:
        ServerError: fewer, more, or one of them twice.
    """
    if len(choices) != count:
        raise ServerError(f"{server} answered {len(choices)} of {count} prompts in one request.")
    ordered = sorted(choices, key=lambda choice: choice.index)
    if [choice.index for choice in ordered] != list(range(count)):
        raise ServerError(f"{server} answered for prompts {[choice.index for choice in ordered][:8]} of {count}.")
    return ordered


def require_log_probability(server: str, score: float | None) -> float:
    """A number that can be a log-probability.

    Raises:
        ServerError: it is missing or above 0.
    """
    if score is None or score > ROUNDING:
        said = "null" if score is None else f"{score:.3g}"
        raise ServerError(f"{server} told the log-probability {said}; expected a number that is 0 at most.")
    return score


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


def _by_id(choice: _NamedChoice) -> dict[int, float]:
    lists = choice.logprobs.top_logprobs if choice.logprobs else None
    ids = {name.removeprefix("token_id:"): score for name, score in ((lists and lists[0]) or {}).items()}
    return {int(token): score for token, score in ids.items() if token.isdecimal() and len(token) < 12}
