"""How many tokens a forward pass may hold, found from the memory that is free."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from fewshot_llm.errors import ScoringError
from fewshot_llm.models.language_model import LanguageModel

__all__ = ["free_memory", "halve_on_out_of_memory", "token_budget"]

log = logging.getLogger(__name__)

SMALLEST, LARGEST_ON_CPU, LARGEST_ON_GPU = 64, 1536, 16384
"""Beyond the largest nothing is gained: the matrix products are at their peak rate already."""

SHARE_OF_FREE_MEMORY = 0.25

Result = TypeVar("Result")


def free_memory(device: torch.device) -> int:
    """Bytes that can still be allocated on a device; on a CPU what the kernel and the control group leave."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [_meminfo("MemAvailable")]
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limits.append(
                int(Path("/sys/fs/cgroup", limit).read_text()) - int(Path("/sys/fs/cgroup", used).read_text())
            )
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return max(0, min(limits))


def _meminfo(field: str) -> int:
    try:
        line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith(field))
    except (OSError, StopIteration):
        return 4 * 2**30
    return int(line.split()[1]) * 1024


def token_budget(language_model: LanguageModel) -> int:
    """Tokens a forward pass for a model, from its width and the memory that is free now."""
    config = language_model.model.config.get_text_config()
    width = config.hidden_size
    inner = getattr(config, "intermediate_size", None) or 4 * width
    per_token = torch.empty(0, dtype=language_model.dtype).element_size() * (12 * width + 4 * inner)
    largest = LARGEST_ON_CPU if language_model.device.type == "cpu" else LARGEST_ON_GPU
    fits = int(free_memory(language_model.device) * SHARE_OF_FREE_MEMORY) // per_token
    return int(max(SMALLEST, min(largest, fits)))


def halve_on_out_of_memory(work: Callable[[int], Result], budget: int) -> tuple[Result, int]:
    """Do `work(budget)`; on running out of memory try again with half the budget, down to a floor.

    Returns:
        The result, and the budget that sufficed.

    Raises:
        ScoringError: the smallest budget does not fit either.
    """
    while True:
        try:
            return work(budget), budget
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not _is_out_of_memory(error):
                raise
            if budget <= SMALLEST:
                raise ScoringError(
                    f"There is not enough memory to score even {SMALLEST} tokens at a time. Close other programs, "
                    "use a smaller model, or shorten the demonstrations."
                ) from error
        budget = max(SMALLEST, budget // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        log.warning("Out of memory: going on with %d tokens a pass.", budget)


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
