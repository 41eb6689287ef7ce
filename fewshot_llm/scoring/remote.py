"""`RemoteScorer`: the same label log-probabilities from a model server (vLLM, SGLang, llama.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from fewshot_llm.errors import ServerError
from fewshot_llm.prompting.prompt import Prompt
from fewshot_llm.scoring.base import LabelScores, Progress, TopLabels
from fewshot_llm.scoring.encoding import Encoded, encode
from fewshot_llm.scoring.reference import best_of
from fewshot_llm.scoring.remote_http import Http, parse_address
from fewshot_llm.scoring.remote_servers import ServerInfo, choose_method, identify

__all__ = ["RemoteScorer", "is_address"]


def is_address(model: str) -> bool:
    """Whether a model is named by a server's address.

    >>> is_address("http://127.0.0.1:8000/v1#intents"), is_address("smollm2-135m")
    (True, False)
    """
    return model.startswith(("http://", "https://"))


class RemoteScorer:
    """Scores answers on a server that has the base model, with an adapter or without.

    Prompts are tokenised here, with the base model's tokenizer, and sent as token ids, so that neither a second BOS
    nor another template can come in on the way. An API key is taken from the environment variable `FEWSHOT_API_KEY`.

    Args:
        address: `http://HOST:PORT/v1#NAME`; NAME is the served model or adapter, the server's first without it.
        tokenizer: the base model's fast tokenizer.
        timeout: seconds to wait for an answer before a try counts as failed.
        retries: further tries, with growing pauses, after a refused connection, a time-out or a "try later".
        in_flight: requests under way at the same time, at most.

    Raises:
        ServerError: no server there, an unknown model or adapter, or a server that gives no log-probabilities.
    """

    def __init__(
        self, address: str, tokenizer: Any, *, timeout: float = 120.0, retries: int = 4, in_flight: int = 8
    ) -> None:
        if in_flight < 1:
            raise ServerError(f"in_flight is {in_flight}; at least one request has to be under way.")
        self.address = parse_address(address)
        self.tokenizer = tokenizer
        self.in_flight = in_flight
        self.http = Http(self.address.root, timeout, retries)
        self.server: ServerInfo = identify(self.http)
        probe = tokenizer("a b c").input_ids
        self._method = choose_method(self.http, self.address, self.server, probe)

    def close(self) -> None:
        """Close the connections; also done when the scorer is let go."""
        self.http.close()

    @property
    def fingerprint(self) -> str:
        """Server, version, address and model."""
        return f"{self.server}|{self.address.root}|{self.address.model}"

    def log_probs(self, prompts: Sequence[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        """See `Scorer.log_probs`; a prompt's scores are a `BoundedLabelScores` where the server lists top tokens only.

        Raises:
            ServerError: the server stopped answering or refused a prompt; requests not yet sent are given up.
        """
        return self.score_encoded(encode(self.tokenizer, prompts), progress)

    def score_encoded(self, encoded: Sequence[Encoded], progress: Progress | None = None) -> list[LabelScores]:
        """`log_probs` of prompts whose token ids are known."""
        results: dict[int, LabelScores] = {}
        executor = ThreadPoolExecutor(self.in_flight, thread_name_prefix="remote-scorer")
        try:
            futures = {executor.submit(self._method.score, self.http, item): at for at, item in enumerate(encoded)}
            for done, future in enumerate(as_completed(futures), start=1):
                results[futures[future]] = future.result()
                if progress:
                    progress(done, len(encoded))
        finally:
            executor.shutdown(cancel_futures=True)
        return [results[at] for at in range(len(encoded))]

    def best(self, prompts: Sequence[Prompt], k: int = 1, progress: Progress | None = None) -> list[TopLabels]:
        """See `Scorer.best`."""
        return [best_of(scores, k) for scores in self.log_probs(prompts, progress)]
