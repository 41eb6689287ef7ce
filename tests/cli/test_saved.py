"""A saved folder in place of labelled rows: the same answers, nothing asked again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fewshot_llm import FewShotClassifier
from fewshot_llm.files import read_rows, write_rows
from tests.cli.conftest import Run

OWN = ("review-sentiment", "--support", "support.csv", "--shots", "1")


@pytest.fixture
def folder(shop: Path, tiny_model_folder: Path) -> str:
    rows = read_rows("support.csv")
    texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
    FewShotClassifier(model=str(tiny_model_folder), shots=1, device="cpu").fit(texts, labels).save("saved")
    write_rows("test.jsonl", [{"text": f"{row['text']}！", "label": row["label"]} for row in rows])
    return "saved"


def test_classify_answers_as_the_saved_classifier(run: Run, folder: str, tiny_model_folder: Path) -> None:
    told = ("--model", tiny_model_folder, "--input", "reviews.jsonl")
    assert run("classify", *OWN, *told, "--output", "own.jsonl").exit_code == 0
    asked = ("classify", "review-sentiment", "--adapter", folder, "--input", "reviews.jsonl", "--output")
    result = run(*asked, "saved.jsonl", "--json")
    assert result.exit_code == 0, result.output
    for own, again in zip(read_rows("own.jsonl"), read_rows("saved.jsonl"), strict=True):
        assert again["predicted_label"] == own["predicted_label"]
        assert again["probability"] == pytest.approx(own["probability"])


def test_evaluate_measures_it_as_it_is(run: Run, folder: str) -> None:
    result = run("evaluate", "review-sentiment", "--adapter", folder, "--test", "test.jsonl", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [run["shots"] for run in found["runs"]] == [1]


def test_render_shows_the_prompt_that_is_served(run: Run, folder: str, tiny_model_folder: Path) -> None:
    own = run("render", *OWN, "--model", tiny_model_folder, "--text", "很好")
    again = run("render", "review-sentiment", "--adapter", folder, "--text", "很好")
    assert again.exit_code == 0, again.output
    assert again.stdout == own.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("classify", "review-sentiment", "--input", "reviews.jsonl", "--output", "out.jsonl"),
        ("evaluate", "review-sentiment", "--test", "test.jsonl"),
        ("render", "review-sentiment"),
    ],
)
def test_one_of_the_two_is_needed(run: Run, folder: str, command: tuple[str, ...]) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert "--support" in result.output
    assert "--adapter" in result.output


def test_the_ladder_needs_labelled_rows(run: Run, folder: str) -> None:
    told = ("--adapter", folder, "--input", "reviews.jsonl", "--output", "out.jsonl")
    assert run("classify", "review-sentiment", *told, "--escalate").exit_code == 2


def test_escalate_says_what_it_decided(run: Run, folder: str, tiny_model_folder: Path) -> None:
    told = ("--model", tiny_model_folder, "--input", "reviews.jsonl", "--output", "out.jsonl")
    result = run("classify", *OWN, *told, "--escalate", "--target", "0.01", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["rung"] == "zero-shot"
    assert summary["reason"] in result.stderr
