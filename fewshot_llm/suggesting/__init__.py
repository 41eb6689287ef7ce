"""Which unlabelled rows are most worth labelling next."""

from __future__ import annotations

from fewshot_llm.suggesting.choose import Wish, choose, uncertainty
from fewshot_llm.suggesting.likeness import Likeness
from fewshot_llm.suggesting.suggest import ADDED_COLUMNS, Suggestion, Suggestions, suggest

__all__ = ["ADDED_COLUMNS", "Likeness", "Suggestion", "Suggestions", "Wish", "choose", "suggest", "uncertainty"]
