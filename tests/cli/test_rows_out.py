"""What the commands write: every column of the input, results beside it, in every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fewshot_llm.files import read_rows, write_rows
from fewshot_llm.labelling import RESULT_COLUMNS
from tests.batch.helpers import read_shards
from tests.cli.conftest import Run

CLASSIFY = ("classify", "review-sentiment", "--support", "support.csv", "--shots", "1")


@pytest.fixture
def classify(run: Run, shop: Path, tiny_model_folder: Path) -> Run:
    return lambda *arguments: run(*CLASSIFY, "--model", tiny_model_folder, *arguments)


def test_a_former_output_is_labelled_again(classify: Run) -> None:
    assert classify("--input", "reviews.jsonl", "--output", "one.jsonl").exit_code == 0
    result = classify("--input", "one.jsonl", "--output", "two.jsonl", "--json")
    assert result.exit_code == 0, result.output
    assert "predicted_label_2, probability_2, probabilities_2" in " ".join(result.stderr.split())
    assert json.loads(result.stdout)["columns"] == {name: f"{name}_2" for name in RESULT_COLUMNS}
    assert sum(json.loads(result.stdout)["labels"].values()) == 3
    for before, after in zip(read_rows("one.jsonl"), read_rows("two.jsonl"), strict=True):
        assert {name: after[name] for name in before} == before
        assert {f"{name}_2": before[name] for name in RESULT_COLUMNS}.items() <= after.items()


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "csv.gz", "jsonl.zst", "parquet", "xlsx"])
def test_dates_of_parquet_come_out_of_every_command(classify: Run, ending: str) -> None:
    days = pa.array([1_714_564_800_000_000, None], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"text": ["fine", "bad"], "created_at": days, "row": [b"\x00", b"a"]}), "in.parquet")
    result = classify("--input", "in.parquet", "--output", f"out.{ending}")
    assert result.exit_code == 0, result.output
    assert Path(f"out.{ending}").stat().st_size > 0
    if ending == "jsonl":
        assert [row["created_at"] for row in read_rows("out.jsonl")] == ["2024-05-01 12:00:00+00:00", None]


def test_batch_and_classify_write_the_same_text(classify: Run, run: Run, tiny_model_folder: Path) -> None:
    days = pa.array([1_714_564_800_000_000, None], pa.timestamp("us", "UTC"))
    table = pa.table(
        {"text": ["fine", "bad"], "created_at": days, "stars": [float("nan"), 4.5], "raw": [b"\x00", b"a"]}
    )
    pq.write_table(table, "in.parquet")
    assert classify("--input", "in.parquet", "--output", "out.jsonl").exit_code == 0
    options = ("--input", "in.parquet", "--output", "out", "--format", "jsonl", "--shots", 1)
    result = run(*("batch", "review-sentiment", "--support", "support.csv", "--model", tiny_model_folder), *options)
    assert result.exit_code == 0, result.output
    names = table.column_names
    ours, theirs = read_rows("out.jsonl"), read_rows("out/shard-00000.jsonl")
    assert [[row[name] for name in names] for row in ours] == [[row[name] for name in names] for row in theirs]
    assert ours[0]["stars"] is None
    assert "NaN" not in Path("out.jsonl").read_text() + Path("out/shard-00000.jsonl").read_text()


def test_batch_says_what_its_columns_are_called(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    write_rows("in.jsonl", [{"text": "good", "row": 111, "input_row": 222}])
    options = ("--input", "in.jsonl", "--output", "out", "--shots", 1, "--json", "--model", tiny_model_folder)
    result = run("batch", "review-sentiment", "--support", "support.csv", *options)
    assert result.exit_code == 0, result.output
    columns = json.loads(result.stdout.splitlines()[-1])["columns"]
    assert columns["row"] == "row_2"
    assert json.loads(Path("out/manifest.json").read_text())["job"]["result_columns"] == columns
    assert "row_2" in result.stderr
    (row,) = read_shards(Path("out"))
    assert (row["row"], row["input_row"], row["row_2"]) == (111, 222, 0)


def test_csv_for_people(classify: Run) -> None:
    write_rows("in.jsonl", [{"id": "123456789012345678", "text": "=1+1"}, {"id": "007", "text": ""}])
    result = classify("--input", "in.jsonl", "--output", "out.csv", "--excel")
    assert result.exit_code == 0, result.output
    text = Path("out.csv").read_bytes().decode("utf-8-sig")
    assert Path("out.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert list(first) == [
        *("id", "text", "predicted_label", "probability", "probability_positive", "probability_negative"),
    ]
    assert (first["id"], first["text"], second["id"]) == ('="123456789012345678"', "'=1+1", '="007"')
    assert len(first["probability"]) == len("0.1234")
    assert second["probability_positive"] == ""
    assert classify("--input", "in.jsonl", "--output", "semi.csv", "--semicolon").exit_code == 0
    assert Path("semi.csv").read_text("utf-8-sig").startswith("id;text;predicted_label")


def test_what_cannot_be_written_is_found_before_labelling(classify: Run) -> None:
    result = classify("--input", "reviews.jsonl", "--output", "out.txt")
    assert result.exit_code == 2
    assert "expected one of" in " ".join(result.output.split())
    result = classify("--input", "reviews.jsonl", "--output", "out.jsonl", "--excel")
    assert result.exit_code == 2
    assert "no table for a spreadsheet" in " ".join(result.output.split())
    write_rows("long.jsonl", [{"text": "fine", "note": "x" * 40_000}])
    result = classify("--input", "long.jsonl", "--output", "out.xlsx", "--model", "no-such-model")
    assert result.exit_code == 1
    assert "32,767 characters in 'note'" in " ".join(result.output.split())


def test_every_command_takes_a_former_output(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    options = ("--shots", 1, "--model", tiny_model_folder, "--excel", "--output")
    taken = {"predicted_value": 1, "predicted_labels": "x", "ranking": "r", "intent": "i", "reply": "y"}
    write_rows("new.csv", [{"text": "fine", **taken}])
    write_rows("rated.csv", [{"text": f"review {i}", "label": f"{i % 5 + 1},0"} for i in range(10)])
    write_rows("tagged.csv", [{"text": f"评论{i}", "label": "price|quality" if i % 2 else ""} for i in range(6)])
    write_rows("answers.csv", [{"intent": "positive", "reply": "Thanks"}, {"intent": "negative", "reply": "Sorry"}])
    choice = {"history": "cup|spoon", "candidates": "saucer|nail"}
    write_rows("choices.csv", [choice | {"history": f"cup {i}", "label": "saucer"} for i in range(3)])
    write_rows("visits.csv", [choice | {"ranking": "mine"}])
    new = ("--input", "new.csv")
    for arguments, column in [
        (("regress", "review-rating", "--support", "rated.csv", *new, *options, "1.csv"), "predicted_value_2"),
        (("tag", "review-aspects", "--support", "tagged.csv", *new, *options, "2.csv"), "predicted_labels_2"),
        (("rank", "--support", "choices.csv", "--input", "visits.csv", *options, "3.csv"), "ranking_2"),
        (
            (
                *("reply", "review-sentiment", "--support", "support.csv", "--answers", "answers.csv"),
                *(*new, *options, "4.csv"),
            ),
            "reply_2",
        ),
    ]:
        result = run(*arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        assert column in result.stderr
        (row,) = csv.DictReader(io.StringIO(Path(arguments[-1]).read_text("utf-8-sig"), newline=""))
        given = read_rows("visits.csv" if arguments[0] == "rank" else "new.csv")[0]
        assert given.items() <= row.items()
        assert column in row


COMMAS = """minutes,basket,label
"2,5","19,90",no_purchase
"31,0","249,00",purchase
"4,2","15,50",no_purchase
"25,9","1.199,00",purchase
"""


def test_facts_reads_decimal_commas(run: Run, shop: Path) -> None:
    Path("visits.csv").write_text(COMMAS, encoding="utf-8")
    options = ("--support", "visits.csv", "--input", "visits.csv", "--columns", "minutes,basket", "--bins", 2)
    assert run("facts", *options, "--output", "said.csv").exit_code == 0
    rows = read_rows("said.csv")
    assert [row["text"] for row in rows] == [
        "minutes: 2.5 (low); basket: 19.9 (low)",
        "minutes: 31 (high); basket: 249 (high)",
        "minutes: 4.2 (low); basket: 15.5 (low)",
        "minutes: 25.9 (high); basket: 1199 (high)",
    ]
    assert [row["basket"] for row in rows] == ["19,90", "249,00", "15,50", "1.199,00"]
    again = run("facts", "--support", "visits.csv", "--input", "said.csv", "--columns", "minutes", "--output", "2.csv")
    assert again.exit_code == 0
    assert "text_2" in again.stderr
    assert read_rows("2.csv")[0]["text"] == rows[0]["text"]


def test_numbers_that_can_be_read_both_ways_are_refused(run: Run, shop: Path) -> None:
    write_rows("visits.csv", [{"price": "1,234"}, {"price": "5,678"}])
    options = ("facts", "--support", "visits.csv", "--input", "visits.csv", "--columns", "price", "--output", "out.csv")
    result = run(*options)
    assert result.exit_code == 1
    assert "can be read as 1234 or as 1.234" in " ".join(result.output.split())
    assert not Path("out.csv").exists()
    assert run(*options, "--decimal", ",").exit_code == 0
    assert read_rows("out.csv")[0]["text"].startswith("price: 1.234 ")


def test_regress_reads_decimal_commas(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    write_rows("rated.csv", [{"text": f"review {i}", "stars": f"{i % 5 + 1},0"} for i in range(10)])
    options = ("--support", "rated.csv", "--label-column", "stars", "--input", "reviews.jsonl", "--output", "out.xlsx")
    result = run("regress", "review-rating", *options, "--shots", 1, "--model", tiny_model_folder)
    assert result.exit_code == 0, result.output
    header, *rows = openpyxl.load_workbook("out.xlsx").active.iter_rows(values_only=True)
    assert header[-3:] == ("predicted_value", "low", "high")
    assert all(1 <= row[-3] <= 5 for row in rows)
