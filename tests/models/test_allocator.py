from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys
from fewshot_llm.models import keep_freed_memory
NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype = Info, ctypes.c_void_p
if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = libc.mallinfo2().hblks
libc.malloc(8 * 2**20)
print(libc.mallinfo2().hblks - before)
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's allocator")


def run(program: str, *arguments: str, **variables: str) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=plain | variables, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@glibc
def test_large_blocks_come_from_the_heap_which_keeps_them():
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("glibc before 2.33 does not count its blocks")
    from_the_kernel, from_the_heap = "1", "0"
    assert run(PROGRAM, "default") == from_the_kernel
    assert run(PROGRAM, "keep") == from_the_heap


@glibc
@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_the_environment_s_own_settings_stay(name):
    program = "from fewshot_llm.models.device import keep_freed_memory; print(keep_freed_memory())"
    value = "glibc.malloc.trim_threshold=1000000" if name == "GLIBC_TUNABLES" else "1000000"
    assert run(program, **{name: value}) == "False"


def test_another_c_library_is_left_alone(monkeypatch):
    from fewshot_llm.models import device as allocator

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()
