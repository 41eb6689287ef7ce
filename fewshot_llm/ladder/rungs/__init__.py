"""The rungs of the ladder, a file each, and the ladders that are made of them."""

from __future__ import annotations

from fewshot_llm.ladder.base import Rung
from fewshot_llm.ladder.rungs.lora import Lora
from fewshot_llm.ladder.rungs.prompted import Calibrated, InContext, ZeroShot

__all__ = ["LABEL_RUNGS"]

LABEL_RUNGS: tuple[Rung, ...] = (ZeroShot(), InContext(), Calibrated(), Lora())
"""For labels, from the cheapest to the most expensive."""
