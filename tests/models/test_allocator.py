from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from fewshot_llm.models.allocator import KEPT

PROGRAM = """
import resource, sys, torch
from fewshot_llm.models.allocator import keep_freed_memory
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
if sys.argv[1] == "keep":
    assert keep_freed_memory()
torch.ones(2_000_000)
before = resident()
parts = [torch.ones(2_000_000) for _ in range(int(sys.argv[2]))]  # 8 MB each
del parts
print(resident() - before)
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's allocator")


def run(program: str, *arguments: str, **variables: str) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=plain | variables, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@glibc
def test_freed_memory_stays_with_the_process_up_to_a_bound():
    assert int(run(PROGRAM, "default", "16")) < 60e6
    assert int(run(PROGRAM, "keep", "16")) > 100e6
    assert int(run(PROGRAM, "keep", "80")) < KEPT + 60e6


@glibc
@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_the_environment_s_own_settings_stay(name):
    program = "from fewshot_llm.models.allocator import keep_freed_memory; print(keep_freed_memory())"
    value = "glibc.malloc.trim_threshold=1000000" if name == "GLIBC_TUNABLES" else "1000000"
    assert run(program, **{name: value}) == "False"


def test_another_c_library_is_left_alone(monkeypatch):
    from fewshot_llm.models import allocator

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()
