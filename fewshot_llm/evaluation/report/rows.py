"""Single rows worth reading: the surest mistakes and the least sure answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fewshot_llm.evaluation.circumstances import Row
from fewshot_llm.evaluation.result import Run

__all__ = ["Answered", "least_sure", "surest_mistakes"]

MOST = 8


@dataclass(frozen=True)
class Answered:
    """A test row with its answer.

    Attributes:
        number: the row's place among the measured rows, from 1.
        text: its text; empty where texts are kept out of the result.
        label: the right label.
        given: the answer.
        probability: of the answer.
        runner_up: the second best label.
        runner_up_probability: its probability.
    """

    number: int
    text: str
    label: str
    given: str
    probability: float
    runner_up: str
    runner_up_probability: float

    @property
    def right(self) -> bool:
        """Whether the answer is right."""
        return self.given == self.label


def surest_mistakes(run: Run, rows: Sequence[Row], labels: Sequence[str], most: int = MOST) -> list[Answered]:
    """The wrong answers with the highest probability, the surest first."""
    wrong = [answer for answer in _answered(run, rows, labels) if not answer.right]
    return sorted(wrong, key=lambda answer: -answer.probability)[:most]


def least_sure(run: Run, rows: Sequence[Row], labels: Sequence[str], most: int = MOST) -> list[Answered]:
    """The answers whose best two labels lie closest together, the closest first."""
    found = _answered(run, rows, labels)
    return sorted(found, key=lambda answer: answer.probability - answer.runner_up_probability)[:most]


def _answered(run: Run, rows: Sequence[Row], labels: Sequence[str]) -> list[Answered]:
    probabilities = np.exp(run.log_probabilities)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return [
        Answered(
            number=number + 1,
            text=row.text,
            label=row.label,
            given=labels[top[0]],
            probability=float(p[top[0]]),
            runner_up=labels[top[-1]],
            runner_up_probability=float(p[top[-1]]),
        )
        for number, (row, p, top) in enumerate(zip(rows, probabilities, best, strict=True))
    ]
