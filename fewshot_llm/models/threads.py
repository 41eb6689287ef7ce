"""How many cores this process may really use."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["available_cores", "limit_threads"]


def available_cores(root: Path = Path("/")) -> int:
    """Cores that the scheduler really grants: the smaller of CPU affinity and the cgroup's quota, at least 1.

    `os.cpu_count` reports the host's cores; in a container that may run on 2 of 64, a program that starts
    64 threads is several times slower than one that starts 2.

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
