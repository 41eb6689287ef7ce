"""`fewshot-llm classify` with a tiny model: files in, files out, and everything that may go wrong between."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fewshot_llm.files import read_rows, write_rows
from fewshot_llm.labelling import RESULT_COLUMNS
from tests.cli.conftest import REVIEWS, Run

TASK = ("classify", "review-sentiment", "--support", "support.csv", "--shots", "1")


@pytest.fixture
def classify(run: Run, shop: Path, tiny_model_folder: Path) -> Run:
    """`classify` with the tiny model; `--input` and the rest are given by the test."""
    return lambda *arguments, stdin=None: run(*TASK, "--model", tiny_model_folder, *arguments, stdin=stdin)


def check_rows(rows: list[dict[str, object]]) -> None:
    for row in rows:
        probabilities = row["probabilities"]
        assert isinstance(probabilities, dict)
        assert set(probabilities) == {"positive", "negative"}
        assert sum(probabilities.values()) == pytest.approx(1)
        assert row["probability"] == max(probabilities.values()) == probabilities[row["predicted_label"]]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_keeps_columns_and_order_and_adds_three(classify: Run, ending: str) -> None:
    result = classify("--input", "reviews.jsonl", "--output", f"out.{ending}")
    assert result.exit_code == 0, result.output
    rows = read_rows(f"out.{ending}")
    assert [{name: row[name] for name in REVIEWS[0]} for row in rows] == REVIEWS
    assert [list(row) for row in rows] == [[*REVIEWS[0], *RESULT_COLUMNS]] * 3
    check_rows(rows)
    assert "3 rows in" in result.stderr
    assert result.stdout == ""


def test_top_k_agrees_with_all_probabilities(classify: Run) -> None:
    assert classify("--input", "reviews.jsonl", "--output", "all.jsonl").exit_code == 0
    result = classify("--input", "reviews.jsonl", "--output", "top.jsonl", "--top-k", 1)
    assert result.exit_code == 0, result.output
    for own, full in zip(read_rows("top.jsonl"), read_rows("all.jsonl"), strict=True):
        assert own["predicted_label"] == full["predicted_label"]
        assert list(own["probabilities"]) == [own["predicted_label"]]
        assert own["probability"] + own["rest"] == pytest.approx(1)
        assert own["probability"] <= full["probability"] + 1e-3
    refused = classify("--input", "reviews.jsonl", "--output", "no.jsonl", "--top-k", 1, "--max-error", 0.1)
    assert refused.exit_code == 2
    assert "every label" in refused.output


def test_a_format_is_taken_only_after_it_was_measured(classify: Run) -> None:
    """The tiny model's labels are near ties, so either answer may come; both must say what was measured."""
    result = classify("--input", "reviews.jsonl", "--output", "out.jsonl", "--precision", "bfloat16", "--json")
    if result.exit_code:
        assert "is refused" in result.output
        assert not Path("out.jsonl").exists()
    else:
        measured = json.loads(result.output.splitlines()[-1])["precision"]
        assert measured["accuracy"] >= measured["exact_accuracy"] - 0.01
    both = classify("--input", "reviews.jsonl", "--output", "no.jsonl", "--precision", "float16", "--dtype", "float16")
    assert both.exit_code == 2


def test_csv_holds_probabilities_as_json(classify: Run, shop: Path) -> None:
    write_rows("reviews.csv", REVIEWS)
    assert classify("--input", "reviews.csv", "--output", "out.csv").exit_code == 0
    with (shop / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = [dict(row) for row in csv.DictReader(stream)]
    assert [row["text"] for row in rows] == [row["text"] for row in REVIEWS]
    check_rows(
        [
            {**row, "probabilities": json.loads(row["probabilities"]), "probability": float(row["probability"])}
            for row in rows
        ]
    )


def test_standard_input_and_output(classify: Run, shop: Path) -> None:
    lines = (shop / "reviews.jsonl").read_text(encoding="utf-8")
    result = classify("--input", "-", "--output", "-", "--json", stdin=lines)
    assert result.exit_code == 0, result.output
    check_rows([json.loads(line) for line in result.stdout.splitlines()])
    assert json.loads(result.stderr.splitlines()[-1])["rows"] == 3


def test_json_summary_is_alone_on_standard_output(classify: Run) -> None:
    result = classify("--input", "reviews.jsonl", "--output", "out.jsonl", "--json")
    summary = json.loads(result.stdout)
    assert (summary["rows"], sum(summary["labels"].values()), summary["output"]) == (3, 3, "out.jsonl")


def test_same_seed_same_bytes(classify: Run, shop: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        assert classify("--input", "reviews.jsonl", "--output", name, "--seed", "3").exit_code == 0
    assert (shop / "a.jsonl").read_bytes() == (shop / "b.jsonl").read_bytes()


@pytest.mark.parametrize("selection", ["balanced", "random", "nearest", "nearest-hidden", "diverse"])
def test_every_selection(classify: Run, selection: str) -> None:
    options = ("--selection", selection, "--calibration", "none")
    assert classify("--input", "reviews.jsonl", "--output", "out.jsonl", *options).exit_code == 0


@pytest.mark.parametrize("calibration", ["out-of-fold", "contextual", "batch", "none"])
@pytest.mark.parametrize("normalisation", ["sum", "mean", "pmi"])
def test_every_calibration_and_normalisation(classify: Run, calibration: str, normalisation: str) -> None:
    options = ("--calibration", calibration, "--normalisation", normalisation, "--permutations", "2")
    result = classify("--input", "reviews.jsonl", "--output", "out.jsonl", *options)
    assert result.exit_code == 0, result.output
    check_rows(read_rows("out.jsonl"))


def test_named_columns(classify: Run) -> None:
    write_rows("odd.jsonl", [{"body": "nice", "text": 1}])
    write_rows("odd_support.jsonl", [{"body": "good", "truth": "positive"}, {"body": "bad", "truth": "negative"}])
    columns = ("--text-column", "body", "--label-column", "truth", "--support", "odd_support.jsonl")
    assert classify("--input", "odd.jsonl", "--output", "out.jsonl", *columns).exit_code == 0
    assert read_rows("out.jsonl")[0]["body"] == "nice"


class TestBadInput:
    def test_row_without_text_keeps_its_place(self, classify: Run) -> None:
        write_rows("gaps.jsonl", [{"text": "good"}, {"text": " "}, {"text": None}, {"text": "bad"}])
        result = classify("--input", "gaps.jsonl", "--output", "out.jsonl")
        assert result.exit_code == 0, result.output
        assert [row["predicted_label"] is None for row in read_rows("out.jsonl")] == [False, True, True, False]
        assert "row 2, 3" in result.stderr

    def test_no_rows_give_no_rows(self, classify: Run, shop: Path) -> None:
        (shop / "none.jsonl").touch()
        assert classify("--input", "none.jsonl", "--output", "out.jsonl").exit_code == 0
        assert (shop / "out.jsonl").read_bytes() == b""

    def test_invalid_utf8_comes_back_unchanged(self, classify: Run, shop: Path) -> None:
        (shop / "cut.jsonl").write_bytes('{"text": "很好'.encode() + b'\xe4\xb8"}\n')
        assert classify("--input", "cut.jsonl", "--output", "out.jsonl").exit_code == 0
        assert '"很好'.encode() + b"\xe4\xb8" in (shop / "out.jsonl").read_bytes()

    def test_too_long_is_refused_unless_cutting_is_allowed(self, classify: Run, shop: Path) -> None:
        write_rows("long.jsonl", [{"text": "good"}, {"text": "很好。" * 34_000}])
        result = classify("--input", "long.jsonl", "--output", "out.jsonl")
        assert result.exit_code == 1
        assert "tokens" in result.stderr
        assert not (shop / "out.jsonl").exists()
        assert classify("--input", "long.jsonl", "--output", "out.jsonl", "--cut-long-text").exit_code == 0

    @pytest.mark.parametrize("column", RESULT_COLUMNS)
    def test_result_column_in_the_input(self, classify: Run, shop: Path, column: str) -> None:
        write_rows("done.jsonl", [{"text": "good"}, {"text": "bad", column: 1}])
        result = classify("--input", "done.jsonl", "--output", "out.jsonl")
        assert result.exit_code == 0, result.output
        assert f"{column}_2" in result.stderr
        first, second = read_rows("out.jsonl")
        assert list(first) == ["text", *(f"{name}_2" for name in RESULT_COLUMNS)]
        assert second[column] == 1

    def test_output_exists(self, classify: Run, shop: Path) -> None:
        (shop / "out.jsonl").write_text("mine", encoding="utf-8")
        result = classify("--input", "reviews.jsonl", "--output", "out.jsonl")
        assert result.exit_code == 2
        assert "--overwrite" in result.stderr
        assert (shop / "out.jsonl").read_text(encoding="utf-8") == "mine"
        assert classify("--input", "reviews.jsonl", "--output", "out.jsonl", "--overwrite").exit_code == 0
        assert len(read_rows("out.jsonl")) == 3

    @pytest.mark.parametrize("name", ["reviews.jsonl", "support.csv", "../{here}/reviews.jsonl"])
    def test_output_is_an_input(self, classify: Run, shop: Path, name: str) -> None:
        before = (shop / "reviews.jsonl").read_bytes()
        output = name.format(here=shop.name)
        assert classify("--input", "reviews.jsonl", "--output", output, "--overwrite").exit_code == 2
        assert (shop / "reviews.jsonl").read_bytes() == before

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (("classify", "review-sentimnt"), 1, "review-sentiment"),
            (("classify", "review-sentiment", "--model", "smollm-135m"), 1, "smollm2-135m"),
            (("classify", "review-sentiment", "--lang", "fr"), 1, "fr"),
            (("classify", "review-sentiment", "--shots", "-1"), 2, "--shots"),
            (("classify", "review-sentiment", "--selection", "best"), 2, "nearest-hidden"),
        ],
    )
    def test_bad_use(self, run: Run, shop: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
        files = ("--support", "support.csv", "--input", "reviews.jsonl", "--output", "out.jsonl")
        result = run(*arguments, *files)
        assert result.exit_code == code
        assert said in result.stderr
        assert not (shop / "out.jsonl").exists()

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("", "no rows"),
            ("text,label\ngood,positive\n", "two classes"),
            ("body,mood\ngood,positive\n", "--text-column"),
        ],
    )
    def test_bad_support(self, classify: Run, shop: Path, content: str, said: str) -> None:
        (shop / "support.csv").write_text(content, encoding="utf-8")
        result = classify("--input", "reviews.jsonl", "--output", "out.jsonl")
        assert result.exit_code == 1
        assert said in result.stderr


def test_stopped_run_leaves_the_old_file(shop: Path, tiny_model_folder: Path) -> None:
    """Ctrl-C while rows are being labelled: exit code 130, the old output untouched, no temporary file."""
    write_rows("many.jsonl", [{"text": f"review number {n} " * 20} for n in range(20_000)])
    (shop / "out.jsonl").write_text("mine", encoding="utf-8")
    before = sorted(os.listdir(shop))
    files = ("--input", "many.jsonl", "--output", "out.jsonl", "--overwrite", "--calibration", "none")
    with subprocess.Popen(
        [sys.executable, "-m", "fewshot_llm", *TASK, "--model", str(tiny_model_folder), *files],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"FORCE_COLOR": "1"},  # draws the progress bar, which says when labelling has begun
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores Ctrl-C
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            while "/20000" not in said and (part := process.stderr.read(1)):
                said += part
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130, said + rest
    assert "Stopped by Ctrl-C. A file that was not finished has not been written." in rest
    assert "Traceback" not in rest
    assert (shop / "out.jsonl").read_text(encoding="utf-8") == "mine"
    assert sorted(os.listdir(shop)) == before


def test_redaction_comes_before_the_model_and_the_output(classify: Run, shop: Path) -> None:
    pytest.importorskip("phonenumbers")
    rows = [{"text": "call 13800138000", "phone": 13800138000.0}, {"text": "order no. 84736251 is late"}]
    write_rows(shop / "in.jsonl", rows)
    told = ("--input", "in.jsonl", "--output", "out.jsonl", "--json", "--overwrite")
    result = classify(*told, "--redact")
    assert result.exit_code == 0, result.output
    first, second = read_rows(shop / "out.jsonl")
    assert (first["text"], first["phone"]) == ("call [PHONE_1]", "[PHONE_1]")
    assert second["text"] == "order no. 84736251 is late"
    assert json.loads(result.stdout)["redacted"] == {"phone": 2}
    assert classify(*told, "--redact-orders").exit_code == 0
    assert read_rows(shop / "out.jsonl")[1]["text"] == "order no. [ORDER_1] is late"
    assert "--redact" in classify(*told, "--regions", "IN").output
    assert "Not a region" in classify(*told, "--redact", "--regions", "XX").output


def test_without_a_prompt_shots_are_null_and_the_rung_is_named(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    told = ("--support", "support.csv", "--model", tiny_model_folder, "--input", "reviews.jsonl")
    result = run("classify", "review-sentiment", *told, "--output", "out.jsonl", "--only", "words", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["shots"], summary["rung"], summary["model"]) == (None, "words", "words")
    assert "words" in summary["reason"] or "word counts" in summary["reason"]
    check_rows(read_rows("out.jsonl"))
    assert run("classify", "review-sentiment", *told, "--output", "a.jsonl", "--only", "encoder").exit_code == 0
    assert "e5-small" in run("classify", "review-sentiment", *told, "--output", "b.jsonl", "--only", "encoder").stderr


def test_without_wishes_the_quick_ladder_is_climbed(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    told = ("--support", "support.csv", "--model", tiny_model_folder, "--input", "reviews.jsonl")
    result = run("classify", "review-sentiment", *told, "--output", "out.jsonl", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["rung"]
    assert (summary["shots"] is None) == (summary["rung"] in ("words", "encoder", "hidden-head"))
    check_rows(read_rows("out.jsonl"))


LABELS = '[labels]\nrefund = "the customer wants money back"\npraise = "the customer is pleased"\nother = ""\n'


def test_labels_alone_are_enough(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    (shop / "labels.toml").write_text(LABELS, encoding="utf-8")
    asked = ("classify", "customer-intent", "--labels", "labels.toml", "--model", tiny_model_folder)
    result = run(*asked, "--input", "reviews.jsonl", "--output", "out.jsonl")
    assert result.exit_code == 0, result.output
    for row in read_rows("out.jsonl"):
        assert set(row["probabilities"]) == {"refund", "praise", "other"}
        assert sum(row["probabilities"].values()) == pytest.approx(1)
    result = run(*asked, "--input", "reviews.jsonl", "--output", "more.jsonl", "--max-error", "0.1")
    assert result.exit_code == 2
    assert "give --support FILE" in result.output
    result = run(*asked, "--adapter", shop, "--input", "reviews.jsonl", "--output", "more.jsonl")
    assert result.exit_code == 2
    assert "has its own labels" in result.output


def test_a_file_of_labels_that_the_rows_do_not_have(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    (shop / "labels.toml").write_text('labels = ["good", "bad"]', encoding="utf-8")
    asked = ("classify", "customer-intent", "--labels", "labels.toml", "--model", tiny_model_folder)
    result = run(*asked, "--support", "support.csv", "--input", "reviews.jsonl", "--output", "out.jsonl")
    assert result.exit_code == 1
    assert "'positive'" in result.output
    assert "good, bad" in result.output
    (shop / "labels.toml").write_text('labels = ["good"', encoding="utf-8")
    result = run(*asked, "--input", "reviews.jsonl", "--output", "out.jsonl")
    assert result.exit_code == 1
    assert "labels.toml is not valid TOML" in result.output
