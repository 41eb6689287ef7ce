"""Which server is this, and how does it give log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fewshot_llm.errors import ServerError
from fewshot_llm.scoring.base import LabelScores
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.remote_http import Address, Http
from fewshot_llm.scoring.remote_lists import TopLists, free_slots, lora_scales
from fewshot_llm.scoring.remote_named import NamedTokens, takes_named_tokens

__all__ = ["Echo", "Method", "ServerInfo", "choose_method", "identify"]


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
    if isinstance(answer := http.get("/version"), dict) and "version" in answer:
        return ServerInfo("vllm", str(answer["version"]))
    if isinstance(answer := http.get("/props"), dict) and "build_info" in answer:
        return ServerInfo("llama.cpp", str(answer["build_info"]))
    if isinstance(answer := http.get("/get_server_info"), dict) and "version" in answer:
        return ServerInfo("sglang", str(answer["version"]))
    if isinstance(answer := http.get("/openapi.json"), dict) and "/v1/systemone" in answer.get("paths", {}):
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
        )
        choices = sorted(answer.get("choices", ()), key=lambda choice: choice.get("index", 0))
        if len(choices) != len(sequences):
            raise ServerError(f"{http.root} answered {len(choices)} of {len(sequences)} prompts in one request.")
        start = len(encoded.context)
        sums = [
            math.fsum(self._token_scores(http, choice, len(ids))[start : len(ids)])
            for choice, ids in zip(choices, sequences, strict=True)
        ]
        return LabelScores(np.array(sums), np.array([len(ids) for ids in encoded.answers]))

    def _token_scores(self, http: Http, choice: dict[str, Any], count: int) -> list[float]:
        found: list[float] | None = (choice.get("logprobs") or {}).get("token_logprobs")
        if not found:
            raise ServerError(
                f"{http.root} ignores `echo` with `logprobs`, so labels cannot be scored there. vLLM and SGLang "
                "answer it; llama.cpp is asked in its own way."
            )
        if len(found) not in (count, count + 1):
            raise ServerError(
                f"{http.root} was sent {count} token ids and answered for {len(found)}: it changes the prompt "
                "(a second BOS, or a template of its own). Turn that off in the server."
            )
        return found


def _first_model(http: Http, address: Address) -> str:
    answer = http.get(f"{address.prefix}/models") or {}
    names = [str(entry.get("id")) for entry in answer.get("data", ())]
    if not names:
        raise ServerError(
            f"{http.root} lists no model at {address.prefix}/models. Write its name after # in the address."
        )
    return names[0]
