"""`Labeller`: what a batch job needs from a classifier, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fewshot_llm.types import Progress

__all__ = ["DIGITS", "Answer", "Labeller", "Rendered", "Ruler", "combine", "rounded"]

DIGITS = 6
"""Decimals of every probability in the output: float32 scores hold no more."""


@dataclass(frozen=True)
class Rendered:
    """One query as the model will see it.

    Attributes:
        key: fingerprint of everything that is scored for it; equal keys have equal answers.
        query: the query itself.
    """

    key: str
    query: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """The answer to one query.

    Attributes:
        label: the most probable label.
        probabilities: of every label, in label order.
        margin: best minus second best probability.
        abstained: the classifier calls it too unsure to be used.
        reason: why; `None` where it may be used.
    """

    label: str
    probabilities: Mapping[str, float]
    margin: float
    abstained: bool = False
    reason: str | None = None


class Ruler(Protocol):
    """Measures texts in the model's tokens."""

    @property
    def room(self) -> int:
        """How many tokens of query text fit beside the demonstrations."""
        ...

    @property
    def room_alone(self) -> int:
        """How many fit when demonstrations are left out for it."""
        ...

    @property
    def shared(self) -> int:
        """How many tokens a prompt has besides its query: instruction and demonstrations."""
        ...

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Beginning and end of each token of a text, in characters."""
        ...


class Labeller(Protocol):
    """Something that labels texts: a fitted classifier, or a stand-in for it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of `Answer.probabilities`."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a query."""
        ...

    @property
    def optional_fields(self) -> tuple[str, ...]:
        """Those of `fields` that a row may lack."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Everything that may change an answer, by name: model, adapter, template, calibration, dtype and more."""
        ...

    @property
    def ruler(self) -> Ruler:
        """Measures texts."""
        ...

    def render(self, queries: Sequence[Mapping[str, str]]) -> list[Rendered]:
        """Renders some queries, in order."""
        ...

    def answer(self, rendered: Sequence[Rendered], progress: Progress | None = None) -> list[Answer]:
        """The answers, in order."""
        ...


def rounded(answer: Answer) -> Answer:
    """The answer as it is stored: probabilities and margin to `DIGITS` decimals; the label stays.

    >>> rounded(Answer("a", {"a": 0.71234567, "b": 0.28765433}, 0.42469134)).margin
    0.424691
    """
    probabilities = {label: round(float(value), DIGITS) for label, value in answer.probabilities.items()}
    return Answer(answer.label, probabilities, round(float(answer.margin), DIGITS), answer.abstained, answer.reason)


def combine(answers: Sequence[Answer]) -> Answer:
    """One answer from those of a long text's chunks: mean probabilities; abstained if most chunks are.

    >>> combine([Answer("a", {"a": 0.9, "b": 0.1}, 0.8), Answer("b", {"a": 0.3, "b": 0.7}, 0.4)]).label
    'a'
    """
    if len(answers) == 1:
        return answers[0]
    labels = list(answers[0].probabilities)
    mean = {label: sum(answer.probabilities[label] for answer in answers) / len(answers) for label in labels}
    ranked = sorted(mean.values(), reverse=True)
    best = max(labels, key=lambda label: mean[label])
    margin = ranked[0] - ranked[1] if len(ranked) > 1 else 1.0
    abstained = 2 * sum(answer.abstained for answer in answers) > len(answers)
    reason = next((answer.reason for answer in answers if answer.abstained), None) if abstained else None
    return rounded(Answer(best, mean, margin, abstained, reason))
