"""Log-probabilities of next tokens where a server does not echo a prompt: vLLM's by token ids, llama.cpp's by lists.

vLLM tells those of tokens that are named by their ids (`NamedTokens`). llama.cpp tells lists of likely next tokens, one
step at a time (`TopLists`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Annotated, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, FiniteFloat

from fewshot_llm.errors import ServerError
from fewshot_llm.scoring.base import LabelScores
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.remote.http import Http, ServerAnswer
from fewshot_llm.scoring.token_tree import LabelTrie, build_trie

__all__ = [
    "MOST_TOKENS",
    "BoundedLabelScores",
    "NamedTokens",
    "Props",
    "TopLists",
    "free_slots",
    "in_order",
    "lora_scales",
    "require_log_probability",
    "takes_named_tokens",
]

MOST_TOKENS = 128
"""How many tokens vLLM lets a request name (`MAX_LOGPROB_TOKEN_IDS` in its `sampling_params.py`)."""

ROUNDING = 1e-2
"""By how much a log-probability may be above 0 in a half-width format, nats."""


class _TopLogprobs(ServerAnswer):
    top_logprobs: list[dict[str, FiniteFloat] | None] | None = None


class _NamedChoice(ServerAnswer):
    index: int = 0
    logprobs: _TopLogprobs | None = None


class _Usage(ServerAnswer):
    prompt_tokens: int | None = None


class _NamedCompletions(ServerAnswer):
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
        prefixes = _prefixes_of(trie)
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


def _prefixes_of(trie: LabelTrie) -> list[tuple[int, ...]]:
    """The answer tokens that lead to each inner node, one tuple per node.

    >>> _prefixes_of(build_trie(((5, 6), (5, 7, 8), (9,))))
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


LOWEST = -1e30
"""A probability that is 0 in float32 is given as the lowest number there is."""


class _Settings(ServerAnswer):
    n_ctx: int | None = None


class Props(ServerAnswer):
    """What llama.cpp answers at `/props`."""

    total_slots: Annotated[int, Field(ge=1, le=4096)] = 1
    model_path: str | None = None
    default_generation_settings: _Settings | None = None


class _LoadedAdapter(ServerAnswer):
    id: int
    path: str = ""


class _Listed(ServerAnswer):
    id: int
    bytes: list[Annotated[int, Field(ge=0, le=255)]] = Field(default_factory=list)
    logprob: FiniteFloat


class _Lifted(ServerAnswer):
    id: int
    prob: Annotated[FiniteFloat, Field(ge=0, le=1.001)]


class _ListedStep(ServerAnswer):
    top_logprobs: list[_Listed] = Field(default_factory=list)


class _LiftedStep(ServerAnswer):
    top_probs: list[_Lifted] = Field(default_factory=list)


class _Completion(ServerAnswer):
    tokens_evaluated: int | None = None


class _ListedCompletion(_Completion):
    completion_probabilities: list[_ListedStep] = Field(default_factory=list)


class _LiftedCompletion(_Completion):
    completion_probabilities: list[_LiftedStep] = Field(default_factory=list)


A = TypeVar("A", bound=_Completion)

LIFT = 60.0
"""Added to the logits of tokens that are too unlikely to be listed, nats; e^60 is far from float32's end, e^88."""

LEAD = 14.0
"""By how much the reference token is lifted above all others, so that it is the one that is generated."""


@dataclass(frozen=True)
class BoundedLabelScores(LabelScores):
    """Scores of which some are only upper bounds.

    Attributes:
        bounded: where True, a token was outside the server's top list, and the label's log-probability is at most
            what stands in `log_probs`; shape [labels].
    """

    bounded: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Step:
    """The listed next tokens.

    Attributes:
        listed: log-probability by token id, nats.
        whole: those of the listed tokens that are whole characters, likeliest first.
    """

    listed: Mapping[int, float]
    whole: tuple[int, ...]


@dataclass(frozen=True)
class TopLists:
    """Labels are followed down their trie by the list of likely next tokens; there is no echo on llama.cpp.

    A token that is too unlikely for the list is asked for again. Its logit is lifted by 60 nats, and so is a listed
    token's, by 14 nats more; in the probabilities after that bias,

        log P(token) = log P'(token) - log P'(reference) + 14,

    because the lifts cancel against the reference's known log P. Only where a token is too unlikely even then (below
    about -60 nats) does a bound stand in its place.

    Attributes:
        plain_token: any token that is whole characters. It is made the one that the server generates, because a server
            that generates half a character holds its answer's probabilities back; those are taken before the bias.
        slots: the server's free slots. A prompt's requests all go to one, one after the other: they share its cache,
            and llama.cpp never has to store and restore prompts, which was seen to shift scores with sliding windows.
        lora: adapters and scales to use, as llama.cpp wants them; empty leaves the server's own.
        size: how many likely tokens are listed.
    """

    plain_token: int
    slots: SimpleQueue[int]
    lora: tuple[tuple[int, float], ...] = ()
    size: int = 64

    def score(self, http: Http, encoded: Encoded) -> LabelScores:
        """Score all answers of a prompt: one request or two per inner node of the label trie."""
        slot = self.slots.get()
        try:
            return self._walk(http, slot, encoded)
        finally:
            self.slots.put(slot)

    def _walk(self, http: Http, slot: int, encoded: Encoded) -> LabelScores:
        trie = build_trie(encoded.answers)
        scores = np.zeros(len(trie.edge_nodes))
        bounded = np.zeros(len(trie.edge_nodes))
        for node, prefix in enumerate(_prefixes_of(trie)):
            edges = list(trie.edges_of(node))
            wanted = [int(trie.edge_tokens[edge]) for edge in edges]
            known, bound = self._step(http, slot, (*encoded.context, *prefix), wanted)
            for edge, token in zip(edges, wanted, strict=True):
                scores[edge] = known.get(token, bound)
                bounded[edge] = token not in known
        return BoundedLabelScores(trie.answer_scores(scores), trie.lengths, trie.answer_scores(bounded) > 0)

    def _step(self, http: Http, slot: int, ids: Sequence[int], wanted: Sequence[int]) -> tuple[dict[int, float], float]:
        """Log-probabilities of next tokens by id, and the most that a wanted token without one can have."""
        step = self._likely(http, slot, ids)
        missing = [token for token in wanted if token not in step.listed]
        lifted: dict[int, float] = {}
        if missing and step.whole:
            lifted = self._unlikely(http, slot, ids, missing, step)
        return {**step.listed, **lifted}, min(step.listed.values())

    def _likely(self, http: Http, slot: int, ids: Sequence[int]) -> _Step:
        answer = self._ask(
            http,
            slot,
            ids,
            {
                "n_probs": self.size,
                "post_sampling_probs": False,
                "temperature": 0,
                "logit_bias": [[self.plain_token, 1e4]],
            },
            _ListedCompletion,
        )
        steps = answer.completion_probabilities
        entries = steps[0].top_logprobs if steps else []
        listed = {
            entry.id: require_log_probability(http.root, entry.logprob) for entry in entries if entry.logprob > LOWEST
        }
        if not listed:
            raise ServerError(f"{http.root} answered without `top_logprobs`: {str(answer)[:200]}")
        whole = [entry.id for entry in entries if _is_text(entry.bytes)]
        return _Step(listed, tuple(token for token in whole if token in listed))

    def _unlikely(
        self, http: Http, slot: int, ids: Sequence[int], missing: Sequence[int], step: _Step
    ) -> dict[int, float]:
        reference = step.whole[0]
        lift = LIFT + LEAD - step.listed[reference]
        answer = self._ask(
            http,
            slot,
            ids,
            {
                "n_probs": len(missing) + 1,
                "post_sampling_probs": True,
                "samplers": ["temperature"],
                "temperature": 1.0,
                "seed": 0,
                "logit_bias": [[reference, lift], *([token, LIFT] for token in missing)],
            },
            _LiftedCompletion,
        )
        steps = answer.completion_probabilities
        found = {entry.id: entry.prob for entry in (steps[0].top_probs if steps else [])}
        if not found:
            raise ServerError(f"{http.root} answered without `top_probs`: {str(answer)[:200]}")
        if found.get(reference, 0.0) <= 0.0:
            return {}
        return {
            token: math.log(found[token] / found[reference]) + LEAD for token in missing if found.get(token, 0.0) > 0.0
        }

    def _ask(self, http: Http, slot: int, ids: Sequence[int], sampling: Mapping[str, Any], shape: type[A]) -> A:
        """The answer with one generated token's list."""
        body = {"prompt": list(ids), "n_predict": 1, "cache_prompt": True, "id_slot": slot, **sampling}
        if self.lora:
            body["lora"] = [{"id": number, "scale": scale} for number, scale in self.lora]
        answer = http.post("/completion", body, shape)
        if answer.tokens_evaluated not in (None, len(ids)):
            raise ServerError(
                f"{http.root} was sent {len(ids)} token ids and read {answer.tokens_evaluated}: the prompt was "
                "changed or cut. Start it with a larger context (-c)."
            )
        return answer


def _is_text(raw: Sequence[int]) -> bool:
    """Whether a token's bytes are whole characters."""
    try:
        return bool(bytes(raw).decode("utf-8"))
    except UnicodeDecodeError:
        return False


def free_slots(http: Http) -> SimpleQueue[int]:
    """The numbers of all slots that the server has."""
    slots: SimpleQueue[int] = SimpleQueue()
    props = http.get("/props", Props)
    for slot in range(1 if props is None else props.total_slots):
        slots.put(slot)
    return slots


def lora_scales(http: Http, name: str) -> tuple[tuple[int, float], ...]:
    """The named adapter at scale 1 and all others at 0; nothing where no name is given."""
    if not name:
        return ()
    loaded = http.get("/lora-adapters", list[_LoadedAdapter]) or []
    stems = {entry.id: entry.path.replace("\\", "/").rpartition("/")[2] for entry in loaded}
    chosen = [number for number, file in stems.items() if file.removesuffix(".gguf") == name]
    if not chosen:
        raise ServerError(
            f"{http.root} has no adapter named {name!r}; it was started with {', '.join(stems.values()) or 'none'}. "
            "llama.cpp loads adapters at its start only: restart it with --lora FILE."
        )
    return tuple((number, float(number == chosen[0])) for number in stems)
