"""A page to try a task on: label, see why, correct, watch the accuracy, edit the prompt, tune.

`session` and `support_file` are all the logic and know nothing of a page; `page` lays it out with gradio (extra
`[play]`); `guard` and `serve` decide who may open it.
"""

from __future__ import annotations

from fewshot_llm.playground.guard import Guard, is_loopback
from fewshot_llm.playground.session import Accuracy, Session
from fewshot_llm.playground.support_file import SupportFile

__all__ = ["Accuracy", "Guard", "Session", "SupportFile", "is_loopback"]
