"""How many demonstrations were asked for, and how many there are to show."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from fewshot_llm.errors import FewshotWarning
from fewshot_llm.predictors.prompted import Inference

__all__ = ["DEFAULT_SHOTS", "ShownShots", "shown_shots", "warn_of_shots"]

DEFAULT_SHOTS = 4
"""Nobody asked for these; a class with fewer rows is no news."""


@dataclass(frozen=True)
class ShownShots:
    """What a prompt shows.

    Attributes:
        asked: the parameter `shots`.
        per_class: whether it counts rows of each class; else rows in all.
        available: rows of the largest class, or rows in all.
        shown: demonstrations in a prompt, before any are left out because they do not fit the context.
    """

    asked: int
    per_class: bool
    available: int
    shown: int

    @property
    def short(self) -> bool:
        """Whether more were asked for than there are."""
        return self.asked > self.available

    @property
    def english(self) -> str:
        """What is shown instead."""
        what = "of each class, and the largest class has" if self.per_class else "in all, and there are"
        return (
            f"{self.asked} demonstrations were asked for {what} {self.available} labelled rows: every prompt shows at "
            f"most {self.shown}. Add rows, or ask for fewer shots."
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"asked": self.asked, "per_class": self.per_class, "available": self.available, "shown": self.shown}


def shown_shots(inference: Inference) -> ShownShots:
    """What is shown of the support set that is served."""
    builder, support = inference.builder, inference.support
    if builder.selection.depends_on_query:
        return ShownShots(builder.shots, False, len(support), min(builder.shots, len(support)))
    shown = builder.selection.select(support, None, builder.shots, builder.seed) if builder.shots else ()
    largest = max((len(rows) for rows in support.by_label().values()), default=0)
    return ShownShots(builder.shots, True, largest, len(shown))


def warn_of_shots(inference: Inference, stacklevel: int = 2) -> None:
    """A Python warning where more demonstrations were asked for than there are."""
    found = shown_shots(inference)
    if found.short and found.asked != DEFAULT_SHOTS and len(inference.support):
        warnings.warn(found.english, FewshotWarning, stacklevel=stacklevel + 1)
