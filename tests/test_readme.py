"""Every code block of both READMEs is run, in order, as a reader would.

Twice: with a tiny random model standing in the cache for the embedded ones, offline; and, marked `real_model`, with the
real ones where they are in the cache.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from fewshot_llm.models import EMBEDDED, model_folder, read_record
from tests.conftest import put_into_cache
from tests.doc_blocks import BLOCK, arguments, blocks, check_options, run_page

ROOT = Path(__file__).parents[1]
READMES = {"README.md": "smollm2-135m", "README.zh.md": "gemma3-270m"}
"""Each README, and the model that `auto` stands for in its language."""

LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)\)")


def run_blocks(readme: str, folder: Path, home: Path) -> None:
    """Run the Python and shell blocks of a page, one after the other, in one folder, with the models of a cache."""
    unknown = {block.language for block in blocks(ROOT / readme)} - {"python", "sh"}
    assert not unknown, f"{readme} has a block in {unknown}, which is not run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FEWSHOT_HOME", str(home))
        run_page(ROOT / readme, folder)


@pytest.fixture
def stand_in_home(
    tmp_path: Path, tiny_model_folder: Path, tiny_encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A model cache in which a tiny model, or a tiny encoder, has the names of the embedded ones."""
    home = tmp_path / "home"
    monkeypatch.setenv("FEWSHOT_HOME", str(home))
    for model in EMBEDDED.values():
        put_into_cache(model.name, tiny_encoder_folder if model.kind == "encoder" else tiny_model_folder)
    return home


@pytest.mark.parametrize("readme", READMES)
def test_blocks_run(readme: str, tmp_path: Path, stand_in_home: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    run_blocks(readme, folder, stand_in_home)
    header = (folder / "labelled.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header == "id,text,predicted_label,probability,probabilities"


@pytest.mark.real_model
@pytest.mark.parametrize(("readme", "model"), READMES.items())
def test_blocks_run_with_the_real_model(readme: str, model: str, tmp_path: Path) -> None:
    folder = model_folder(EMBEDDED[model])
    if read_record(folder) is None:
        pytest.skip(f"{model} is not in the cache; run: fewshot-llm models pull {model}")
    run_blocks(readme, tmp_path, folder.parents[1])


@pytest.mark.parametrize("readme", READMES)
def test_make_targets_exist(readme: str) -> None:
    lines = [line for block in blocks(ROOT / readme) for line in block.text.splitlines() if line.startswith("make ")]
    assert lines
    for line in lines:
        subprocess.run(
            ["make", "--dry-run", *line.split("#")[0].split()[1:]], cwd=ROOT, check=True, capture_output=True
        )


@pytest.mark.parametrize("readme", READMES)
def test_commands_in_the_text_parse(readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that need an adapter, a server or a browser, and so stand in no block that is run."""
    monkeypatch.chdir(tmp_path)
    text = BLOCK.sub("", (ROOT / readme).read_text(encoding="utf-8"))
    commands = [" ".join(found.split()) for found in re.findall(r"`(fewshot-llm [^`]*)`", text)]
    assert len(commands) > 5
    for command in commands:
        given = arguments(command)
        assert given is not None
        if given[0] != "COMMAND" and len(given) > 1:
            check_options(given, tmp_path)


def test_readmes_are_twins() -> None:
    """The same headings, tables and blocks, in the same order."""

    def skeleton(readme: str) -> list[str]:
        text = BLOCK.sub(lambda found: f"block {found[1]}", (ROOT / readme).read_text(encoding="utf-8"))
        marks = ("#", "|", "- ", "block ")
        return [
            next(mark for mark in marks if line.startswith(mark))
            for line in text.splitlines()
            if line.startswith(marks)
        ]

    assert skeleton("README.md") == skeleton("README.zh.md")


@pytest.mark.parametrize("document", [*READMES, "CONTRIBUTING.md"])
def test_links_lead_somewhere(document: str) -> None:
    targets = LINK.findall((ROOT / document).read_text(encoding="utf-8"))
    assert targets
    assert not [target for target in targets if "://" not in target and not (ROOT / target).exists()]
