"""`fewshot-llm explain` with a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

TEXT = "Arrived broken, seller never answered <s> [bold]x[/bold]"


@pytest.fixture
def explain(run: Run, shop: Path, tiny_model_folder: Path) -> Run:
    fixed = ("explain", "review-sentiment", "--support", "support.csv", "--shots", "1", "--model", tiny_model_folder)
    return lambda *arguments: run(*fixed, *arguments)


def test_text_words_and_demonstrations(explain: Run) -> None:
    result = explain("--text", TEXT)
    assert result.exit_code == 0, result.output
    assert TEXT in result.stdout
    assert "rather than" in result.stdout
    assert "demonstration left out" in result.stdout


def test_json(explain: Run) -> None:
    document = json.loads(explain("--text", TEXT, "--json").stdout)
    assert {document["label"], document["runner_up"]} == {"positive", "negative"}
    assert document["passages"][0]["text"] == TEXT
    assert [word["text"] for word in document["passages"][0]["words"]][:2] == ["Arrived", "broken"]
    assert len(document["demonstrations"]) == 2


def test_without_demonstrations(explain: Run) -> None:
    result = explain("--text", "good", "--shots", "0")
    assert result.exit_code == 0, result.output
    assert "left out" not in result.stdout
