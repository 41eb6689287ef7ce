"""`Problem`: what is to be learned and answered, before anybody has chosen how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fewshot_llm.data.example import Example
from fewshot_llm.data.support_set import SupportSet
from fewshot_llm.data.task import Task
from fewshot_llm.types import IntArray

__all__ = ["Problem", "only_text"]


def only_text(task: Task, text: str) -> Example:
    """A query that holds only this text: in the task's main field, and in every other one that a row must have."""
    needed = [name for name in task.fields if name == task.fields[-1] or name not in task.optional_fields]
    return Example(dict.fromkeys(needed, text))


@dataclass(frozen=True)
class Problem:
    """A task with its labels, the language that it is asked in, and the rows that are labelled already.

    Attributes:
        task: with the labels to choose among.
        language: one of the task's.
        support: the labelled rows; empty where there are none yet.
    """

    task: Task
    language: str
    support: SupportSet

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the columns of every answer."""
        return self.task.labels

    @property
    def words(self) -> Mapping[str, str]:
        """Label → its words in the problem's language."""
        return self.task.words(self.language)

    @property
    def described(self) -> Mapping[str, str]:
        """Label → its words and what they mean; the words alone without a description.

        Words are in the problem's language, and so are descriptions where it has some, else in another one's: what
        compares texts reads many.

        >>> task = Task(name="spam", labels=("spam", "ham"), label_descriptions={"en": {"spam": "unasked advertising"}})
        >>> dict(Problem(task, "en", SupportSet((), ())).described)
        {'spam': 'spam: unasked advertising', 'ham': 'ham'}
        """
        spoken = (self.language, *self.task.languages)
        told = next((found for one in spoken if (found := self.task.descriptions(one))), {})
        colon = "：" if self.language == "zh" else ": "
        return {
            label: f"{words}{colon}{told[label]}" if label in told else words for label, words in self.words.items()
        }

    @cached_property
    def targets(self) -> IntArray:
        """Position of each support row's label, shape [rows]."""
        places = {label: place for place, label in enumerate(self.labels)}
        return np.array([places[str(row.label)] for row in self.support], dtype=np.int64)
