"""What the structure promises: imports go one way, the root is empty, and a public name means one thing."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fewshot_llm"


def test_imports_go_one_way():
    """The layers of `pyproject.toml`, checked by import-linter."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr[-500:]


def test_the_root_holds_nothing_but_what_everything_needs():
    here = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert here == {"__init__.py", "__init__.pyi", "__main__.py", "errors.py", "types.py", "py.typed"}


def test_a_public_class_is_defined_once():
    homes = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path.relative_to(PACKAGE).as_posix())
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


FACES = sorted(path.parent.relative_to(ROOT) for path in PACKAGE.rglob("__init__.pyi"))


@pytest.mark.parametrize("face", FACES, ids=str)
def test_every_name_that_a_package_shows_is_there(face):
    """Loaded as a user would: the name that is promised to the type checker exists when it is asked for."""
    package = importlib.import_module(".".join(face.parts))
    promised = {
        alias.asname or alias.name
        for node in ast.parse((ROOT / face / "__init__.pyi").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(package.__all__) == promised
    assert [name for name in sorted(promised) if not hasattr(package, name)] == []
    files = {
        path.stem for path in (ROOT / face).glob("*.py")
    }  # importing such a file would put it in the place of the name
    assert [name for name in promised & files if getattr(package, name).__module__.split(".")[-1] != name] == []


@pytest.mark.parametrize("folder", ["tests", "eval", "examples"])
def test_what_stands_outside_speaks_to_packages(folder):
    """`from fewshot_llm.data import SupportSet`, not from the file that holds it today.

    The command line is a program and shows nothing but `app`; its own tests look at its parts.
    """
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    known = packages | {"fewshot_llm.errors", "fewshot_llm.types"}
    found = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fewshot_llm")
        if node.module not in known and not (node.module or "").startswith("fewshot_llm.cli.")
    ]
    assert found == []


def test_the_map_names_what_is_there():
    """Every package, and every file that the page points to; both pages point to the same."""
    pages = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("architecture.md", "architecture.zh.md")]
    english, chinese = (set(re.findall(r"`([\w./-]+?/[\w./-]*)`", page)) for page in pages)
    assert english == chinese
    places = (ROOT, PACKAGE)
    assert [name for name in sorted(english) if not any((place / name).exists() for place in places)] == []
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    for page in pages:
        assert packages - {name.split("/")[0] for name in re.findall(r"`(\w+)`", page)} == set()


def test_documents_point_to_files_that_are_there():
    """`scoring/head.py` in a page is a file of the package, or of the project."""
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "eval" / "README.md"]
    lost = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in sorted(pages)
        for name in re.findall(r"`([\w./-]+/[\w.-]+\.py)`", page.read_text(encoding="utf-8"))
        if not any((place / name).is_file() for place in (ROOT, PACKAGE))
    ]
    assert lost == []
