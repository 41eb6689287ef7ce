"""`Resources`: a problem, and the models that may be used for it, each loaded when it is first asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from fewshot_llm.data import Problem
from fewshot_llm.errors import ModelError, PullError
from fewshot_llm.models.encoder import Encoder, load_encoder
from fewshot_llm.models.locate import Stamp, stamp_of
from fewshot_llm.predictors.prompted import Inference
from fewshot_llm.types import FloatArray, Text

__all__ = ["ProblemVectors", "Resources", "Unavailable", "encoder_named"]


class Unavailable(Exception):
    """A model that nobody named is not to be had; whoever asked for it goes on without.

    Attributes:
        why: the end of the sentence "it was not measured: …".
    """

    def __init__(self, why: Text) -> None:
        super().__init__(why.en)
        self.why = why


NOT_HERE = Text("{error}", "{error}")


@dataclass
class Resources:
    """What may be used to answer a problem.

    Attributes:
        problem: task, language and labelled rows.
        lend: loads the language model and says what is asked of it.
        encoder_name: an embedded encoder, a folder or a hub id; `auto` for the small one.
        device: where encoders run; None for the fastest present.
        may_miss: whether the language model was chosen by nobody: then a ladder goes on where it is not to be had.
    """

    problem: Problem
    lend: Callable[[], Inference] = field(repr=False)
    encoder_name: str = "auto"
    device: str | None = None
    may_miss: bool = False
    _vectors: dict[str, ProblemVectors] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, inference: Inference, encoder: str = "auto", device: str | None = None) -> Resources:
        """With a language model that is loaded already."""
        builder = inference.builder
        problem = Problem(builder.task, builder.language, inference.support)
        return cls(problem, lambda: inference, encoder, device)

    @cached_property
    def inference(self) -> Inference:
        """What is asked of the language model, and how, where no rung decides otherwise.

        Raises:
            Unavailable: nobody named a model, and the one for the texts' language is not to be had.
            ModelError: the model that was named is not to be had.
        """
        try:
            return self.lend()
        except (ModelError, PullError) as error:
            if not self.may_miss:
                raise
            raise Unavailable(NOT_HERE.fill(error=error)) from error

    @property
    def lent(self) -> bool:
        """Whether the language model is loaded."""
        return "inference" in self.__dict__

    def encoder(self, name: str | None = None) -> Encoder:
        """An encoder; the one that was named by default.

        Raises:
            Unavailable: nobody named it, and it is not to be had.
            ModelError: the one that was named is not to be had.
        """
        chosen = name or self.encoder_name
        try:
            return encoder_named(chosen, self.device)
        except (ModelError, PullError) as error:
            if chosen == self.encoder_name != "auto":
                raise
            raise Unavailable(NOT_HERE.fill(error=error)) from error

    def vectors(self, name: str | None = None) -> ProblemVectors:
        """The problem's texts as an encoder sees them, encoded when first asked for.

        Raises:
            Unavailable: as of `encoder`.
            ModelError: as of `encoder`.
        """
        encoder = self.encoder(name)
        if encoder.fingerprint not in self._vectors:
            texts = [row.text for row in self.problem.support]
            words = encoder.vectors(list(self.problem.described.values()))
            started = time.perf_counter()
            rows = encoder.vectors(texts)
            cost = 1000 * (time.perf_counter() - started) / max(1, len(texts))
            self._vectors[encoder.fingerprint] = ProblemVectors(encoder, rows, words, cost)
        return self._vectors[encoder.fingerprint]


@dataclass(frozen=True)
class ProblemVectors:
    """A problem's texts as an encoder sees them.

    Attributes:
        encoder: gave them.
        rows: of the support rows, of length 1, shape [rows, width].
        words: of each label's words and description, shape [labels, width].
        seconds_per_1000: what encoding 1,000 rows costs.
    """

    encoder: Encoder
    rows: FloatArray = field(repr=False)
    words: FloatArray = field(repr=False)
    seconds_per_1000: float


def encoder_named(name: str, device: str | None = None) -> Encoder:
    """`load_encoder`; the last two stay in memory."""
    return _load_once(name, device, stamp_of(name))


@lru_cache(maxsize=2)
def _load_once(name: str, device: str | None, stamp: Stamp) -> Encoder:
    return load_encoder(name, device=device)
