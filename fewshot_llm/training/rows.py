"""Support rows as training rows: rendered and tokenised by what serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.prompting.selection import own_rows
from fewshot_llm.scoring.encoding import Encoded, encode

__all__ = ["RowMaker", "row_maker", "target_positions"]

Change: TypeAlias = Callable[[Example], Example]
"""What is done to a row before it is asked."""


class RowMaker(Protocol):
    """Encodes rows of a support set."""

    def __call__(
        self,
        pool: Sequence[int],
        rows: Sequence[int],
        draw: int,
        /,
        change: Change | None = None,
    ) -> Sequence[Encoded]:
        """One `Encoded` per row.

        Args:
            pool: rows to take demonstrations from.
            rows: rows to encode.
            draw: of the demonstrations.
            change: what is done to each row before it is asked; the demonstrations stay as they are.
        """
        ...


def row_maker(builder: PromptBuilder, support: SupportSet, tokenizer: Any) -> RowMaker:
    """Encodes support rows with the very builder and tokeniser that serve, so that training cannot drift from it.

    A row never shows itself: the builder leaves out demonstrations with the query's text.

    Args:
        builder: makes the prompts; `shots=0` for prompts without demonstrations.
        support: the labelled rows.
        tokenizer: the base model's.
    """

    def make(pool: Sequence[int], rows: Sequence[int], draw: int, /, change: Change | None = None) -> Sequence[Encoded]:
        shown = support.subset(pool) if builder.shots else support
        prompts = []
        for row in rows:
            query, others = Example(support[row].fields), shown
            if change is not None:
                # The builder knows a row by its text, which is another one now.
                others = shown.without(own_rows(shown, query)) if builder.shots else shown
                query = change(query)
            prompts.append(builder.build(query, others, draw))
        return encode(tokenizer, prompts)

    return make


def target_positions(builder: PromptBuilder, support: SupportSet) -> list[int]:
    """The position of each row's label among the builder's labels."""
    return [builder.labels.index(str(example.label)) for example in support]
