"""Where a prompt's parts stand: one plain text, or the turns of the model's own chat template."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fewshot_llm.errors import TemplateError

__all__ = ["Chat", "Layout", "Plain", "Shell"]


@dataclass(frozen=True)
class Shell:
    """What stands around the query's text.

    Attributes:
        start: everything before it.
        end: everything between it and the answer.
        closing: what follows the answer.
    """

    start: str
    end: str
    closing: str


class Layout(Protocol):
    """Puts demonstrations around a query."""

    @property
    def fingerprint(self) -> str:
        """Names everything that may change a prompt."""
        ...

    def shell(self, turns: Sequence[tuple[str, str]], lead: str, tail: str, closing: str) -> Shell:
        """What stands around a query's text.

        Args:
            turns: for each demonstration what stands before its answer, and the answer.
            lead: what the template writes between the last demonstration and the query's text.
            tail: white space that the template writes between the query's text and the answer.
            closing: what the template writes after an answer.
        """
        ...


@dataclass(frozen=True)
class Plain:
    """One text that a base model continues, exactly as the template wrote it."""

    @property
    def fingerprint(self) -> str:
        """Always `plain`."""
        return "plain"

    def shell(self, turns: Sequence[tuple[str, str]], lead: str, tail: str, closing: str) -> Shell:
        """See `Layout.shell`."""
        return Shell("".join(part for turn in turns for part in (*turn, closing)) + lead, tail, closing)


@dataclass(frozen=True)
class Chat:
    """The model's own chat template, used once; every demonstration is a user's turn and an assistant's.

    The model answers as it was trained to, at the beginning of its turn, and the demonstrations show it what a whole
    turn looks like. The instruction stands in the first user turn, because some models (Gemma) know no system turn.
    What the template writes after an answer gives way to the model's own end of a turn.

    Attributes:
        tokenizer: a Hugging Face tokenizer that has a chat template.

    Raises:
        TemplateError: it has none.
    """

    tokenizer: Any = field(repr=False)

    def __post_init__(self) -> None:
        if not getattr(self.tokenizer, "chat_template", None):
            raise TemplateError(
                "This model's tokenizer has no chat template, so it cannot be asked in turns. Use the plain layout; "
                "base models continue a plain text best."
            )

    @property
    def fingerprint(self) -> str:
        """The chat template itself, which belongs to the model and may change with it."""
        return f"chat {self.tokenizer.chat_template}"

    def shell(self, turns: Sequence[tuple[str, str]], lead: str, tail: str, closing: str) -> Shell:
        """See `Layout.shell`; `closing` is the chat template's own.

        Raises:
            TemplateError: the chat template fails, leaves out or repeats a turn, or begins with two BOS.
        """
        question, answer = _mark(), _mark()
        messages = [
            {"role": role, "content": content}
            for turn in (*turns, (lead + question + tail, answer))
            for role, content in zip(("user", "assistant"), turn, strict=True)
        ]
        try:
            text = self.tokenizer.apply_chat_template(messages, tokenize=False)
        except Exception as error:  # a chat template may raise anything, by raise_exception or by a mistake in it
            raise TemplateError(
                f"The model's chat template cannot lay out this prompt: {error}. Use the plain layout."
            ) from error
        start, found, rest = text.partition(question)
        end, ended, closing = rest.partition(answer)
        if not (found and ended) or question in rest or answer in start + closing:
            raise TemplateError("The model's chat template leaves out or repeats a turn. Use the plain layout.")
        bos = self.tokenizer.bos_token
        if bos and start.startswith(bos + bos):
            raise TemplateError(f"The model's chat template writes its BOS {bos!r} twice. Use the plain layout.")
        return Shell(start, end, closing)


def _mark() -> str:
    return f"mark{secrets.token_hex(16)}mark"
