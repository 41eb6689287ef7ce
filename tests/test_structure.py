"""What the structure promises: imports go one way, the root is empty, and a public name means one thing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fewshot_llm"


def test_imports_go_one_way():
    """The layers of `pyproject.toml`, checked by import-linter."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr[-500:]


def test_the_root_holds_nothing_but_what_everything_needs():
    here = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert here == {"__init__.py", "__main__.py", "errors.py", "types.py", "py.typed"}


def test_a_public_class_is_defined_once():
    homes = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path.relative_to(PACKAGE).as_posix())
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}
