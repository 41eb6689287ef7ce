"""The page in a real browser, where there is one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from eval.pictures import BROWSERS, screenshot
from fewshot_llm.evaluation import Evaluation
from fewshot_llm.report import evaluation_document, write_report

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="install chromium")
def test_a_phone_sees_the_page_in_both_themes(result: Evaluation, tmp_path: Path) -> None:
    page = write_report(evaluation_document(result), tmp_path)
    light, dark = tmp_path / "light.png", tmp_path / "dark.png"
    screenshot(page, light, 390, 800)
    screenshot(page, dark, 390, 800, dark=True)
    assert light.read_bytes().startswith(PNG)
    assert len(light.read_bytes()) > 10_000, "an empty page"
    assert light.read_bytes() != dark.read_bytes()
