"""Where a model runs and in which number format."""

from __future__ import annotations

import logging
from typing import TypeAlias

import torch

from fewshot_llm.errors import ModelError
from fewshot_llm.processes import on_machine, place_on_machine, several

__all__ = ["DeviceMap", "choose_device", "choose_dtype", "cpu_has_bfloat16", "place"]

DeviceMap: TypeAlias = dict[str, str] | str
"""What `from_pretrained(device_map=…)` takes: one device for everything, or `"auto"` to spread the layers."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

HEADROOM = 0.8
"""Share of a card's free memory that weights may take; the rest is for activations and cached prefixes."""

_log = logging.getLogger(__name__)


def choose_device(device: str | None = None) -> torch.device:
    """The device that was asked for, else the first of CUDA, MPS, CPU that is there.

    Under `accelerate launch` every process takes a card of its own.

    Raises:
        ModelError: for a device that torch does not know or this machine does not have, and for one card that
            several processes would share.

    >>> choose_device("cpu")
    device(type='cpu')
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device is None or device == "auto":
        device = next(name for name, there in present.items() if there)
    here = ", ".join(name for name, there in present.items() if there)
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = None
    if chosen is not None and chosen.type == "cuda" and chosen.index is not None and on_machine() > 1:
        raise ModelError(
            f"Device {device!r} is one card, and {on_machine()} processes were started on this machine: "
            "say 'cuda', and each takes a card of its own."
        )
    if chosen is None or not present.get(chosen.type, False):
        raise ModelError(f"Device {device!r} cannot be used: this machine and this build of torch have {here}.")
    if chosen.type != "cuda":
        return chosen
    if chosen.index is None and several():
        chosen = torch.device("cuda", place_on_machine())
    if (chosen.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"Device {str(chosen)!r} does not exist: this machine has {torch.cuda.device_count()} CUDA device(s), "
            "counted from cuda:0." + (" Start one process for each (`--num_processes`)." if several() else "")
        )
    return chosen


def choose_dtype(device: torch.device, dtype: str | None = None) -> torch.dtype:
    """The number format: float32 on CPU, bfloat16 on a GPU, unless asked otherwise.

    Two requests are not granted, each with a logged warning: a half-width format on a CPU without instructions
    for it (there a matrix product is about a hundred times slower than in float32), and bfloat16 on a CUDA
    card that lacks it (float32 instead; float16 overflows in some models, so it is never chosen unasked).

    Raises:
        ModelError: for a format other than float32, bfloat16 and float16.

    >>> choose_dtype(torch.device("cpu"))
    torch.float32
    """
    if dtype is not None and dtype not in DTYPES:
        raise ModelError(f"Number format {dtype!r} is unknown: expected one of {', '.join(DTYPES)}.")
    wanted = DTYPES[dtype] if dtype else torch.float32 if device.type == "cpu" else torch.bfloat16
    if device.type == "cpu":
        native = wanted == torch.float32 or (wanted == torch.bfloat16 and cpu_has_bfloat16())
    elif device.type == "cuda":
        native = wanted != torch.bfloat16 or torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = True
    if native:
        return wanted
    _log.warning(
        "The %s here has no instructions for %s; the model runs in float32.",
        "CPU" if device.type == "cpu" else "GPU",
        str(wanted).removeprefix("torch."),
    )
    return torch.float32


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AMX, AVX512-BF16 or Arm BF16).

    False where torch is too old to say.
    """
    ask = getattr(torch.cpu, "get_capabilities", None)
    flags = dict(ask()) if ask else {}
    return any(bool(flags.get(name)) for name in ("amx_bf16", "avx512_bf16", "arm_bf16", "bf16"))


def place(device: torch.device, weight_bytes: int, spread: bool) -> DeviceMap:
    """How the layers are laid out: all on `device`, or spread by accelerate where one card cannot hold them.

    Args:
        device: from `choose_device`.
        weight_bytes: size of the weights in the chosen number format.
        spread: whether layers may go to other cards, and to main memory where those are full: not when the
            user named one device. Nor do they where each card has a process of its own.
    """
    if device.type != "cuda" or not spread or several():
        return {"": str(device)}
    free, _ = torch.cuda.mem_get_info(device)
    if weight_bytes <= HEADROOM * free:
        return {"": str(device)}
    _log.warning(
        "The weights (%.1f GB) do not fit on %s (%.1f GB free); their layers are spread over all devices.",
        weight_bytes / 1e9,
        device,
        free / 1e9,
    )
    return "auto"
