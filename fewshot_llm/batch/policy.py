"""What happens to a text that does not fit the model's context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from fewshot_llm.batch.labeller import Ruler
from fewshot_llm.batch.rows import Problem

__all__ = ["Fitted", "LongText", "fit"]

ELLIPSIS = " … "
SMALLEST = 16
"""Tokens. A text cut shorter than this says too little to be labelled."""
SLACK = 8
"""Tokens. A piece of a text may tokenise a little longer than it did inside the whole."""


class LongText(StrEnum):
    """The three policies.

    Attributes:
        ERROR: the row goes to `errors.jsonl`.
        TRUNCATE_MIDDLE: beginning and end stay, the middle goes: reviews conclude at the end.
        CHUNK: the text is cut into pieces that fit; their probabilities are averaged.
    """

    ERROR = "error"
    TRUNCATE_MIDDLE = "truncate-middle"
    CHUNK = "chunk"


@dataclass(frozen=True)
class Fitted:
    """A query that fits, in one piece or several.

    Attributes:
        pieces: queries; several only for a chunked text.
        treatment: what was done to it, for the output; `None` when nothing was.
        tokens: of all pieces' texts; an upper bound where the text is so short that counting is needless.
    """

    pieces: tuple[Mapping[str, str], ...]
    treatment: str | None
    tokens: int


def fit(query: Mapping[str, str], ruler: Ruler, policy: LongText) -> Fitted | Problem:
    """The query as it is where it fits, else what the policy makes of it.

    Only the longest field of a query is cut.
    """
    sizes = {name: len(ruler.spans(text)) for name, text in query.items()}
    tokens = sum(sizes.values())
    # Where cutting is not wanted, the prompt builder rather leaves demonstrations out.
    if tokens <= (ruler.room_alone if policy is LongText.ERROR else ruler.room):
        return Fitted((query,), None, tokens)
    longest = max(sizes, key=lambda name: sizes[name])
    room = ruler.room - (tokens - sizes[longest]) - SLACK
    if policy is LongText.ERROR or room < SMALLEST:
        reason = f"The text has {tokens} tokens; {ruler.room_alone} fit, {ruler.room} beside the demonstrations."
        return Problem("too-long", reason, query[longest][:200])
    text = query[longest]
    if policy is LongText.TRUNCATE_MIDDLE:
        cut = _without_middle(text, ruler.spans(text), room)
        return Fitted(({**query, longest: cut},), "truncated", room)
    chunks = [chunk for chunk in _chunks(text, ruler.spans(text), room) if chunk.strip()]
    pieces = tuple({**query, longest: chunk} for chunk in chunks)
    return Fitted(pieces, f"{len(pieces)} chunks", tokens)


def _without_middle(text: str, spans: Sequence[tuple[int, int]], room: int) -> str:
    kept = room - len(ELLIPSIS)
    head, tail = (kept + 1) // 2, kept // 2
    return text[: spans[head - 1][1]] + ELLIPSIS + text[spans[len(spans) - tail][0] :]


def _chunks(text: str, spans: Sequence[tuple[int, int]], room: int) -> list[str]:
    # Equal parts: a last chunk of three words would weigh as much as the others.
    parts = -(-len(spans) // room)
    size = -(-len(spans) // parts)
    starts = [0, *(spans[index][0] for index in range(size, len(spans), size)), len(text)]
    return [text[start:end] for start, end in pairwise(starts)]
