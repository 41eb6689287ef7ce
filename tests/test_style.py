"""House rules that no linter checks: guarded `__all__`, nothing that names one machine."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fewshot_llm

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fewshot_llm"
MODULES = sorted(PACKAGE.rglob("*.py"))

MACHINE = re.compile(
    r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+)/|(?<![\w./$])/tmp/\w|/opt/(?:wheels|pypi)|localhost:\d{4}/simple"
)
"""Absolute folders of somebody's machine."""

TEXT_ENDINGS = {".py", ".md", ".toml", ".jinja", ".json", ".yml", ".yaml", ".txt", ".cfg", ".sh", ".html", ""}


def tracked_texts() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of the project's files")
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.is_file() and path.suffix in TEXT_ENDINGS and path != Path(__file__)]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_all_names_what_is_public(path: Path) -> None:
    """`__all__` exists where something is defined, is sorted, and every name in it is there."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    declared = next(
        (
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
        ),
        None,
    )
    if declared is None:
        assert not public, f"{name(path)} defines {sorted(public)} and has no __all__"
        return
    assert len(declared) == len(set(declared))
    missing = [entry for entry in declared if not hasattr(importlib.import_module(module_name(path)), entry)]
    assert not missing


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name(path)
        for path in MODULES
        if (text := path.read_text(encoding="utf-8")).strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert not silent


def test_nothing_names_one_machine() -> None:
    found = [
        f"{name(path)}:{number}: {line.strip()[:80]}"
        for path in tracked_texts()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert not found, "\n".join(found)


def test_machine_pattern_finds_what_it_should() -> None:
    assert MACHINE.search("model = '/tmp/models/x'")
    assert MACHINE.search("see /work/shared")
    assert not MACHINE.search("pip install https://example.org/tmp/x")
    assert not MACHINE.search("FEWSHOT_DATA (default ../shared/data)")


def test_content_folders_are_not_packages() -> None:
    """An installed package is named `adapters`; an `__init__.py` in ours would hide it."""
    assert not [folder for folder in ("prompts", "adapters", "eval") if (ROOT / folder / "__init__.py").exists()]


def test_every_module_can_be_imported_first() -> None:
    """No module depends on another of ours having been imported before, and none prints or warns."""
    names = sorted(
        m.name for m in pkgutil.walk_packages(fewshot_llm.__path__, "fewshot_llm.") if "__main__" not in m.name
    )
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    for other in [other for other in sys.modules if other.startswith('fewshot_llm')]: del sys.modules[other]\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
