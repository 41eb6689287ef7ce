"""What the operating system says of the processor."""

from __future__ import annotations

import platform
from pathlib import Path

__all__ = ["processor_field"]


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
