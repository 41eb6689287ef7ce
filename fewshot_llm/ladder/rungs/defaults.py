"""The rungs that are climbed where the user names none."""

from __future__ import annotations

from fewshot_llm.ladder.base import Rung
from fewshot_llm.ladder.rungs.lora import Lora
from fewshot_llm.ladder.rungs.prompted import Calibrated, InContext, ZeroShot

__all__ = ["LABEL_RUNGS"]

LABEL_RUNGS: tuple[Rung, ...] = (ZeroShot(), InContext(), Calibrated(), Lora())
"""For labels, from the cheapest to the most expensive."""
