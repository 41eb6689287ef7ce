"""`classify` and `batch` with something kept back, and `reply`: what is written, what is said, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fewshot_llm.files import read_rows, write_rows
from tests.cli.conftest import Run

ROWS = [
    {"text": f"{word} {thing} number {number}", "label": label}
    for number in range(5)
    for thing in ("parcel", "shop", "seller")
    for word, label in (("good", "positive"), ("bad", "negative"), ("nice", "positive"), ("broken", "negative"))
]


@pytest.fixture
def classify(run: Run, shop: Path, tiny_model_folder: Path) -> Run:
    write_rows("many.jsonl", ROWS)
    (shop / "costs.toml").write_text(
        "[costs.positive]\nnegative = 1\n[costs.negative]\npositive = 5\n", encoding="utf-8"
    )
    fixed = ("review-sentiment", "--support", "many.jsonl", "--shots", "1", "--model", tiny_model_folder)
    return lambda command, *arguments: run(command, *fixed, *arguments)


def test_classify_keeps_back_and_says_why(classify: Run) -> None:
    result = classify(
        "classify", "--input", "reviews.jsonl", "--output", "out.jsonl", "--max-error", "0.05", "--out-of-scope", "0.1"
    )
    assert result.exit_code == 0, result.output
    rows = read_rows("out.jsonl")
    assert all((row["predicted_label"] is None) == (row["reason"] is not None) for row in rows)
    assert "at most 5.0% errors with 90% confidence" in result.stderr
    assert "kept back" in result.stderr


def test_summary_reports_coverage(classify: Run) -> None:
    options = ("--max-error", "0.3", "--json")
    result = classify("classify", "--input", "reviews.jsonl", "--output", "out.jsonl", *options)
    assert result.exit_code == 0, result.output
    contract = json.loads(result.stdout)["contract"]
    assert contract["rows"] == 60
    assert 0 <= contract["coverage"] <= 1


def test_costs_decide(classify: Run) -> None:
    assert classify("classify", "--input", "reviews.jsonl", "--output", "a.jsonl").exit_code == 0
    result = classify("classify", "--input", "reviews.jsonl", "--output", "b.jsonl", "--costs", "costs.toml")
    assert result.exit_code == 0, result.output
    assert [row["reason"] for row in read_rows("b.jsonl")] == [None] * 3


def test_rows_of_their_own(classify: Run) -> None:
    write_rows("own.jsonl", [{**row, "text": f"{row['text']} again"} for row in ROWS])
    options = ("--max-error", "0.05", "--calibration-rows", "own.jsonl")
    assert classify("classify", "--input", "reviews.jsonl", "--output", "out.jsonl", *options).exit_code == 0
    leaking = classify(
        "classify", "--input", "reviews.jsonl", "--output", "b.jsonl", "--max-error", "0.05",
        "--calibration-rows", "many.jsonl",
    )  # fmt: skip
    assert leaking.exit_code == 1
    assert "are in the support set" in leaking.stderr


def test_batch_writes_no_label_but_a_reason(classify: Run) -> None:
    result = classify(
        "batch", "--input", "reviews.jsonl", "--output", "out", "--format", "jsonl", "--max-error", "0.05"
    )
    assert result.exit_code == 0, result.output
    rows = [row for shard in sorted(Path("out").glob("shard-*.jsonl")) for row in read_rows(shard)]
    assert len(rows) == 3
    assert all((row["predicted_label"] is None) == row["abstained"] == (row["reason"] is not None) for row in rows)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--support", "support.csv", "--max-error", "0.05"), 1, "at least 45 are needed"),
        (("--max-error", "5"), 2, "5 is no share between 0 and 1"),
        (("--out-of-scope", "0"), 2, "0 is no share between 0 and 1"),
        (("--calibration-rows", "support.csv"), 2, "only --max-error is fitted on rows of their own"),
        (("--support", "support.csv", "--out-of-scope", "0.01"), 1, "at least 99 are needed"),
    ],
)
def test_refused(classify: Run, options: tuple[str, ...], code: int, said: str) -> None:
    result = classify("classify", "--input", "reviews.jsonl", "--output", "out.jsonl", *options)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())
    assert not Path("out.jsonl").exists()


def test_negative_costs_are_refused(classify: Run, shop: Path) -> None:
    (shop / "costs.toml").write_text("[costs.positive]\nnegative = -1\n", encoding="utf-8")
    result = classify("classify", "--input", "reviews.jsonl", "--output", "out.jsonl", "--costs", "costs.toml")
    assert result.exit_code == 1
    assert "nothing of saying 'positive' of a row that is 'negative'" in " ".join(result.stderr.split())


class TestReply:
    @pytest.fixture
    def reply(self, run: Run, shop: Path, tiny_model_folder: Path) -> Run:
        labels = ("order/cancel", "order/track", "refund/ask")
        write_rows("intents.jsonl", [{"text": f"{label} {n}", "label": label} for label in labels for n in range(8)])
        (shop / "answers.csv").write_text(
            "intent,reply\norder/cancel,请点“取消”。\nrefund/ask,24 h\n", encoding="utf-8"
        )
        fixed = ("reply", "customer-intent", "--support", "intents.jsonl", "--answers", "answers.csv", "--shots", "1")
        ends = ("--model", tiny_model_folder, "--input", "reviews.jsonl", "--output", "out.jsonl")
        return lambda *arguments: run(*fixed, *ends, *arguments)

    @pytest.mark.parametrize("options", [(), ("--by-level",), ("--out-of-scope", "0.1")])
    def test_replies_come_from_the_table(self, reply: Run, options: tuple[str, ...]) -> None:
        result = reply("--min-confidence", "0", *options)
        assert result.exit_code == 0, result.output
        assert "No reply to the intent order/track" in result.stderr
        for row in read_rows("out.jsonl"):
            assert (row["reply"] is None) == (row["hand_over"] is not None)
            assert row["reply"] in (None, "请点“取消”。", "24 h")

    def test_everything_is_handed_over_below_the_confidence(self, reply: Run) -> None:
        assert reply("--min-confidence", "1").exit_code == 0
        assert {row["hand_over"] for row in read_rows("out.jsonl")} == {"unsure"}

    def test_scope_is_for_one_level(self, reply: Run) -> None:
        result = reply("--by-level", "--out-of-scope", "0.1")
        assert result.exit_code == 2
        assert "label such rows out_of_scope" in " ".join(result.stderr.split())
