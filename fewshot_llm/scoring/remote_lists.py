"""llama.cpp's way of giving log-probabilities: lists of likely next tokens, one step at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, FiniteFloat

from fewshot_llm.errors import ServerError
from fewshot_llm.scoring.base import LabelScores
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.remote_http import Http, Told
from fewshot_llm.scoring.remote_named import prefixes_of, require_log_probability
from fewshot_llm.scoring.trie import build_trie

__all__ = ["BoundedLabelScores", "Props", "TopLists", "free_slots", "lora_scales"]

LOWEST = -1e30
"""A probability that is 0 in float32 is given as the lowest number there is."""


class _Settings(Told):
    n_ctx: int | None = None


class Props(Told):
    """What llama.cpp answers at `/props`."""

    total_slots: Annotated[int, Field(ge=1, le=4096)] = 1
    model_path: str | None = None
    default_generation_settings: _Settings | None = None


class _LoadedAdapter(Told):
    id: int
    path: str = ""


class _Listed(Told):
    id: int
    bytes: list[Annotated[int, Field(ge=0, le=255)]] = Field(default_factory=list)
    logprob: FiniteFloat


class _Lifted(Told):
    id: int
    prob: Annotated[FiniteFloat, Field(ge=0, le=1.001)]


class _ListedStep(Told):
    top_logprobs: list[_Listed] = Field(default_factory=list)


class _LiftedStep(Told):
    top_probs: list[_Lifted] = Field(default_factory=list)


class _Completion(Told):
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
        for node, prefix in enumerate(prefixes_of(trie)):
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
