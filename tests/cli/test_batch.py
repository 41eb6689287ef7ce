"""`fewshot-llm batch` with a tiny model: files of any kind in, shards out, exit codes, forecasts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.batch.helpers import contents, read_errors, read_shards, write_jsonl
from tests.cli.conftest import Run


@pytest.fixture
def batch(run: Run, shop: Path, tiny_model_folder: Path) -> Run:
    """`batch` with the tiny model in the shop's folder."""
    task = ("batch", "review-sentiment", "--support", "support.csv", "--shots", "1", "--model", tiny_model_folder)
    return lambda *arguments: run(*task, *arguments)


def test_labels_a_folder_and_says_what_came_out(batch: Run, shop: Path) -> None:
    (shop / "in").mkdir()
    write_jsonl(shop / "in" / "a.jsonl", [{"text": f"broken {i}"} for i in range(5)])
    (shop / "in" / "b.csv").write_text("text,stars\nfine,5\nlate,1\n")
    result = batch("--input", "in", "--output", "out")
    assert result.exit_code == 0, result.output
    assert "7 rows in, 7 labelled" in result.stdout
    assert [row["text"] for row in read_shards(shop / "out")] == [*(f"broken {i}" for i in range(5)), "fine", "late"]


def test_errors_fail_the_command_unless_tolerated(batch: Run, shop: Path) -> None:
    write_jsonl(shop / "in.jsonl", [{"text": "fine"}, {"text": ""}, {"text": 3}])
    result = batch("--input", "in.jsonl", "--output", "out")
    assert result.exit_code == 1
    assert "empty-text 1, not-a-string 1" in result.stdout
    assert batch("--input", "in.jsonl", "--output", "out", "--resume", "--tolerate", "2").exit_code == 0


def test_resume_refuses_another_prompt(batch: Run, shop: Path) -> None:
    assert batch("--input", "reviews.jsonl", "--output", "out").exit_code == 0
    before = contents(shop / "out")
    again = batch("--input", "reviews.jsonl", "--output", "out", "--resume")
    assert again.exit_code == 0
    assert "in error; nothing was left to do → out" in again.stdout
    assert contents(shop / "out") == before
    result = batch("--input", "reviews.jsonl", "--output", "out", "--resume", "--seed", "1")
    assert result.exit_code == 1
    assert "labeller.prompt was" in result.stderr
    assert "--resume" in batch("--input", "reviews.jsonl", "--output", "out").stderr


def test_dry_run_counts_and_prices_without_writing(batch: Run, shop: Path) -> None:
    write_jsonl(shop / "in.jsonl", [{"text": f"arrived late {i}" if i else ""} for i in range(50)])
    price = ("--price-per-million-tokens", "2")
    result = batch("--input", "in.jsonl", "--output", "out", "--dry-run", "--json", *price)
    assert result.exit_code == 0, result.output
    forecast = json.loads(result.stdout)
    assert (forecast["rows"], forecast["bad"], forecast["tokens_margin"]) == (50, 1, 0)
    assert forecast["price"] == pytest.approx(forecast["tokens"] * 2e-6)
    assert forecast["seconds"] > 0
    assert not (shop / "out").exists()
    assert "50 rows" in batch("--input", "in.jsonl", "--dry-run").stdout


def test_json_lines_and_prometheus(batch: Run, shop: Path) -> None:
    write_jsonl(shop / "in.jsonl", [{"text": f"arrived late {i}"} for i in range(25)])
    told = ("--json", "--prometheus", "batch.prom", "--rows-per-shard", "10", "--format", "jsonl")
    result = batch("--input", "in.jsonl", "--output", "out", *told)
    assert result.exit_code == 0, result.output
    *snapshots, summary = [json.loads(line) for line in result.stdout.splitlines()]
    assert [at["rows"] for at in snapshots if not at["scoring"]] == [10, 20, 25]
    assert summary["labelled"] == 25
    assert "fewshot_batch_rows 25\n" in (shop / "batch.prom").read_text()
    assert len(list((shop / "out").glob("shard-*.jsonl"))) == 3


def test_redaction_reaches_results_and_errors(batch: Run, shop: Path) -> None:
    pytest.importorskip("phonenumbers")
    rows = [{"text": "call 13800138000", "phone": 13800138000}, {"text": "", "email": "li@example.com"}]
    write_jsonl(shop / "in.jsonl", rows)
    batch("--input", "in.jsonl", "--output", "out", "--redact", "--format", "jsonl")
    written = b"".join(contents(shop / "out").values())
    assert b"13800138000" not in written
    assert b"li@example.com" not in written
    assert json.loads((shop / "out" / "manifest.json").read_text())["redacted"] == {"email": 1, "phone": 2}


def test_a_saved_classifier_needs_no_support(run: Run, batch: Run, shop: Path, tiny_model_folder: Path) -> None:
    from fewshot_llm import FewShotClassifier

    texts, labels = ["very good", "never again"], ["positive", "negative"]
    classifier = FewShotClassifier("review-sentiment", str(tiny_model_folder), shots=1, language="en")
    classifier.fit(texts, labels).save(shop / "saved")
    result = run("batch", "review-sentiment", "--adapter", "saved", "--input", "reviews.jsonl", "--output", "out")
    assert result.exit_code == 0, result.output
    assert len(read_shards(shop / "out")) == 3
    other = run("batch", "customer-intent", "--adapter", "saved", "--input", "reviews.jsonl", "--output", "out2")
    assert other.exit_code == 1
    assert "made for the task review-sentiment" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--input", "nowhere.jsonl", "--output", "out"), "no input at nowhere.jsonl"),
        (("--input", "support.csv"), "--output DIR"),
        (("--input", "notes.txt", "--output", "out"), "ending that is not known"),
    ],
)
def test_bad_use_is_told_before_any_work(batch: Run, shop: Path, arguments: tuple[str, ...], said: str) -> None:
    (shop / "notes.txt").write_text("x")
    result = batch(*arguments)
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert not (shop / "out").exists()


def test_errors_say_where_a_row_stands(batch: Run, shop: Path) -> None:
    (shop / "in.jsonl").write_bytes(b'{"text": "a"}\n\n{"text": "b"\n{"text": "c"}\n')
    batch("--input", "in.jsonl", "--output", "out")
    assert [(e["file"], e["line"], e["row"]) for e in read_errors(shop / "out")] == [("in.jsonl", 3, 1)]


def test_a_second_job_is_refused_before_a_model_is_loaded(batch: Run, run: Run, shop: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from fewshot_llm.batch import job_lock

    with ThreadPoolExecutor(1) as pool:
        with job_lock(shop / "out"):
            told = ("batch", "review-sentiment", "--support", "support.csv", "--model", "no-such-model")
            result = pool.submit(run, *told, "--input", "reviews.jsonl", "--output", "out").result()
        assert result.exit_code == 1
        assert "The output folder out is in use by process" in result.stderr
        assert not (shop / "out").exists()
    assert batch("--input", "reviews.jsonl", "--output", "out").exit_code == 0


def test_an_input_that_changes_fails_the_command(batch: Run, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fewshot_llm.batch import runner

    finish = runner.finish_job

    def changed(*given: object) -> object:
        write_jsonl(shop / "in.jsonl", [{"text": "quite another"}])
        return finish(*given)  # type: ignore[arg-type]

    write_jsonl(shop / "in.jsonl", [{"text": "fine"}, {"text": "late"}])
    monkeypatch.setattr(runner, "finish_job", changed)
    result = batch("--input", "in.jsonl", "--output", "out", "--tolerate", "5", "--json")
    assert result.exit_code == 1
    assert "in.jsonl changed while the job ran" in result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["input_changed"]
    assert json.loads((shop / "out" / "manifest.json").read_text())["input_changed"][0]["file"] == "in.jsonl"


def test_word_counts_label_and_go_on(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    """What answers is named in the job, so that another one does not go on with it."""
    task = ("batch", "review-sentiment", "--support", "support.csv", "--model", tiny_model_folder)
    told = (*task, "--input", "reviews.jsonl", "--output", "out", "--json")
    result = run(*told, "--only", "words")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout.splitlines()[-1])
    assert (summary["labelled"], summary["shots"], summary["rung"]) == (3, None, "words")
    assert run(*told, "--only", "words", "--resume").exit_code == 0
    other = run(*told, "--only", "encoder", "--resume")
    assert other.exit_code == 1
    assert "labeller.predictor was" in other.stderr


def test_labels_alone_are_enough(run: Run, shop: Path, tiny_model_folder: Path) -> None:
    (shop / "labels.toml").write_text('labels = ["refund", "praise"]', encoding="utf-8")
    asked = ("batch", "customer-intent", "--labels", "labels.toml", "--model", tiny_model_folder)
    result = run(*asked, "--input", "reviews.jsonl", "--output", "out")
    assert result.exit_code == 0, result.output
    assert {row["predicted_label"] for row in read_shards(shop / "out")} <= {"refund", "praise"}
