"""Rows that a person labels: which are worth it, files of labelled rows, standing replies."""

from __future__ import annotations

from fewshot_llm.labelling.suggest import (
    ADDED_COLUMNS,
    Suggestion,
    Suggestions,
    TextSimilarity,
    Wish,
    choose,
    suggest,
    uncertainty,
)

__all__ = ["ADDED_COLUMNS", "Suggestion", "Suggestions", "TextSimilarity", "Wish", "choose", "suggest", "uncertainty"]
