"""`RemoteScorer`: the same label log-probabilities from a model server (vLLM, SGLang, llama.cpp)."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import numpy as np

from fewshot_llm.errors import ServerError
from fewshot_llm.models.load import special_tokens_of
from fewshot_llm.models.trust import RecordedModel, is_address, is_elsewhere
from fewshot_llm.prompting.builder import Prompt
from fewshot_llm.scoring.base import LabelScores, PromptLimits, Session, Stopped, TopLabels, current_session
from fewshot_llm.scoring.encoding import Encoded, encode
from fewshot_llm.scoring.reference import best_of
from fewshot_llm.scoring.remote.candidates import BoundedLabelScores, Props
from fewshot_llm.scoring.remote.http import Address, Http, parse_address
from fewshot_llm.scoring.remote.servers import ModelList, ServerInfo, choose_method, identify
from fewshot_llm.types import Progress

__all__ = ["RemoteScorer", "connect", "is_address"]

UNBOUNDED = 10**9
"""Tokenizers that know no limit say 10**30."""

PATIENCE = 0.2
"""Seconds between two looks at whether the work was stopped."""

T = TypeVar("T")
R = TypeVar("R")


class RemoteScorer:
    """Scores answers on a server that has the base model, with an adapter or without.

    Prompts are tokenised here, with the base model's tokenizer, and sent as token ids, so that neither a second BOS
    nor another template can come in on the way. An API key is taken from the environment variable
    `FEWSHOT_API_KEY`; it goes to this address alone. Redirects are not followed, and no proxy of the environment is
    used.

    Args:
        address: `http://HOST:PORT/v1#NAME`; NAME is the served model or adapter, the server's first without it.
        tokenizer: the base model's fast tokenizer.
        timeout: seconds in which a request has to be answered whole, all its tries together.
        retries: further tries, with growing pauses, after a lost connection or a "try later".
        in_flight: requests under way at the same time, at most.
        insecure: allow that the key is sent over http:// to another machine, where it can be read on the way.
        send_key: send the key at all.

    Raises:
        ServerError: no server there, an unknown model or adapter, a server that gives no log-probabilities, or one
            whose answers cannot be right.
    """

    def __init__(
        self,
        address: str,
        tokenizer: Any,
        *,
        timeout: float = 120.0,
        retries: int = 4,
        in_flight: int = 8,
        insecure: bool = False,
        send_key: bool = True,
    ) -> None:
        if in_flight < 1:
            raise ServerError(f"in_flight is {in_flight}; at least one request has to be under way.")
        self.address = parse_address(address)
        self.tokenizer = tokenizer
        self.in_flight = in_flight
        self.http = Http(self.address.root, timeout, retries, insecure=insecure, send_key=send_key)
        self.server: ServerInfo = identify(self.http)
        probe = tokenizer("a b c").input_ids
        self.prompt_limits = PromptLimits(
            tokenizer, special_tokens_of(tokenizer), _context_length(self.http, self.address, tokenizer)
        )
        self._method = choose_method(self.http, self.address, self.server, probe)

    def close(self) -> None:
        """Close the connections; also done when the scorer is let go."""
        self.http.close()

    @property
    def name(self) -> str:
        """What the user asked for: the server's address with the model's name."""
        return f"{self.address.root}{self.address.prefix}#{self.address.model}"

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
        """`log_probs` of prompts whose token ids are known.

        In a `Session` the answers that are there are kept, and a call that was stopped asks for the others only.
        Requests that are under way are not waited for.
        """
        session = current_session()
        key = _call_key(self.fingerprint, encoded) if session else ""
        earlier = session.find(key) if session else None
        results = {} if earlier is None else _read(earlier)
        missing = [at for at in range(len(encoded)) if at not in results]
        try:
            asked = [encoded[at] for at in missing]
            for number, scores in _in_background(
                lambda item: self._method.score(self.http, item), asked, self.in_flight, session
            ):
                results[missing[number]] = scores
                if progress:
                    progress(len(results), len(encoded))
                if session:
                    session.keep_often(key, lambda: _write(results), len(results))
        except Stopped:
            assert session is not None
            session.keep(key, _write(results), len(results))
            raise
        if session:
            session.keep(key, _write(results), len(results))
        return [results[at] for at in range(len(encoded))]

    def best(
        self,
        prompts: Sequence[Prompt],
        k: int = 1,
        progress: Progress | None = None,
        offsets: Sequence[float] | None = None,
    ) -> list[TopLabels]:
        """See `Scorer.best`."""
        return [best_of(scores, k, offsets) for scores in self.log_probs(prompts, progress)]


def _in_background(
    work: Callable[[T], R], items: Sequence[T], threads: int, session: Session | None
) -> Iterator[tuple[int, R]]:
    """Position and result of every item, as they come.

    The threads are daemons: neither an error nor Ctrl-C nor the end of the program waits for a server's answer.
    """
    todo = deque(enumerate(items))
    done: SimpleQueue[tuple[int, R] | BaseException] = SimpleQueue()

    def serve() -> None:
        while True:
            try:
                at, item = todo.popleft()
            except IndexError:
                return
            try:
                done.put((at, work(item)))
            except BaseException as error:
                done.put(error)

    for number in range(min(threads, len(items))):
        Thread(target=serve, name=f"remote-scorer_{number}", daemon=True).start()
    try:
        for _ in items:
            while True:
                if session:
                    session.check()
                try:
                    found = done.get(timeout=PATIENCE)
                except Empty:
                    continue
                break
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        todo.clear()


def _call_key(fingerprint: str, encoded: Sequence[Encoded]) -> str:
    digest = hashlib.sha256(fingerprint.encode())
    for item in encoded:
        digest.update(repr((item.context, item.answers)).encode())
    return digest.hexdigest()


def _write(results: dict[int, LabelScores]) -> bytes:
    """Answers by position; `_read` gives them back bit by bit."""
    rows = [
        {
            "at": at,
            "log_probs": [float(value).hex() for value in scores.log_probs],
            "token_counts": scores.token_counts.tolist(),
            "bounded": scores.bounded.tolist() if isinstance(scores, BoundedLabelScores) else None,
        }
        for at, scores in results.items()
    ]
    return json.dumps(rows).encode()


def _read(state: bytes) -> dict[int, LabelScores]:
    found: dict[int, LabelScores] = {}
    for row in json.loads(state):
        log_probs = np.array([float.fromhex(value) for value in row["log_probs"]])
        counts = np.array(row["token_counts"], dtype=np.int64)
        found[row["at"]] = (
            LabelScores(log_probs, counts)
            if row["bounded"] is None
            else BoundedLabelScores(log_probs, counts, np.array(row["bounded"], dtype=bool))
        )
    return found


def connect(
    address: str, base: str | None = None, *, allow_download: bool = False, insecure: bool = False
) -> RemoteScorer:
    """A scorer for a server, with the base model's tokenizer found for it.

    Args:
        address: `http://HOST:PORT/v1#NAME`.
        base: the base model's name, folder or hub id, or the folder of an adapter that records it. Without it the
            server is asked, which helps where it runs on this machine: vLLM tells the folder, llama.cpp the GGUF file.
        allow_download: fetch the tokenizer of the base model that an adapter's folder records.
        insecure: allow that the key is sent over http:// to another machine.

    Raises:
        ServerError: no such server, or none that says where its tokenizer is.
        ModelError: `base` is unknown.
    """
    from fewshot_llm.models.load import ADAPTER_CONFIG, load_tokenizer, recorded_base
    from fewshot_llm.models.locate import locate_model

    if base is not None:
        folder = Path(base)
        reference = recorded_base(folder, allow_download=allow_download) if folder.is_dir() else None
        if reference is not None or not (folder / ADAPTER_CONFIG).is_file():
            return RemoteScorer(address, load_tokenizer(locate_model(reference or base)), insecure=insecure)
    parsed = parse_address(address)
    http = Http(parsed.root, insecure=insecure)
    try:
        told = _told_base(http, parsed)
    finally:
        http.close()
    if told is None:
        raise ServerError(
            f"{parsed.root} does not say where its base model's tokenizer is, and prompts are tokenised here. Give the "
            "adapter's folder as well, or the base model: connect(address, base=NAME)."
        )
    recorded = RecordedModel(str(told), f"The server at {parsed.root}")
    return RemoteScorer(address, load_tokenizer(locate_model(recorded)), insecure=insecure)


def _told_base(http: Http, address: Address) -> Path | None:
    """The folder or GGUF file that the server says it has loaded, where it is on this machine too."""
    listed = http.get(f"{address.prefix}/models", ModelList)
    candidates = [entry.root for entry in (listed.data if listed else ()) if not entry.parent]
    props = http.probe("/props", Props)
    candidates.append(props.model_path if props else None)
    paths = [Path(candidate) for candidate in candidates if candidate and not is_elsewhere(candidate)]
    return next((path for path in paths if path.is_absolute() and path.exists()), None)


def _context_length(http: Http, address: Address, tokenizer: Any) -> int:
    listed = http.get(f"{address.prefix}/models", ModelList)
    props = http.probe("/props", Props)
    settings = props.default_generation_settings if props else None
    lengths = [entry.max_model_len for entry in (listed.data if listed else ())]
    lengths += [settings.n_ctx if settings else None, tokenizer.model_max_length]
    known = [int(length) for length in lengths if length and 0 < length < UNBOUNDED]
    # One token is generated besides, whether it is wanted or not.
    return min(known, default=2048) - 1
