"""The page in a real browser: Chromium without a window, on a server of its own with a tiny model."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fewshot_llm.files import read_rows, write_rows
from tests.playground.conftest import ROWS

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 60_000
"""Milliseconds; the machine may be busy."""

ONLY_LOOPBACK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"

TEXTS = "物流很快，很喜欢\n质量太差，退货\n<b>一般</b>般"

pytest.importorskip("gradio", reason="the page needs the extra `play`")
playwright = pytest.importorskip("playwright.sync_api", reason="the browser is driven by the extra `browser`")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # Without its sandbox, which a container's root may not set up; all it loads is our own page.
        opened = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", ONLY_LOOPBACK])
        yield opened
        opened.close()


@pytest.fixture
def server(tmp_path: Path, tiny_model_folder: Path) -> Iterator[str]:
    """The address of a running page on `support.csv`."""
    write_rows(tmp_path / "support.csv", ROWS)
    write_rows(tmp_path / "test.csv", ROWS[:4])
    files = ("--support", tmp_path / "support.csv", "--test", tmp_path / "test.csv", "--tuned", tmp_path / "tuned")
    command = ("play", "review-sentiment", *files, "--model", tiny_model_folder, "--shots", "2", "--port", "0")
    with subprocess.Popen(
        [sys.executable, "-m", "fewshot_llm", *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"GRADIO_TEMP_DIR": str(tmp_path / "gradio"), "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            while not (found := re.search(r"http://127\.0\.0\.1:\d+/", said)):
                line = process.stderr.readline()
                assert line, said
                said += line
            yield found[0]
        finally:
            process.terminate()
            process.communicate(timeout=60)


class Visit:
    """A page that is open, everything it asked for, and everything that went wrong in it."""

    def __init__(self, browser: Any, address: str) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.page.set_default_timeout(PATIENCE)
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)
        self.page.wait_for_selector("#texts textarea")

    def label(self, texts: str = TEXTS) -> None:
        self.page.fill("#texts textarea", texts)
        self.page.click("#label")
        self.page.wait_for_selector("#why .explanation")
        self.wait(lambda: len(self.cells("#predictions")) == 3 * len(texts.splitlines()))

    def cells(self, table: str) -> list[str]:
        return [cell.strip() for cell in self.page.locator(f"{table} [role=gridcell]").all_inner_texts()]

    def choose(self, dropdown: str, value: str) -> None:
        self.page.click(f"{dropdown} input")
        self.page.get_by_role("option", name=value, exact=True).click()

    def wait(self, happened: Any) -> None:
        for _ in range(PATIENCE // 100):
            if happened():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"it did not happen; the page says: {self.page.inner_text('body')}")


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Visit]:
    opened = Visit(browser, server)
    yield opened
    opened.page.close()
    assert not opened.errors


def test_a_corrected_label_joins_the_support_set_and_changes_predictions(visit: Visit, tmp_path: Path) -> None:
    visit.label()
    before = visit.cells("#predictions")
    assert before[::3] == TEXTS.splitlines()
    other = "positive" if before[1] == "negative" else "negative"
    visit.choose("#right", other)
    visit.page.click("#correct")
    visit.wait(lambda: "support.csv" in visit.page.inner_text("#notice"))
    visit.wait(lambda: visit.cells("#predictions")[2::3] != before[2::3])
    assert read_rows(tmp_path / "support.csv")[-1] == {"text": TEXTS.splitlines()[0], "label": other}
    assert "7 条" in visit.page.inner_text("#status")

    visit.page.get_by_role("tab", name="已标注样例").click()
    visit.wait(lambda: visit.cells("#support")[:3] == ["7", other, TEXTS.splitlines()[0]])
    assert len(visit.cells("#history")) == 6

    visit.page.get_by_role("tab", name="试用").click()
    visit.page.click("#undo")
    visit.wait(lambda: visit.cells("#predictions") == before)
    assert read_rows(tmp_path / "support.csv") == ROWS


def test_it_loads_and_works_with_no_network_but_the_loopback(visit: Visit) -> None:
    visit.label("质量不错")
    for tab in ("已标注样例", "提示词", "调优"):
        visit.page.get_by_role("tab", name=tab).click()
    hosts = {urlsplit(url).hostname for url in visit.asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}


def test_every_other_button(visit: Visit, tmp_path: Path) -> None:
    visit.label()
    first, second, third = TEXTS.splitlines()
    visit.choose("#pick", second)
    visit.wait(lambda: second in visit.page.inner_text("#why"))
    visit.page.locator("#predictions [role=gridcell]").nth(6).click()
    visit.wait(lambda: third in visit.page.inner_text("#why"))
    with visit.page.expect_download() as download:
        visit.page.click("#download")
    download.value.save_as(tmp_path / "predictions.csv")
    assert [row["文本"] for row in read_rows(tmp_path / "predictions.csv")] == [first, second, third]
    visit.page.get_by_label("English").click()
    visit.wait(lambda: "rather than" in visit.page.inner_text("#why"))
    assert "probability" in visit.page.inner_text("#predictions")
    visit.page.get_by_role("tab", name="Prompt").click()
    source = visit.page.input_value("#template textarea")
    visit.page.fill("#template textarea", source.replace("评论：", "买家说："))
    visit.wait(lambda: "买家说：…" in visit.page.input_value("#prompt textarea"))
    visit.page.fill("#template textarea", source + "{{ nonsense")
    visit.wait(lambda: "nonsense" in visit.page.input_value("#prompt textarea"))
    visit.page.click("#reset")
    visit.wait(lambda: visit.page.input_value("#template textarea") == source)

    visit.page.get_by_role("tab", name="Labelled rows").click()
    visit.page.click("#measure")
    visit.wait(lambda: "on the test file" in visit.page.inner_text("#status"))
    assert visit.page.locator("#predictions script, #why b").count() == 0
