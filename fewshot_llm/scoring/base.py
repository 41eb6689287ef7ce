"""What every scorer takes and gives, and `Session`: scoring that can be stopped between two passes and goes on later.

A float score depends in its last digits on what is computed together with it. So what is kept of an unfinished call
is not the scores of some rows, to which others would be added: it is the state of the call itself, after a pass, from
which the passes that follow are exactly those of an undisturbed run. Scorers find the session of their thread here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from fewshot_llm.errors import ScoringError
from fewshot_llm.types import FloatArray, Progress

__all__ = [
    "LabelScores",
    "LimitedScorer",
    "LocalScorer",
    "PromptLimits",
    "Scorer",
    "Session",
    "Stopped",
    "TopLabels",
    "check_stop",
    "current_session",
    "local_model",
    "prompt_limits",
    "require_local",
]

if TYPE_CHECKING:
    from fewshot_llm.models.load import LanguageModel
    from fewshot_llm.prompting.builder import Prompt


@dataclass(frozen=True)
class LabelScores:
    """The scores of one prompt's answers.

    Attributes:
        log_probs: natural log P(answer | prompt) summed over the answer's tokens, shape [labels].
        token_counts: how many tokens each sum runs over, shape [labels].
    """

    log_probs: FloatArray
    token_counts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class TopLabels:
    """The exactly best answers of one prompt, best first.

    Attributes:
        indices: positions in `Prompt.answers`, best first, length k.
        scores: their log P(answer | prompt) plus their offset, nats.
        bound: no answer outside `indices` has a score above this (-inf when there is none).
    """

    indices: tuple[int, ...]
    scores: tuple[float, ...]
    bound: float


class Scorer(Protocol):
    """Anything that scores answers: the slow reference, the token tree, a remote server."""

    @property
    def fingerprint(self) -> str:
        """Names everything that may change a score: model, revision, adapter, dtype."""
        ...

    def log_probs(self, prompts: Sequence[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        """Scores of all answers of all prompts, in input order."""
        ...

    def best(
        self,
        prompts: Sequence[Prompt],
        k: int = 1,
        progress: Progress | None = None,
        offsets: Sequence[float] | None = None,
    ) -> list[TopLabels]:
        """The exactly best k answers of each prompt by log P(answer | prompt) + offset, in input order.

        Args:
            prompts: all with the same number of answers where there are offsets.
            k: how many answers each.
            progress: told of the rows that are finished.
            offsets: nats added to each answer's log-probability, a calibration's bias for example; none are 0.
        """
        ...


@runtime_checkable
class LocalScorer(Protocol):
    """What a scorer has besides where its model runs in this process."""

    @property
    def language_model(self) -> LanguageModel:
        """The model that it asks."""
        ...


@dataclass(frozen=True)
class PromptLimits:
    """What a prompt's builder has to know of a model.

    Attributes:
        tokenizer: the base model's.
        special_tokens: texts that are neutralised inside a customer's text.
        context_length: the longest sequence, in tokens, that the model or its server takes; None where nothing says.
    """

    tokenizer: Any
    special_tokens: tuple[str, ...]
    context_length: int | None


@runtime_checkable
class LimitedScorer(Protocol):
    """What a scorer has besides where its model runs elsewhere but is known."""

    @property
    def prompt_limits(self) -> PromptLimits:
        """What a prompt's builder has to know of the model."""
        ...


def prompt_limits(scorer: Scorer) -> PromptLimits | None:
    """What a prompt's builder has to know of the model behind a scorer; None where the scorer tells nothing of one."""
    if (model := local_model(scorer)) is not None:
        return PromptLimits(model.tokenizer, model.special_tokens, model.context_length)
    return scorer.prompt_limits if isinstance(scorer, LimitedScorer) else None


def local_model(scorer: object) -> LanguageModel | None:
    """The model behind a scorer; None where it runs elsewhere, or the scorer has none."""
    return scorer.language_model if isinstance(scorer, LocalScorer) else None


def require_local(scorer: Scorer) -> LanguageModel:
    """The model behind a scorer.

    Raises:
        ScoringError: it runs elsewhere, or the scorer has none.
    """
    model = local_model(scorer)
    if model is None:
        raise ScoringError(
            "This needs a model in this process, and the scorer has none: it asks a server, or it is your own. Give an "
            "embedded model's name, a folder or a LanguageModel."
        )
    return model


OFTEN = 10.0
"""Seconds between two states of one call that are kept unasked: what `kill -9` costs at most."""


class Stopped(KeyboardInterrupt):
    """Scoring ended because its session was stopped."""


class Session:
    """One piece of work whose scoring may be stopped.

    Args:
        stop: set it, from any thread, to end the scoring after the forward pass that is running.
        kept: states that an earlier session kept, by key.

    Example:
        >>> session = Session(Event())
        >>> with session.active():
        ...     session is current_session()
        True
    """

    def __init__(self, stop: Event, kept: Mapping[str, bytes] | None = None) -> None:
        self._stop = stop
        self._earlier = dict(kept or {})
        self._new: dict[str, bytes] = {}
        self._prompts: dict[str, int] = {}
        self._told = time.monotonic()
        self._lock = Lock()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within it, the scorers that this thread calls belong to the session."""
        token = _CURRENT.set(self)
        try:
            yield
        finally:
            _CURRENT.reset(token)

    def check(self) -> None:
        """Raise `Stopped` if the session was stopped."""
        if self._stop.is_set():
            raise Stopped

    def find(self, key: str) -> bytes | None:
        """The state that an earlier session kept of a call, `None` where there is none."""
        return self._earlier.get(key)

    def keep(self, key: str, state: bytes, prompts: int) -> None:
        """Keep a call's state; it replaces an older one.

        Args:
            key: of everything that the call's results depend on.
            state: what `find` gives the next session.
            prompts: how many of the call's prompts need no further pass.
        """
        with self._lock:
            self._new[key], self._prompts[key] = state, prompts

    def keep_often(self, key: str, state: Callable[[], bytes], prompts: int) -> None:
        """`keep`, but only where a while has gone by since the last time."""
        if time.monotonic() - self._told >= OFTEN:
            self._told = time.monotonic()
            self.keep(key, state(), prompts)

    def take(self) -> dict[str, bytes]:
        """The states that are kept and were not taken before."""
        with self._lock:
            new, self._new = self._new, {}
        return new

    @property
    def prompts(self) -> int:
        """How many prompts need no further pass, over all calls whose states are kept."""
        return sum(self._prompts.values())


_CURRENT: ContextVar[Session | None] = ContextVar("fewshot_session", default=None)


def current_session() -> Session | None:
    """The session that this thread works for; `None` outside of any."""
    return _CURRENT.get()


def check_stop() -> None:
    """Raise `Stopped` if this thread works for a session that was stopped."""
    session = _CURRENT.get()
    if session is not None:
        session.check()
