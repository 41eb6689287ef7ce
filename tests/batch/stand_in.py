"""A labeller without a model: instant, deterministic, and it counts what it was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fewshot_llm.batch import Answer, Rendered
from fewshot_llm.errors import ScoringError
from fewshot_llm.types import Progress


@dataclass(frozen=True)
class CharacterRuler:
    """One token a character."""

    room: int = 500
    room_alone: int = 540
    shared: int = 40

    def spans(self, text: str) -> list[tuple[int, int]]:
        return [(index, index + 1) for index in range(len(text))]


@dataclass
class StandIn:
    """Labels by a hash of the text; a text that contains `poison` cannot be scored.

    The last digits of a probability depend on the position in the batch, as a real model's do: what should be
    scored in the same company and is not, shows.
    """

    labels: tuple[str, ...] = ("negative", "positive")
    fields: tuple[str, ...] = ("text",)
    optional_fields: tuple[str, ...] = ()
    name: str = "stand-in"
    ruler: CharacterRuler = field(default_factory=CharacterRuler)
    asked: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> Mapping[str, str]:
        return {"model": self.name, "dtype": "float32"}

    def render(self, queries: Sequence[Mapping[str, str]]) -> list[Rendered]:
        return [Rendered(hashlib.sha256("\x1f".join(q.values()).encode()).hexdigest(), q) for q in queries]

    def answer(self, rendered: Sequence[Rendered], progress: Progress | None = None) -> list[Answer]:
        if any("poison" in text for one in rendered for text in one.query.values()):
            raise ScoringError("This prompt cannot be scored.")
        self.asked += [one.query[self.fields[0]] for one in rendered]
        answers = []
        for index, one in enumerate(rendered):
            share = int(one.key[:8], 16) / 0xFFFFFFFF
            positive = 0.9 * share + 0.05 + 1e-5 * ((index * 7 + len(rendered)) % 5)
            label = "positive" if positive > 0.5 else "negative"
            probabilities = {"negative": 1 - positive, "positive": positive}
            answers.append(Answer(label, probabilities, abs(2 * positive - 1), abs(positive - 0.5) < 0.02))
            if progress is not None:
                progress(index + 1, len(rendered))
        return answers
