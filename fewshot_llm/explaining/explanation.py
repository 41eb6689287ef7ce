"""`Explanation`: what moved a decision, in log-odds of the label that was given against the runner-up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

__all__ = ["Explanation", "Passage", "Shown", "Word"]


@dataclass(frozen=True)
class Word:
    """A piece of the text and what taking it away does.

    Attributes:
        start: position of its first character in the passage.
        end: one past its last.
        text: the piece itself.
        effect: log-odds, nats, that the label loses against the runner-up when the piece is deleted: positive for what
            speaks for the label, negative for what speaks against it.
    """

    start: int
    end: int
    text: str
    effect: float


@dataclass(frozen=True)
class Passage:
    """One field of the text that was labelled.

    Attributes:
        field: its name in the task.
        text: all of it.
        words: the pieces that were taken away; those of Chinese overlap.
    """

    field: str
    text: str
    words: tuple[Word, ...]

    def pieces(self) -> list[Word]:
        """The whole text in order, cut where the effect changes, nothing overlapping: what a highlighter draws.

        A character's effect is the mean over the words that hold it, 0 where none does.

        >>> passage = Passage("text", "很好吃", (Word(0, 2, "很好", 1.0), Word(1, 3, "好吃", 2.0)))
        >>> [(piece.text, piece.effect) for piece in passage.pieces()]
        [('很', 1.0), ('好', 1.5), ('吃', 2.0)]
        """
        holding: list[list[int]] = [[] for _ in self.text]
        for number, word in enumerate(self.words):
            for at in range(word.start, word.end):
                holding[at].append(number)
        found, start = [], 0
        for numbers, group in groupby(holding):
            end = start + len(list(group))
            effect = sum(self.words[number].effect for number in numbers) / max(1, len(numbers))
            found.append(Word(start, end, self.text[start:end], effect))
            start = end
        return found

    def strongest(self, n: int) -> list[Word]:
        """The n words that speak most for the label, no two of which overlap, strongest first."""
        chosen: list[Word] = []
        for word in sorted(self.words, key=lambda word: -word.effect):
            if len(chosen) < n and all(word.end <= other.start or other.end <= word.start for other in chosen):
                chosen.append(word)
        return chosen


@dataclass(frozen=True)
class Shown:
    """A demonstration in the prompt and what leaving it out does.

    Attributes:
        row: its position in the support set.
        label: its label.
        text: its text.
        effect: log-odds, nats, that the label loses against the runner-up when it is left out.
    """

    row: int
    label: str
    text: str
    effect: float


@dataclass(frozen=True)
class Explanation:
    """Why a text got its label.

    Every effect is measured on its own, with everything else in place; effects do not add up to `log_odds`. The
    calibration stays as it was fitted.

    Attributes:
        label: the label that was given.
        runner_up: the next most probable one.
        log_odds: log P(label) − log P(runner-up), calibrated, nats; never negative.
        probabilities: calibrated probability of each label, in the task's order.
        passages: the text's fields with their words.
        demonstrations: what the prompt showed, the strongest effect first.
    """

    label: str
    runner_up: str
    log_odds: float
    probabilities: dict[str, float]
    passages: tuple[Passage, ...]
    demonstrations: tuple[Shown, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain lists and mappings."""
        return asdict(self)
