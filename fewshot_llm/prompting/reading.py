"""How much a model has to read for some prompts: known before it reads, and the same on every machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from fewshot_llm.beginnings import shared_length
from fewshot_llm.prompting.prompt import Prompt

__all__ = ["bytes_to_read"]


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
