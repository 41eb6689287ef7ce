"""A page to try a task on: label, see why, correct, watch the accuracy, edit the prompt, tune.

`session` and `support_file` are all the logic and know nothing of a page; `page` lays it out with gradio (extra
`[play]`); `guard` and `serve` decide who may open it.
"""

from __future__ import annotations

from fewshot_llm.playground.serve import AccessMiddleware, is_loopback
from fewshot_llm.playground.session import Accuracy, PlaygroundSession, SupportFile

__all__ = ["AccessMiddleware", "Accuracy", "PlaygroundSession", "SupportFile", "is_loopback"]
