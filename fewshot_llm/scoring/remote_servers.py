"""Which server is this, and how does it give log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fewshot_llm.errors import ServerError
from fewshot_llm.scoring.base import LabelScores
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.remote_http import Address, Http
from fewshot_llm.scoring.trie import build_trie

__all__ = ["BoundedLabelScores", "Echo", "Method", "ServerInfo", "TopLists", "choose_method", "identify"]


@dataclass(frozen=True)
class BoundedLabelScores(LabelScores):
    """Scores of which some are only upper bounds.

    Attributes:
        bounded: where True, a token was outside the server's top list, and the label's log-probability is at most
            what stands in `log_probs`; shape [labels].
    """

    bounded: npt.NDArray[np.bool_]


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
        return TopLists(probe[-1], _free_slots(http), _lora_scales(http, address.model))
    if info.kind == "transformers":
        raise ServerError(
            f"{http.root} is `transformers serve`, which accepts `logprobs` and ignores it, so labels cannot be "
            "scored there. Serve a bundle made by `export --to decision` and ask its /v1/systemone route, or use "
            "vLLM or llama.cpp."
        )
    echo = Echo(f"{address.prefix}/completions", address.model or _first_model(http, address))
    echo.score(http, Encoded(tuple(probe[:-1]), (tuple(probe[-1:]),)))
    return echo


@dataclass(frozen=True)
class Echo:
    """vLLM and SGLang: the prompt with an answer comes back with the log-probability of each of its tokens.

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


@dataclass(frozen=True)
class TopLists:
    """llama.cpp: no echo there, so labels are followed down their trie by the list of likeliest next tokens.

    Attributes:
        plain_token: any token that is whole characters. It is made the one that the server generates, because a server
            that generates half a character holds its answer's probabilities back; those are taken before the bias.
        slots: the server's free slots. A prompt's requests all go to one, one after the other: they share its cache,
            and llama.cpp never has to store and restore prompts, which was seen to shift scores with sliding windows.
        lora: adapters and scales to use, as llama.cpp wants them; empty leaves the server's own.
        first: tokens asked for at first; a step whose tokens are not among them is asked again for 16 times as many.
        widest: the longest list that is asked for. Beyond it only a bound is known.
    """

    plain_token: int
    slots: SimpleQueue[int]
    lora: tuple[tuple[int, float], ...] = ()
    first: int = 64
    widest: int = 16384

    def score(self, http: Http, encoded: Encoded) -> LabelScores:
        """See `Method`; one request or more per inner node of the label trie."""
        slot = self.slots.get()
        try:
            return self._walk(http, slot, encoded)
        finally:
            self.slots.put(slot)

    def _walk(self, http: Http, slot: int, encoded: Encoded) -> LabelScores:
        trie = build_trie(encoded.answers)
        prefixes: list[tuple[int, ...]] = [()]
        for node in range(1, len(trie.tokens)):
            prefixes.append((*prefixes[trie.parents[node]], int(trie.tokens[node])))
        scores = np.zeros(len(trie.edge_nodes))
        bounded = np.zeros(len(trie.edge_nodes))
        for node, prefix in enumerate(prefixes):
            edges = list(trie.edges_of(node))
            wanted = [int(trie.edge_tokens[edge]) for edge in edges]
            known, bound = self._step(http, slot, (*encoded.context, *prefix), wanted)
            for edge, token in zip(edges, wanted, strict=True):
                scores[edge] = known.get(token, bound)
                bounded[edge] = token not in known
        return BoundedLabelScores(trie.answer_scores(scores), trie.lengths, trie.answer_scores(bounded) > 0)

    def _step(self, http: Http, slot: int, ids: Sequence[int], wanted: Sequence[int]) -> tuple[dict[int, float], float]:
        """Log-probabilities of likely next tokens by id, and the most that any other token can have."""
        size = max(self.first, len(wanted))
        while True:
            listed = self._ask(http, slot, ids, size)
            complete = len(listed) < size
            if complete or size >= self.widest or all(token in listed for token in wanted):
                break
            size = min(16 * size, self.widest)
        rest = max(1.0 - math.fsum(map(math.exp, listed.values())), 0.0)
        bound = min(min(listed.values()), math.log(rest) if rest > 0 else -math.inf)
        # Rounding can leave nothing over although tokens are missing; their place in the list is then the bound.
        return listed, bound if math.isfinite(bound) else min(listed.values())

    def _ask(self, http: Http, slot: int, ids: Sequence[int], size: int) -> dict[int, float]:
        body: dict[str, Any] = {
            "prompt": list(ids),
            "n_predict": 1,
            "n_probs": size,
            "post_sampling_probs": False,
            "temperature": 0,
            "logit_bias": [[self.plain_token, 1e4]],
            "cache_prompt": True,
            "id_slot": slot,
        }
        if self.lora:
            body["lora"] = [{"id": number, "scale": scale} for number, scale in self.lora]
        answer = http.post("/completion", body)
        steps = answer.get("completion_probabilities") or ()
        if not steps or not steps[0].get("top_logprobs"):
            raise ServerError(f"{http.root} answered without `top_logprobs`: {str(answer)[:200]}")
        if answer.get("tokens_evaluated") not in (None, len(ids)):
            raise ServerError(
                f"{http.root} was sent {len(ids)} token ids and read {answer['tokens_evaluated']}: the prompt was "
                "changed or cut. Start it with a larger context (-c)."
            )
        listed = {int(entry["id"]): float(entry["logprob"]) for entry in steps[0]["top_logprobs"]}
        # A probability that is 0 in float32 is given as the lowest number there is.
        return {token: score for token, score in listed.items() if score > -1e30}


def _free_slots(http: Http) -> SimpleQueue[int]:
    slots: SimpleQueue[int] = SimpleQueue()
    for slot in range(int((http.get("/props") or {}).get("total_slots", 1))):
        slots.put(slot)
    return slots


def _lora_scales(http: Http, name: str) -> tuple[tuple[int, float], ...]:
    """The named adapter at scale 1 and all others at 0; nothing where no name is given."""
    loaded = http.get("/lora-adapters") or []
    if not name:
        return ()
    stems = {int(entry["id"]): str(entry.get("path", "")).replace("\\", "/").rpartition("/")[2] for entry in loaded}
    chosen = [number for number, file in stems.items() if file.removesuffix(".gguf") == name]
    if not chosen:
        raise ServerError(
            f"{http.root} has no adapter named {name!r}; it was started with {', '.join(stems.values()) or 'none'}. "
            "llama.cpp loads adapters at its start only: restart it with --lora FILE."
        )
    return tuple((number, float(number == chosen[0])) for number in stems)


def _first_model(http: Http, address: Address) -> str:
    answer = http.get(f"{address.prefix}/models") or {}
    names = [str(entry.get("id")) for entry in answer.get("data", ())]
    if not names:
        raise ServerError(
            f"{http.root} lists no model at {address.prefix}/models. Write its name after # in the address."
        )
    return names[0]
