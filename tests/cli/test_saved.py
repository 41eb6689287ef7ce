"""A saved folder in place of labelled rows: the same answers, nothing asked again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fewshot_llm import FewShotClassifier, FewShotMultiLabelClassifier, FewShotRanker, FewShotRegressor
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


def test_both_need_weights_in_the_folder(run: Run, folder: str, tiny_model_folder: Path) -> None:
    told = ("--model", tiny_model_folder, "--input", "reviews.jsonl", "--output", "out.jsonl", "--adapter", folder)
    result = run("classify", *OWN, *told)
    assert result.exit_code == 1
    assert "Leave out --support to answer as it was saved" in " ".join(result.output.split())


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
    assert summary["rung"] == "words"
    assert summary["reason"] in result.stderr


ROW = {"history": ["cup", "spoon"], "candidates": ["saucer", "nail", "rope"]}
CHOICES = [{**ROW, "history": [f"cup {i}", "spoon"], "label": "saucer"} for i in range(3)]
RATED = [{"text": f"review {i}", "label": i % 5 + 1} for i in range(15)]
TAGGED = [{"text": f"评论{i}", "label": ["price", "quality"] if i % 2 else []} for i in range(6)]
OTHERS = {
    "regress": ("review-rating", RATED, [{"text": "fine"}, {"text": ""}]),
    "tag": ("review-aspects", TAGGED, [{"text": "很好"}, {"text": ""}]),
    "rank": ("next-product", CHOICES, [ROW]),
}


@pytest.fixture
def others(shop: Path, tiny_model_folder: Path) -> dict[str, tuple[str, ...]]:
    """By command: how its task is named. Folders of that name, and rows to fit on and to answer, are there."""
    for command, (_, fitted, asked) in OTHERS.items():
        write_rows(f"{command}-fitted.jsonl", fitted)
        write_rows(f"{command}-asked.jsonl", asked)
    model = str(tiny_model_folder)
    texts = [row["text"] for row in RATED]
    FewShotRegressor(model=model, shots=1, device="cpu").fit(texts, [row["label"] for row in RATED]).save("regress")
    texts = [row["text"] for row in TAGGED]
    tagger = FewShotMultiLabelClassifier(model=model, shots=1, device="cpu")
    tagger.fit(texts, [row["label"] for row in TAGGED]).save("tag")
    FewShotRanker(model=model, shots=1, device="cpu").fit(CHOICES, ["saucer"] * 3).save("rank")
    return {name: (("--task", task) if name == "rank" else (task,)) for name, (task, *_) in OTHERS.items()}


@pytest.mark.parametrize("command", OTHERS)
def test_the_others_answer_as_what_was_saved(
    run: Run, others: dict[str, tuple[str, ...]], tiny_model_folder: Path, command: str
) -> None:
    asked = (command, *others[command], "--input", f"{command}-asked.jsonl", "--output")
    own = ("--support", f"{command}-fitted.jsonl", "--shots", 1, "--model", tiny_model_folder, "--device", "cpu")
    result = run(*asked, "own.jsonl", *own)
    assert result.exit_code == 0, result.output
    result = run(*asked, "saved.jsonl", "--adapter", command)
    assert result.exit_code == 0, result.output
    assert read_rows("saved.jsonl") == read_rows("own.jsonl")


@pytest.mark.parametrize("command", OTHERS)
def test_the_others_need_one_of_the_two(run: Run, others: dict[str, tuple[str, ...]], command: str) -> None:
    result = run(command, *others[command], "--input", f"{command}-asked.jsonl", "--output", "out.jsonl")
    assert result.exit_code == 2
    assert "--support" in result.output
    assert "--adapter" in result.output


@pytest.mark.parametrize(
    ("command", "option"),
    [("regress", ("--grid", "1,2,3")), ("regress", ("--target-error", "0.5")), ("rank", ("--baskets", "support.csv"))],
)
def test_what_is_fitted_needs_labelled_rows(
    run: Run, others: dict[str, tuple[str, ...]], command: str, option: tuple[str, str]
) -> None:
    told = ("--input", f"{command}-asked.jsonl", "--output", "out.jsonl", "--adapter", command)
    result = run(command, *others[command], *told, *option)
    assert result.exit_code == 2
    assert "--support" in result.output
    assert not Path("out.jsonl").exists()


def test_the_task_has_to_be_the_one_it_was_made_for(run: Run, others: dict[str, tuple[str, ...]]) -> None:
    told = ("--input", "regress-asked.jsonl", "--output", "out.jsonl", "--adapter", "regress")
    result = run("regress", "price-from-title", *told, "--text-column", "text")
    assert result.exit_code == 1
    assert "was made for the task review-rating" in " ".join(result.output.split())


@pytest.mark.parametrize("command", OTHERS)
def test_a_folder_of_another_kind_says_what_opens_it(
    run: Run, others: dict[str, tuple[str, ...]], command: str
) -> None:
    rows, output = ("--input", "reviews.jsonl"), ("--output", "out.jsonl")
    another = "regress" if command == "tag" else "tag"
    for asked in (
        ("classify", "review-sentiment", *rows, *output),
        ("evaluate", "review-sentiment", "--test", "support.csv"),
        ("batch", "review-sentiment", *rows, "--output", "job"),
        ("render", "review-sentiment"),
        (another, *others[another], *rows, *output),
    ):
        result = run(*asked, "--adapter", command)
        assert result.exit_code == 1, result.output
        assert f"fewshot-llm {command} … --adapter {command}" in " ".join(result.output.split())
    result = run("export", command, "--to", "peft", "--out", "bundle")
    assert result.exit_code == 1, result.output
    assert f"fewshot-llm {command} … --adapter {command}" in " ".join(result.output.split())
