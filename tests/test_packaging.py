"""The wheel, the sdist and an editable install each find prompts and recipes, from any folder."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WHERE = """
import json, fewshot_llm
from fewshot_llm.data import list_tasks, load_task, prompts_folder
from fewshot_llm.prompting import load_template
task = load_task("review-sentiment")
print(json.dumps({
    "package": fewshot_llm.__file__,
    "prompts": str(prompts_folder()),
    "tasks": list_tasks(),
    "template": load_template(task, "zh").name,
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, out: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", out, cwd=source)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def fresh_environment(folder: Path) -> Path:
    """A virtual environment that sees this one's dependencies but not its copy of the project.

    A path in a `.pth` file is added as it is: the `.pth` files inside it, such as our editable install's, are
    not followed.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def install(python: Path, *what: str | Path) -> None:
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, *what, cwd=python.parent)


def test_wheel_holds_content_below_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "fewshot_llm/py.typed",
        "fewshot_llm/cli/help.toml",
        "fewshot_llm/report/page.html.jinja",
        "fewshot_llm/prompts/review-sentiment/task.toml",
        "fewshot_llm/prompts/review-sentiment/zh.v1.jinja",
        "fewshot_llm/prompts/customer-intent/task.toml",
    } <= set(names)
    assert any(name.startswith("fewshot_llm/recipes/") and name.endswith(".toml") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2, f"only the package and its metadata belong at the top: {sorted(tops)}"


def test_installed_wheel_works_from_another_folder(wheel: Path, tmp_path: Path, tiny_model_folder: Path) -> None:
    python = fresh_environment(tmp_path / "env")
    install(python, wheel)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = json.loads(run(python, "-c", WHERE, cwd=elsewhere))
    assert Path(found["package"]).is_relative_to(tmp_path)
    assert Path(found["prompts"]).is_relative_to(tmp_path)
    assert found["template"].startswith("review-sentiment/zh.v")
    rows = [{"text": "很好", "label": "positive"}, {"text": "太差", "label": "negative"}]
    (elsewhere / "shop.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    command = python.parent / "fewshot-llm"
    options = (
        "--support",
        "shop.jsonl",
        "--shots",
        "1",
        "--calibration",
        "none",
        "--model",
        tiny_model_folder,
    )
    where = ("--input", "shop.jsonl", "--output", "out.csv")
    run(command, "classify", "review-sentiment", *options, *where, cwd=elsewhere)
    assert (elsewhere / "out.csv").read_text(encoding="utf-8").startswith("text,label,predicted_label")


def test_editable_install_reads_the_checkout(tmp_path: Path) -> None:
    python = fresh_environment(tmp_path / "env")
    install(python, "--editable", ROOT)
    found = json.loads(run(python, "-c", WHERE, cwd=tmp_path))
    assert Path(found["package"]).parent == ROOT / "fewshot_llm"
    assert Path(found["prompts"]) == ROOT / "prompts"


def test_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    sdist = build("sdist", ROOT, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert {"README.md", "README.zh.md", "LICENSE", "CHANGELOG.md", "Makefile", "tests"} <= {
        path.name for path in source.iterdir()
    }
    again = build("wheel", source, tmp_path / "again")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
