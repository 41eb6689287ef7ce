"""From a task, a support set and a query to a `Prompt`."""

from __future__ import annotations

from fewshot_llm.prompting.builder import Prompt, PromptBuilder
from fewshot_llm.prompting.chat import Chat, Layout, Plain
from fewshot_llm.prompting.fields import neutralise
from fewshot_llm.prompting.selection import Balanced, Diverse, Nearest, NearestHidden, RandomOrder, Selection
from fewshot_llm.prompting.template import Template, load_template

__all__ = [
    "Balanced",
    "Chat",
    "Diverse",
    "Layout",
    "Nearest",
    "NearestHidden",
    "Plain",
    "Prompt",
    "PromptBuilder",
    "RandomOrder",
    "Selection",
    "Template",
    "load_template",
    "neutralise",
]
