"""Lets the process keep memory that it frees, for the next tensor of the same size."""

from __future__ import annotations

import ctypes
import os
import platform

__all__ = ["keep_freed_memory"]

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
