"""Why this label: which words and which demonstrations moved the decision."""

from __future__ import annotations

from fewshot_llm.explaining.explain import (
    Explanation,
    Passage,
    Shown,
    Spans,
    Variant,
    Word,
    explain,
    score_variants,
    word_spans,
)
from fewshot_llm.explaining.html import explanation_html

__all__ = [
    "Explanation",
    "Passage",
    "Shown",
    "Spans",
    "Variant",
    "Word",
    "explain",
    "explanation_html",
    "score_variants",
    "word_spans",
]
