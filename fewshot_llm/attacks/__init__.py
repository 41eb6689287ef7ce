"""Attacks in the text: what a review may say to get a label of its writer's choice, and how often that works."""

from __future__ import annotations

from fewshot_llm.attacks.catalog import Attack, AttackSet, load_attacks
from fewshot_llm.attacks.measure import Attacked, attack
from fewshot_llm.attacks.report import AttackReport, compare
from fewshot_llm.attacks.rows import rows_to_attack
from fewshot_llm.attacks.wording import attacked_text

__all__ = [
    "Attack",
    "AttackReport",
    "AttackSet",
    "Attacked",
    "attack",
    "attacked_text",
    "compare",
    "load_attacks",
    "rows_to_attack",
]
