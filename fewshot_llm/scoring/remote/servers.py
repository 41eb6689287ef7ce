"""Which server is this, and how does it give log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pydantic import FiniteFloat

from fewshot_llm.errors import ServerError
from fewshot_llm.scoring.base import LabelScores
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.remote.candidates import (
    NamedTokens,
    TopLists,
    free_slots,
    in_order,
    lora_scales,
    require_log_probability,
    takes_named_tokens,
)
from fewshot_llm.scoring.remote.http import Address, Http, ServerAnswer

__all__ = [
    "Echo",
    "EchoChoice",
    "EchoCompletions",
    "Method",
    "ModelList",
    "ServerInfo",
    "choose_method",
    "echo_score",
    "identify",
]


class ListedModel(ServerAnswer):
    """An entry of `/v1/models`; what only some servers tell may be missing."""

    id: str
    root: str | None = None
    parent: str | None = None
    max_model_len: int | None = None


class ModelList(ServerAnswer):
    """What `/v1/models` answers."""

    data: list[ListedModel]


class _Version(ServerAnswer):
    version: str


class _BuildInfo(ServerAnswer):
    build_info: str


class _Routes(ServerAnswer):
    paths: dict[str, Any]


class _EchoedLogprobs(ServerAnswer):
    token_logprobs: list[FiniteFloat | None] | None = None


class EchoChoice(ServerAnswer):
    """One prompt that came back, with the log-probability of each token; the first has none."""

    index: int = 0
    logprobs: _EchoedLogprobs | None = None


class EchoCompletions(ServerAnswer):
    """What a completions route answers where `echo` is asked for."""

    choices: list[EchoChoice]


@dataclass(frozen=True)
class ServerInfo:
    """A server's kind (`vllm`, `sglang`, `llama.cpp`, `transformers` or `unknown`) and version."""

    kind: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind} {self.version}".strip()


class Method(Protocol):
    """A way of asking one server for the scores of one prompt."""

    def score(self, http: Http, encoded: Encoded) -> LabelScores:
        """Score all answers of a prompt."""
        ...


def identify(http: Http) -> ServerInfo:
    """Ask a server what it is, by routes that only that server has."""
    if vllm := http.probe("/version", _Version):
        return ServerInfo("vllm", vllm.version)
    if llama := http.probe("/props", _BuildInfo):
        return ServerInfo("llama.cpp", llama.build_info)
    if sglang := http.probe("/get_server_info", _Version):
        return ServerInfo("sglang", sglang.version)
    if (routes := http.probe("/openapi.json", _Routes)) and "/v1/systemone" in routes.paths:
        return ServerInfo("transformers", "")
    return ServerInfo("unknown", "")


def choose_method(http: Http, address: Address, info: ServerInfo, probe: Sequence[int]) -> Method:
    """How to score on this server.

    Args:
        http: the server.
        address: with the model's name.
        info: what the server is.
        probe: a few token ids to try with; the last is a whole character.

    Raises:
        ServerError: the server gives no log-probabilities of prompt tokens.
    """
    if info.kind == "llama.cpp":
        return TopLists(probe[-1], free_slots(http), lora_scales(http, address.model))
    if info.kind == "transformers":
        raise ServerError(
            f"{http.root} is `transformers serve`, which accepts `logprobs` and ignores it, so labels cannot be "
            "scored there. Serve a bundle made by `export --to decision` and ask its /v1/systemone route, or use "
            "vLLM or llama.cpp."
        )
    path, model = f"{address.prefix}/completions", address.model or _first_model(http, address)
    if info.kind == "vllm" and takes_named_tokens(http, named := NamedTokens(path, model), probe):
        return named
    echo = Echo(path, model)
    echo.score(http, Encoded(tuple(probe[:-1]), (tuple(probe[-1:]),)))
    return echo


@dataclass(frozen=True)
class Echo:
    """SGLang and older vLLM: the prompt with an answer comes back with the log-probability of each of its tokens.

    One request holds a prompt with each of its answers; nothing is estimated.
    """

    path: str
    model: str

    def score(self, http: Http, encoded: Encoded) -> LabelScores:
        """See `Method`; one request per prompt."""
        sequences = [[*encoded.context, *answer] for answer in encoded.answers]
        answer = http.post(
            self.path,
            {
                "model": self.model,
                "prompt": sequences,
                "max_tokens": 1,
                "temperature": 0,
                "echo": True,
                "logprobs": 1,
            },
            EchoCompletions,
        )
        choices = in_order(http.root, answer.choices, len(sequences))
        start = len(encoded.context)
        sums = [echo_score(http.root, choice, start, len(ids)) for choice, ids in zip(choices, sequences, strict=True)]
        return LabelScores(np.array(sums), np.array([len(ids) for ids in encoded.answers]))


def echo_score(server: str, choice: EchoChoice, start: int, end: int) -> float:
    """The summed log-probability of an answer's tokens, nats.

    Args:
        server: its name, for messages.
        choice: the prompt with the answer, as it came back.
        start: where the answer begins, in tokens.
        end: where it ends: how many tokens were sent.

    Raises:
        ServerError: not every token of the answer has a log-probability, or the prompt was changed.
    """
    found = choice.logprobs.token_logprobs if choice.logprobs else None
    if not found:
        raise ServerError(
            f"{server} ignores `echo` with `logprobs`, so labels cannot be scored there. vLLM and SGLang "
            "answer it; llama.cpp is asked in its own way."
        )
    if len(found) not in (end, end + 1):
        raise ServerError(
            f"{server} was sent {end} token ids and answered for {len(found)}: it changes the prompt "
            "(a second BOS, or a template of its own). Turn that off in the server."
        )
    return math.fsum(require_log_probability(server, score) for score in found[start:end])


def _first_model(http: Http, address: Address) -> str:
    listed = http.get(f"{address.prefix}/models", ModelList)
    if listed is None or not listed.data:
        raise ServerError(
            f"{http.root} lists no model at {address.prefix}/models. Write its name after # in the address."
        )
    return listed.data[0].id
