"""Where a model runs, in which number format, with how many threads and in how many processes.

Several processes at one training, as `accelerate launch` and torchrun start them: all of them measure and train; what
depends on a clock or on the last bits of a sum is taken from the first, which also writes, so that no process waits
in a collective that the others never reach.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeAlias, TypeVar

import torch

from fewshot_llm.errors import ModelError

__all__ = [
    "DeviceMap",
    "agreed",
    "available_cores",
    "choose_device",
    "choose_dtype",
    "cpu_has_bfloat16",
    "is_first",
    "join",
    "keep_freed_memory",
    "limit_threads",
    "place",
    "processor_field",
    "quiet_transformers",
    "several",
]

T = TypeVar("T")


def several() -> bool:
    """Whether a launcher started this process together with others."""
    # A cluster sets RANK and WORLD_SIZE per machine; LOCAL_RANK is set by a launcher alone.
    return "LOCAL_RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first() -> bool:
    """Whether this process is the one that writes and speaks: the first of all, or the only one."""
    return not several() or int(os.environ["RANK"]) == 0


def _place_on_machine() -> int:
    """Which of this machine's processes this one is, from 0; the card it has is the one of that number."""
    return int(os.environ["LOCAL_RANK"]) if several() else 0


def _on_machine() -> int:
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


DeviceMap: TypeAlias = dict[str, str] | str
"""What `from_pretrained(device_map=…)` takes: one device for everything, or `"auto"` to spread the layers."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

HEADROOM = 0.8
"""Share of a card's free memory that weights may take; the rest is for activations and cached prefixes."""

_LOG = logging.getLogger(__name__)


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
    if chosen is not None and chosen.type == "cuda" and chosen.index is not None and _on_machine() > 1:
        raise ModelError(
            f"Device {device!r} is one card, and {_on_machine()} processes were started on this machine: "
            "say 'cuda', and each takes a card of its own."
        )
    if chosen is None or not present.get(chosen.type, False):
        raise ModelError(f"Device {device!r} cannot be used: this machine and this build of torch have {here}.")
    if chosen.type != "cuda":
        return chosen
    if chosen.index is None and several():
        chosen = torch.device("cuda", _place_on_machine())
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
    _LOG.warning(
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
    _LOG.warning(
        "The weights (%.1f GB) do not fit on %s (%.1f GB free); their layers are spread over all devices.",
        weight_bytes / 1e9,
        device,
        free / 1e9,
    )
    return "auto"


def available_cores(root: Path = Path("/")) -> int:
    """Cores that the scheduler really grants: the smaller of CPU affinity and the cgroup's quota, at least 1.

    `os.cpu_count` reports the host's cores; in a container that may run on 2 of 64, a program that starts
    64 threads is several times slower than one that starts 2. `joblib.cpu_count` reads the quota of the root group
    alone; here the process's own group and every group above it count.

    Args:
        root: where `proc` and `sys` are looked up.

    >>> 1 <= available_cores() <= (os.cpu_count() or 1)
    True
    """
    granted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = (*_quotas_v2(root), *_quotas_v1(root))
    return max(1, min(granted, *(int(quota) for quota in quotas), granted))


def limit_threads(threads: int | None = None) -> int:
    """Set the number of threads of torch's operators, for the whole process.

    Args:
        threads: an explicit number wins. Without one, torch's own choice (which honours `OMP_NUM_THREADS`)
            stays unless it exceeds `available_cores`.

    Returns:
        The number now in force.
    """
    import torch

    wanted = min(torch.get_num_threads(), available_cores()) if threads is None else threads
    if wanted < 1:
        raise ValueError(f"threads is {threads}; it must be at least 1.")
    if wanted != torch.get_num_threads():
        torch.set_num_threads(wanted)
    return wanted


def _groups(root: Path, controller: str) -> list[str]:
    """This process's path in a cgroup hierarchy (`""` names version 2) and every path above it."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") if controller else not controllers:
            steps = [step for step in path.split("/") if step and step != ".."]
            return ["/".join(steps[:depth]) for depth in range(len(steps), -1, -1)]
    return [""]


def _quotas_v2(root: Path) -> list[float]:
    quotas = []
    for group in _groups(root, ""):
        for line in _lines(root / "sys/fs/cgroup" / group / "cpu.max"):
            quota, _, period = line.partition(" ")
            if quota != "max" and float(period or 100_000) > 0:
                quotas.append(float(quota) / float(period or 100_000))
    return quotas


def _quotas_v1(root: Path) -> list[float]:
    quotas = []
    for mount in ("cpu", "cpu,cpuacct"):
        for group in _groups(root, "cpu"):
            folder = root / "sys/fs/cgroup" / mount / group
            quota = _lines(folder / "cpu.cfs_quota_us")
            period = _lines(folder / "cpu.cfs_period_us")
            if quota and period and float(quota[0]) > 0 and float(period[0]) > 0:
                quotas.append(float(quota[0]) / float(period[0]))
    return quotas


def _lines(path: Path) -> list[str]:
    """The file's lines; none where it is absent or not ours to read."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


LARGEST = 32 * 2**20
"""Blocks up to so many bytes come from the heap, where they can be used again."""

KEPT = 256 * 2**20
"""Free bytes at the heap's end that are not handed back to the kernel."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep freed blocks, for the whole process.

    A forward pass on a CPU makes and drops hundreds of tensors of some megabytes. By default glibc hands such memory
    back to the kernel each time, and the kernel clears it page by page when it is asked for again: a fourteenth of the
    scorer's time. Up to `KEPT` free bytes at the heap's end stay with the process.

    Returns:
        Whether it was done. Not where another C library is used, nor where the environment sets the allocator up
        itself (`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_` or `GLIBC_TUNABLES`).

    >>> keep_freed_memory() or "another C library, or the environment's own settings"  # doctest: +SKIP
    True
    """
    if platform.libc_ver()[0] != "glibc" or any(os.environ.get(name) for name in _SETTINGS):
        return False
    set_option = ctypes.CDLL(None).mallopt
    return bool(set_option(_MMAP_THRESHOLD, LARGEST)) and bool(set_option(_TRIM_THRESHOLD, KEPT))


def processor_field(name: str, root: Path = Path("/")) -> str:
    """A field of Linux's /proc/cpuinfo, of the first core; elsewhere the platform's name, on Windows with the maker.

    Args:
        name: such as "model name" or "vendor_id".
        root: where `proc` is looked up.

    >>> isinstance(processor_field("model name"), str)
    True
    """
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, platform.processor())


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars, log lines or warnings of `transformers` inside the block; as before after it.

    What they would warn of (weights that are missing, a tokenizer that is slow) is checked by the caller and
    raised as an error.
    """
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
