"""Why this label: which words and which demonstrations moved the decision."""

from __future__ import annotations

from fewshot_llm.explaining.explain import Variant, explain, score_variants
from fewshot_llm.explaining.explanation import Explanation, Passage, Shown, Word
from fewshot_llm.explaining.html import explanation_html
from fewshot_llm.explaining.windows import Spans, word_spans

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
