"""Support rows as training rows: rendered and tokenised by what serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.scoring.encoding import Encoded, encode
from fewshot_llm.support import Example, SupportSet

__all__ = ["RowMaker", "row_maker", "target_positions"]

RowMaker: TypeAlias = Callable[[Sequence[int], Sequence[int], int], Sequence[Encoded]]
"""(rows to take demonstrations from, rows to encode, draw of the demonstrations) -> one `Encoded` per row."""


def row_maker(builder: PromptBuilder, support: SupportSet, tokenizer: Any) -> RowMaker:
    """Encodes support rows with the very builder and tokeniser that serve, so that training cannot drift from it.

    A row never shows itself: the builder leaves out demonstrations with the query's text.

    Args:
        builder: makes the prompts; `shots=0` for prompts without demonstrations.
        support: the labelled rows.
        tokenizer: the base model's.
    """

    def make(pool: Sequence[int], rows: Sequence[int], draw: int) -> Sequence[Encoded]:
        shown = support.subset(pool) if builder.shots else support
        return encode(tokenizer, [builder.build(Example(support[row].fields), shown, draw) for row in rows])

    return make


def target_positions(builder: PromptBuilder, support: SupportSet) -> list[int]:
    """The position of each row's label among the builder's labels."""
    return [builder.labels.index(str(example.label)) for example in support]
