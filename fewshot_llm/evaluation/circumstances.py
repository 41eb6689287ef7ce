"""What a result tells beside its figures: the rows, a prompt, what attacks changed."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot_llm.explaining import Explanation

__all__ = ["AttackFigures", "ExplainedRow", "Row", "ShownPrompt"]


@dataclass(frozen=True)
class Row:
    """A test row.

    Attributes:
        text: its fields, a line each; empty where texts are kept out of the result.
        label: the right label.
    """

    text: str
    label: str


@dataclass(frozen=True)
class ShownPrompt:
    """A prompt as the model reads it.

    Attributes:
        text: everything up to the answer.
        answers: the label words that are scored after it, in the labels' order.
        template: name and version of the template.
        demonstrations: how many labelled rows it shows.
    """

    text: str
    answers: tuple[str, ...]
    template: str
    demonstrations: int


@dataclass(frozen=True)
class ExplainedRow:
    """Why a row got its answer.

    Attributes:
        number: the row's place among the measured rows, from 1.
        explanation: which words and demonstrations moved the decision.
    """

    number: int
    explanation: Explanation


@dataclass(frozen=True)
class AttackFigures:
    """What one way of changing texts did to the answers.

    Attributes:
        name: which way.
        rows: texts that were changed.
        flipped: rows whose answer changed.
        accuracy_before: on the texts as they were.
        accuracy_after: on the changed texts.
        before: one text whose answer changed, as it was; empty where none is kept.
        after: the same text, changed.
    """

    name: str
    rows: int
    flipped: int
    accuracy_before: float
    accuracy_after: float
    before: str = ""
    after: str = ""
