"""Prompt and answer become token ids together.

Tokenising the prompt and a label apart merges differently at the boundary (full-width colons, leading spaces),
so every answer is tokenised as `prompt.text + answer`. `encode_slowly` does exactly that, in full, for every
answer. `encode` gives the same ids for less work: the whole text is tokenised once per prompt, and for each
further answer only a short tail, from a token boundary well before the answer; where the tail's tokens do not
reproduce the full ones, that prompt goes the slow way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from fewshot_llm.errors import ScoringError
from fewshot_llm.prompting.builder import Prompt

__all__ = ["Encoded", "encode", "encode_slowly", "leading_ids"]

TAIL_CHARACTERS = 48
"""The tail holds at least this many characters of the prompt, so that no merge at the answer reaches its start."""

LINE_SEARCH = 400
"""A line start is preferred as the tail's start when one lies within so many characters of the answer."""


@dataclass(frozen=True)
class Encoded:
    """Token ids of one prompt and its answers.

    Attributes:
        context: the ids before the first scored token; the same for every answer. Never empty.
        answers: for each answer the ids that are scored after `context`. An answer's first id may also hold the
            end of the prompt (a merged space, say); all answers are scored from the same place.
    """

    context: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _Tokens:
    """Ids of one text and the position of the token that holds its answer's first character."""

    ids: list[int]
    answer_start: int


def leading_ids(tokenizer: Any) -> tuple[int, ...]:
    """The ids that the tokenizer puts before a text by itself: one BOS, or nothing.

    Raises:
        ScoringError: where the tokenizer puts its BOS twice.
    """
    bare = tokenizer("a", add_special_tokens=False).input_ids
    full = tokenizer("a", add_special_tokens=True).input_ids
    lead = tuple(full[: full.index(bare[0])]) if bare and bare[0] in full else ()
    if lead.count(tokenizer.bos_token_id) > 1:
        raise ScoringError(f"The tokenizer puts its BOS {tokenizer.bos_token!r} more than once before a text.")
    return lead


def _leads(tokenizer: Any, prompts: Sequence[Prompt]) -> list[tuple[int, ...]]:
    """Per prompt the ids to put before it; none where its text (a chat layout, say) already begins with the BOS."""
    lead, bos = leading_ids(tokenizer), tokenizer.bos_token
    return [() if bos and prompt.text.startswith(bos) else lead for prompt in prompts]


@contextmanager
def _core(tokenizer: Any) -> Iterator[Any]:
    """The Rust tokenizer itself, without padding and truncation.

    Raises:
        ScoringError: a text is not valid Unicode.
    """
    core = tokenizer.backend_tokenizer
    core.no_padding()
    core.no_truncation()
    try:
        yield core
    except (TypeError, UnicodeEncodeError) as error:
        raise ScoringError(
            f"A prompt holds text that is not valid Unicode ({error}). Replace lone surrogates before scoring; "
            "rows read by this toolkit are cleaned already."
        ) from None


def _tokenise(tokenizer: Any, texts: Sequence[str], answer_starts: Sequence[int]) -> list[_Tokens]:
    with _core(tokenizer) as core:
        encodings = core.encode_batch(list(texts), add_special_tokens=False)
    found = []
    for encoding, text, start in zip(encodings, texts, answer_starts, strict=True):
        # A character that the normaliser drops belongs to no token: take the next one that does.
        token = next((t for c in range(start, len(text)) if (t := encoding.char_to_token(c)) is not None), None)
        ids = encoding.ids
        found.append(_Tokens(ids, len(ids) if token is None else token))
    return found


def encode_slowly(tokenizer: Any, prompts: Sequence[Prompt]) -> list[Encoded]:
    """`encode`, the obvious way: every answer's whole text is tokenised.

    Raises:
        ScoringError: a prompt without answers, or answers that tokenise alike.
    """
    return [
        _settle(tokenizer, prompt, lead, _tokenise_answers(tokenizer, prompt, prompt.answers))
        for prompt, lead in zip(prompts, _leads(tokenizer, prompts), strict=True)
    ]


def _tokenise_answers(tokenizer: Any, prompt: Prompt, answers: Sequence[str]) -> list[_Tokens]:
    return _tokenise(tokenizer, [prompt.text + answer for answer in answers], [len(prompt.text)] * len(answers))


def encode(tokenizer: Any, prompts: Sequence[Prompt]) -> list[Encoded]:
    """Token ids of prompts and answers, tokenised together; equals `encode_slowly`.

    Args:
        tokenizer: a fast Hugging Face tokenizer.
        prompts: what a template rendered.

    Returns:
        One `Encoded` per prompt, in order. Exactly one BOS stands in front where the tokenizer wants one.

    Raises:
        ScoringError: a prompt without answers, or answers that tokenise alike.
    """
    texts = [prompt.text + prompt.answers[0] if prompt.answers else prompt.text for prompt in prompts]
    with _core(tokenizer) as core:  # ids alone: to keep track of characters as well takes up to twice as long
        whole = [encoding.ids for encoding in core.encode_batch_fast(texts, add_special_tokens=False)]
    cuts = [_tail_start(prompt.text) for prompt in prompts]
    tails = _tokenise(
        tokenizer,
        [p.text[cut:] + answer for p, cut in zip(prompts, cuts, strict=True) for answer in p.answers],
        [len(p.text) - cut for p, cut in zip(prompts, cuts, strict=True) for _ in p.answers],
    )
    encoded, at = [], 0
    for prompt, lead, full, cut in zip(prompts, _leads(tokenizer, prompts), whole, cuts, strict=True):
        own = tails[at : at + len(prompt.answers)]
        at += len(prompt.answers)
        spliced = (_splice(full, own) if cut else own) or _tokenise_answers(tokenizer, prompt, prompt.answers)
        encoded.append(_settle(tokenizer, prompt, lead, spliced))
    return encoded


def _tail_start(text: str) -> int:
    """Where the tail begins: the last line start far enough from the end, else a plain distance."""
    latest = len(text) - TAIL_CHARACTERS
    if latest <= 0:
        return 0
    line = text.rfind("\n", max(0, latest - LINE_SEARCH), latest) + 1
    return line or latest


def _splice(full: list[int], tails: Sequence[_Tokens]) -> list[_Tokens] | None:
    """The answers' whole ids from one whole text and the tails; None where the tail does not fit onto it."""
    if not tails:
        return None
    head = len(full) - len(tails[0].ids)
    if head < 0 or full[head:] != tails[0].ids or tails[0].answer_start < 4:
        return None
    guard = min(4, *(tail.answer_start for tail in tails))
    if any(tail.ids[:guard] != tails[0].ids[:guard] for tail in tails):
        return None
    return [_Tokens(full[:head] + tail.ids, head + tail.answer_start) for tail in tails]


def _settle(tokenizer: Any, prompt: Prompt, lead: tuple[int, ...], tokens: Sequence[_Tokens]) -> Encoded:
    """Find the common context, and close answers that are the beginning of another."""
    if not tokens:
        raise ScoringError("A prompt has no answers to score. Give the task at least two labels.")
    encoded = _split(prompt, lead, tokens)
    if encoded.context[:2] == (tokenizer.bos_token_id,) * 2:
        raise ScoringError("The prompt would begin with two BOS tokens. Write no BOS into the template.")
    if prompt.closing and _one_begins_another(encoded.answers):
        closed = replace(prompt, answers=tuple(a + prompt.closing for a in prompt.answers), closing="")
        return _settle(tokenizer, closed, lead, _tokenise_answers(tokenizer, closed, closed.answers))
    if len(set(encoded.answers)) < len(encoded.answers):
        alike = [a for a, ids in zip(prompt.answers, encoded.answers, strict=True) if encoded.answers.count(ids) > 1]
        raise ScoringError(
            f"The label words {', '.join(map(repr, alike))} become the same tokens, so no score can tell them apart. "
            "Choose other label words for these labels."
        )
    return encoded


def _split(prompt: Prompt, lead: tuple[int, ...], tokens: Sequence[_Tokens]) -> Encoded:
    start = min(token.answer_start for token in tokens)
    first = tokens[0].ids[:start]
    while any(token.ids[: len(first)] != first for token in tokens):
        first = first[:-1]
    context = lead + tuple(first)
    if not context:
        raise ScoringError(
            f"The prompt {prompt.text[:60]!r} gives the model nothing to read before the label, and its tokenizer "
            "puts no BOS. Write some text before the label in the template."
        )
    return Encoded(context, tuple(tuple(token.ids[len(first) :]) for token in tokens))


def _one_begins_another(answers: Sequence[tuple[int, ...]]) -> bool:
    ordered = sorted(answers)
    return any(b[: len(a)] == a for a, b in pairwise(ordered))
