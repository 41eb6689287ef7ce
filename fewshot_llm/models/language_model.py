"""`LanguageModel`: a causal model, its tokenizer and everything that names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import torch

__all__ = ["AdapterWeights", "LanguageModel", "special_tokens_of"]


class AdapterWeights(Protocol):
    """A trained adapter that is in no folder."""

    def put_on(self, language_model: LanguageModel) -> LanguageModel:
        """The model with the adapter on."""
        ...


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
        adapter_source: where the adapter comes from: its folder, or its weights; None without one.

    Pickled by reference (`models.reference`): by name, revision and hashes, never with its weights. A deep copy is the
    model itself.
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
    adapter_source: Path | AdapterWeights | None = field(default=None, repr=False, compare=False)

    def __reduce__(self) -> tuple[Callable[..., LanguageModel], tuple[Any, ...]]:
        from fewshot_llm.models.reference import load_referenced, reference_of

        return load_referenced, (reference_of(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # The tokenizer as well: whatever counts tokens beside the model shall do so with the same object.
        memo[id(self.tokenizer)] = self.tokenizer
        return self

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
