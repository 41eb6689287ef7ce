"""Two ways of asking a server what the certificate wants to know: for completions, and for typed decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.special import log_softmax

from fewshot_llm.errors import ServerError
from fewshot_llm.export.golden import GoldenRow
from fewshot_llm.scoring.base import FloatArray
from fewshot_llm.scoring.remote import RemoteScorer
from fewshot_llm.scoring.remote_http import Http, Told, parse_address

__all__ = ["CompletionServer", "DecisionServer"]


class _Tokens(Told):
    tokens: list[int]


class _Usage(Told):
    input_tokens: int


class _Choice(Told):
    probabilities: dict[str, Annotated[float, Field(ge=0, le=1.001)]]


class _Answers(Told):
    label: _Choice


class _Decision(Told):
    answers: _Answers
    usage: _Usage


class CompletionServer:
    """vLLM, SGLang or llama.cpp, asked through a `RemoteScorer`."""

    def __init__(self, scorer: RemoteScorer) -> None:
        self._scorer = scorer

    @property
    def server(self) -> str:
        """See `Served`."""
        return str(self._scorer.server)

    def token_ids(self, row: GoldenRow) -> tuple[int, ...] | None:
        """See `Served`; by the server's route `/tokenize`, with the special tokens that it adds by itself."""
        kind = self._scorer.server.kind
        # A chat layout has its BOS in the text; clients that send such text ask for no other.
        bos = self._scorer.tokenizer.bos_token
        special = not (bos and row.text.startswith(bos))
        if kind == "llama.cpp":
            body = {"content": row.text, "add_special": special, "parse_special": True}
        elif kind == "vllm":
            body = {"model": self._scorer.address.model, "prompt": row.text, "add_special_tokens": special}
        else:
            return None
        return tuple(self._scorer.http.post("/tokenize", body, _Tokens).tokens)

    def scores(self, rows: Sequence[GoldenRow]) -> FloatArray:
        """See `Served`."""
        found = self._scorer.score_encoded([row.encoded for row in rows])
        return np.array([scores.log_probs for scores in found])

    def expected(self, scores: Sequence[float]) -> FloatArray:
        """See `Served`: the very scores."""
        return np.asarray(scores, dtype=np.float64)


class DecisionServer:
    """`transformers serve` with a decision folder, asked by its typed route.

    Args:
        address: the server's address.
        folder: the decision folder, which requests name.
        labels: the task's labels, in the order of the decision folder's label tokens.
        start: what the decision template writes before the text.
        end: what it writes between the text and the answer's token, with the part of the prompt that belongs to it.
        temperature: of the calibration.
        insecure: allow that the key is sent over http:// to another machine.
        send_key: send the key at all.
    """

    def __init__(
        self,
        address: str,
        folder: str,
        labels: Sequence[str],
        start: str,
        end: str,
        temperature: float = 1.0,
        *,
        insecure: bool = False,
        send_key: bool = True,
    ) -> None:
        self._http = Http(parse_address(address).root, insecure=insecure, send_key=send_key)
        self._folder = folder
        self._labels = tuple(labels)
        self._start, self._end = start, end
        self._temperature = temperature

    @property
    def server(self) -> str:
        """See `Served`."""
        import transformers

        return f"transformers serve {transformers.__version__}"

    def token_ids(self, row: GoldenRow) -> tuple[int, ...] | None:
        """See `Served`; the route tells how many tokens it read and not which, so only a wrong count is a fault."""
        count = self._ask(row).usage.input_tokens
        return None if count == len(row.context) else (-1,) * count

    def scores(self, rows: Sequence[GoldenRow]) -> FloatArray:
        """See `Served`: the logarithms of the probabilities, which sum to 1 over the labels."""
        answers = [self._ask(row).answers.label.probabilities for row in rows]
        if missing := [label for label in self._labels for answer in answers if label not in answer]:
            raise ServerError(f"{self._http.root} was asked about the label {missing[0]!r} and does not tell it.")
        with np.errstate(divide="ignore"):
            return np.log([[answer[label] for label in self._labels] for answer in answers])

    def expected(self, scores: Sequence[float]) -> FloatArray:
        """See `Served`: the scores, tempered and normalised over the labels."""
        result: FloatArray = log_softmax(np.asarray(scores, dtype=np.float64) / self._temperature)
        return result

    def _ask(self, row: GoldenRow) -> _Decision:
        state = row.prompt.removeprefix(self._start)
        state = state[: len(state) - len(self._end)] if self._end else state
        question = {"type": "choice", "criteria": dict.fromkeys(self._labels)}
        body = {"model": self._folder, "state": state, "questions": {"label": question}}
        return self._http.post("/v1/systemone", body, _Decision)
