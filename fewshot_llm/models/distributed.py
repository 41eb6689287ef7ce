"""Several processes at one training, as `accelerate launch` and torchrun start them: the first decides and writes.

All of them measure and train; what depends on a clock or on the last bits of a sum is taken from the first, so that no
process waits in a collective that the others never reach.
"""

from __future__ import annotations

import atexit
import os
from functools import cache
from typing import TypeVar

import torch

__all__ = ["agreed", "is_first", "join", "on_machine", "place_on_machine", "several"]

T = TypeVar("T")


def several() -> bool:
    """Whether a launcher started this process together with others."""
    # A cluster sets RANK and WORLD_SIZE per machine; LOCAL_RANK is set by a launcher alone.
    return "LOCAL_RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first() -> bool:
    """Whether this process is the one that writes and speaks: the first of all, or the only one."""
    return not several() or int(os.environ["RANK"]) == 0


def place_on_machine() -> int:
    """Which of this machine's processes this one is, from 0; the card it has is the one of that number."""
    return int(os.environ["LOCAL_RANK"]) if several() else 0


def on_machine() -> int:
    """How many of the processes run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if several() else 1


def agreed(value: T, device: torch.device) -> T:
    """The first process's value, in every process; alone, the value itself.

    All processes must call it, in the same order.

    Args:
        value: what this process found; anything that can be pickled.
        device: where the model is.

    >>> agreed("lora", torch.device("cpu"))
    'lora'
    """
    if not several():
        return value
    from accelerate.utils import broadcast_object_list

    join(device)
    values: list[T] = [value]
    broadcast_object_list(values)
    return values[0]


def join(device: torch.device) -> None:
    """Meet the other processes, and take leave of them properly at exit; nothing to do for one that is alone.

    Args:
        device: where the model is; processes on a CPU talk through gloo.
    """
    if several():
        _join_once(device.type == "cpu")


@cache
def _join_once(cpu: bool) -> None:
    from accelerate import PartialState

    state = PartialState(cpu=cpu)
    if state.backend == "gloo":
        # A gloo thread that still holds a tensor while Python shuts down aborts the process (PyTorch PR 179291).
        atexit.register(state.destroy_process_group)
