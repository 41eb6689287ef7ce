"""`fewshot-llm attack` with a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fewshot_llm.evaluation import read_evaluation
from fewshot_llm.files import write_rows
from tests.cli.conftest import Run
from tests.cli.test_evaluate import TEST_ROWS


@pytest.fixture
def attack(run: Run, shop: Path, tiny_model_folder: Path) -> Run:
    write_rows("test.jsonl", TEST_ROWS)
    options = ("attack", "review-sentiment", "--support", "support.csv", "--test", "test.jsonl", "--shots", "1")
    return lambda *arguments: run(*options, "--model", tiny_model_folder, "--half", "development", *arguments)


def test_table_names_every_attack_and_the_whole(attack: Run) -> None:
    result = attack()
    assert result.exit_code == 0, result.output
    assert "zh-instruction" in result.stdout
    assert "all development" in result.stdout
    assert "Accuracy on clean rows" in " ".join(result.stdout.split())


def test_figures_go_into_a_result(attack: Run, run: Run, shop: Path, tiny_model_folder: Path) -> None:
    evaluated = ("--support", "support.csv", "--test", "test.jsonl", "--shots", "1", "--seeds", "0")
    run("evaluate", "review-sentiment", *evaluated, "--model", tiny_model_folder, "--output", "result.json")
    result = attack("--rows", "2", "--add-to", "result.json", "--json")
    assert result.exit_code == 0, result.output
    section = json.loads(result.stdout)
    assert section["rows"] == 2
    assert set(section) >= {"version", "defence", "rows", "undefended", "defended", "by_attack"}
    figures = read_evaluation(shop / "result.json").attacks
    assert [one.name for one in figures[:2]] == ["instruction", "instruction (standard)"]
    assert sum(one.flipped for one in figures[::2]) == round(section["undefended"]["flip_rate"] * 2 * 16)


def test_unknown_version_is_one_paragraph(attack: Run) -> None:
    result = attack("--attacks", "9")
    assert result.exit_code == 1
    assert "no version 9" in result.stderr


def test_classify_names_the_rows_it_distrusts(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    options = ("--support", "support.csv", "--input", "reviews.jsonl", "--output", "out.jsonl", "--defence", "standard")
    result = run("classify", "review-sentiment", *options, "--model", tiny_model_folder, "--shots", "1")
    assert result.exit_code == 0, result.output
    assert "tell the labeller what to say: row 3" in " ".join(result.stderr.split())
    assert len((shop / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 3
