from __future__ import annotations

import subprocess
import sys

import fewshot_llm.batch as batch


def test_every_public_name_is_there() -> None:
    assert [name for name in batch.__all__ if not hasattr(batch, name)] == []


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, fewshot_llm.batch; print([m for m in ('torch', 'pyarrow', 'ray') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
