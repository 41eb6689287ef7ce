"""`Prompt`: what a template makes of a task, its demonstrations and one query."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

__all__ = ["Prompt"]


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt and the answers that are scored after it.

    `text + answers[j]` is tokenised as one string, so that tokens may merge across the boundary just as they do
    in the demonstrations (which end in `answer + closing`).

    Attributes:
        text: everything up to the place where the answer stands; may end in a space.
        answers: the label words, one string per label, in the task's label order. Never empty.
        closing: what the template writes after an answer (a newline, an end-of-turn mark). It is scored only
            where one answer is the beginning of another.
        demonstrations: positions in the support set of the demonstrations, in prompt order.
        template: name and version of the template, for example `review-sentiment/zh.v1`.
        dropped: positions of demonstrations that were left out because they did not fit the context.
    """

    text: str
    answers: tuple[str, ...]
    closing: str = "\n"
    demonstrations: tuple[int, ...] = ()
    template: str = ""
    dropped: tuple[int, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the text, the answers and the closing."""
        material = json.dumps([self.text, self.answers, self.closing], ensure_ascii=False)
        return hashlib.sha256(material.encode("utf-8", "surrogatepass")).hexdigest()
