"""`fewshot-llm play`: what is refused before a page is served. The page itself is in `tests/playground`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from fewshot_llm.playground import PageAddress, listen
from tests.cli.conftest import Run

TASK = ("play", "review-sentiment", "--support", "support.csv")


def test_without_gradio_it_says_what_to_install(run: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = run(*TASK)
    assert result.exit_code == 2
    assert "fewshot-llm[play]" in result.stderr


@pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="the page needs the extra `play`")
class TestRefused:
    def test_short_token(self, run: Run, shop: Path) -> None:
        result = run(*TASK, "--token", "abc")
        assert result.exit_code == 1
        assert "can be guessed" in result.stderr

    def test_taken_port(self, run: Run, shop: Path) -> None:
        with listen(PageAddress(port=0)) as taken:
            result = run(*TASK, "--port", taken.getsockname()[1])
        assert result.exit_code == 1
        assert "--port" in result.stderr

    def test_unknown_task(self, run: Run, shop: Path) -> None:
        result = run("play", "review-sentimnt", "--support", "support.csv", "--port", 0)
        assert result.exit_code == 1
        assert "review-sentiment" in result.stderr
