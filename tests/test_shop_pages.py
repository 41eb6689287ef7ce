"""The two pages on the shop's jobs: every block runs, and they say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_readme import BLOCK, LINK, ROOT, run_blocks, stand_in_home as stand_in_home

PAGES = ("docs/shop.md", "docs/shop.zh.md")


@pytest.mark.parametrize("page", PAGES)
def test_blocks_run(page: str, tmp_path: Path, stand_in_home: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    run_blocks(page, folder, stand_in_home)
    made = {"stars", "tagged", "ranked", "visits", "cheap", "sure", "known", "replies"}
    assert {file.stem for file in folder.glob("*.jsonl")} == made


def test_pages_are_twins() -> None:
    """The same headings, blocks, commands and files, in the same order."""

    def skeleton(page: str) -> list[str]:
        text = (ROOT / page).read_text(encoding="utf-8")
        commands = [line.replace(" --lang zh", "").replace(" --lang en", "") for line in text.splitlines()]
        return [line for line in commands if line.startswith(("fewshot-llm", "cat >", "```", "["))] + [
            str(len(BLOCK.findall(text))),
            str(text.count("\n## ")),
        ]

    assert skeleton(PAGES[0]) == skeleton(PAGES[1])


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        assert (ROOT / "docs" / target).exists()
