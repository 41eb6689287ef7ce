from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st

from fewshot_llm.models import available_cores, limit_threads

AFFINITY = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.fixture
def _restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_no_quota(tmp_path: Path) -> None:
    assert available_cores(tmp_path) == AFFINITY


def test_version_2_of_the_process_or_any_group_above(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/shop/worker\n")
    write(tmp_path / "sys/fs/cgroup/shop/worker/cpu.max", "max 100000\n")
    assert available_cores(tmp_path) == AFFINITY
    write(tmp_path / "sys/fs/cgroup/shop/cpu.max", "150000 100000\n")
    assert available_cores(tmp_path) == 1


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1(tmp_path: Path, mount: str) -> None:
    write(tmp_path / "proc/self/cgroup", "4:memory:/m\n3:cpu,cpuacct:/docker/abc\n")
    folder = tmp_path / "sys/fs/cgroup" / mount / "docker/abc"
    write(folder / "cpu.cfs_period_us", "100000\n")
    write(folder / "cpu.cfs_quota_us", "-1\n")
    assert available_cores(tmp_path) == AFFINITY
    write(folder / "cpu.cfs_quota_us", "100000\n")
    assert available_cores(tmp_path) == 1


def test_inside_a_container_the_groups_own_files_are_at_the_root(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/../../shop\n")
    write(tmp_path / "sys/fs/cgroup/cpu.max", "50000 100000\n")
    assert available_cores(tmp_path) == 1


@given(quota=st.integers(1, 10**9), period=st.integers(1, 10**6))
def test_never_less_than_one_nor_more_than_granted(
    quota: int, period: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("root")
    write(root / "sys/fs/cgroup/cpu.max", f"{quota} {period}\n")
    cores = available_cores(root)
    assert 1 <= cores <= AFFINITY
    assert cores <= max(1, quota / period)


@pytest.mark.usefixtures("_restored")
def test_an_explicit_number_wins_and_torchs_own_is_only_lowered() -> None:
    assert limit_threads(1) == torch.get_num_threads() == 1
    assert limit_threads() == 1
    torch.set_num_threads(AFFINITY + 3)
    assert limit_threads() == torch.get_num_threads() == available_cores()
    with pytest.raises(ValueError, match="at least 1"):
        limit_threads(0)
