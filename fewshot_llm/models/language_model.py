"""`LanguageModel`: a causal model, its tokenizer and everything that names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["LanguageModel", "special_tokens_of"]


@dataclass(frozen=True)
class LanguageModel:
    """A loaded base model, with or without an adapter.

    Attributes:
        name: what the user asked for: a registry name, a hub id or a folder.
        model: a `transformers` causal model, or a `peft.PeftModel` around one, in evaluation mode.
        tokenizer: its fast tokenizer.
        device: where the weights are.
        dtype: the weights' number format.
        revision: hub commit, or the registry's pinned version; empty for a plain folder.
        sha256: of the weights file (of the sorted list of hashes where there are several).
        adapter: SHA-256 of the adapter's weights; empty without one.
        context_length: the longest sequence, in tokens, that the model was made for.
    """

    name: str
    model: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    revision: str = ""
    sha256: str = ""
    adapter: str = ""
    context_length: int = 2048

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Every special token's text, longest first; these are neutralised inside a customer's text."""
        return special_tokens_of(self.tokenizer)

    @property
    def fingerprint(self) -> str:
        """Everything that may change a score, as one line."""
        return "|".join((self.name, self.revision, self.sha256, self.adapter, str(self.dtype).removeprefix("torch.")))


def special_tokens_of(tokenizer: Any) -> tuple[str, ...]:
    """The text of every special token of a fast tokenizer, longest first."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    known = {token for token in (*tokenizer.all_special_tokens, *added) if token.strip()}
    return tuple(sorted(known, key=lambda token: (-len(token), token)))
