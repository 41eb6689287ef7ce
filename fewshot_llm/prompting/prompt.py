"""`Prompt`: what a template makes of a task, its demonstrations and one query.

How much a model has to read for some prompts: known before it reads, and the same on every machine.

How far two sequences are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Prompt", "bytes_to_read", "shared_length"]


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


def shared_length(one: Sequence[object], other: Sequence[object]) -> int:
    """How many items, from the first on, are the same: texts, bytes, token ids.

    >>> shared_length("good", "gone")
    2
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def bytes_to_read(prompts: Sequence[Prompt]) -> int:
    """UTF-8 bytes of prompts and answers, what is shared at the beginning counted once.

    Beginnings are shared among the prompts, and among the answers of one prompt, as a cache would share them. Bytes and
    not characters: a token is four or five bytes of English as of Chinese.

    Args:
        prompts: scored together.

    >>> bytes_to_read([Prompt("Is it good? ", ("yes", "no")), Prompt("Is it bad? ", ("yes", "no"))])
    27
    """
    answers = Counter(prompt.answers for prompt in prompts)
    return _unshared(prompt.text for prompt in prompts) + sum(n * _unshared(words) for words, n in answers.items())


def _unshared(texts: Iterable[str]) -> int:
    """Bytes in the trie of these texts: in sorted order each shares its longest known beginning with the one before."""
    total, before = 0, b""
    for text in sorted(text.encode("utf-8", "surrogatepass") for text in texts):
        total, before = total + len(text) - shared_length(text, before), text
    return total
