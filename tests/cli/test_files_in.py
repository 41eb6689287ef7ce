"""What people have in their files, through every command: read the same, or refused with a line and a cure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fewshot_llm.data import list_tasks, load_task
from tests.batch.helpers import read_errors, read_shards
from tests.cli.conftest import Run
from tests.files.test_rows_in import AMAZON, GBK_ROW, SUPPORT

INPUTS: dict[str, tuple[str, bytes, list[str | None]]] = {
    "unclosed quote": (
        "in.csv",
        b'id,text\n1,Fast shipping\n2,"Good value for the price\n3,Arrived broken\n4,Love it\n5,Seams came apart\n',
        ["1", "2", "3", "4", "5"],
    ),
    "unclosed quote among quotes": ("in.csv", b'id,text\n1,"Fast, good"\n2,"Good\n3,Broken\n', ["1", None, "3"]),
    "one row in another encoding": ("in.csv", GBK_ROW, ["1", None, "3"]),
    "UTF-16": ("in.csv", "id,text\n1,Fast shipping\n2,Arrived broken\n".encode("utf-16"), ["1", "2"]),
    "space in the header": ("in.csv", b"id, text\n1,Fast shipping\n2,Arrived broken\n", ["1", "2"]),
    "tabs and inches": ("in.tsv", AMAZON.replace("review_id", "id").encode(), ["R1", "R2", "R3", "R4", "R5", "R6"]),
    "semicolons": ("in.csv", b"id;review\n1;Fast, good\n2;late\n", ["1", "2"]),
    "trailing columns": ("in.csv", b"id,text,,\n1,good,,\n2,late,,\n", ["1", "2"]),
    "repeated header that nobody needs": ("in.csv", b"id,text,n,n\n1,good,a,b\n2,late,c,d\n", ["1", "2"]),
    "JSON array": ("in.json", b'[{"id": "1", "text": "good"}, {"id": "2", "text": "late"}]', ["1", "2"]),
    "broken JSON line": (
        "in.jsonl",
        b'{"id": "1", "text": "a"}\n{"id": "2"\n{"id": "3", "text": "b"}\n',
        ["1", None, "3"],
    ),
    "what is no text": (
        "in.jsonl",
        b"".join(
            b'{"id": "%d", "text": %s}\n' % row
            for row in enumerate((b'"good"', b"5", b"true", b'["a"]', b'{"a": 1}', b"NaN", b'"\\u0007"', b'"late"'))
        ),
        ["0", *[None] * 6, "7"],
    ),
    "NUL": ("in.csv", b"id,text\n1,good\n2,la\x00te\n", ["1", None]),
}


@pytest.fixture
def call(run: Run, shop: Path, tiny_model_folder: Path) -> Run:
    """A command on the tiny model with the shop's support file."""
    (shop / "support.csv").write_text(SUPPORT, encoding="utf-8")
    options = ("--support", "support.csv", "--shots", "1", "--model", tiny_model_folder)
    return lambda command, *arguments: run(command, "review-sentiment", *options, *arguments)


@pytest.mark.parametrize("case", INPUTS)
def test_classify_and_batch_label_the_same_rows(call: Run, shop: Path, case: str) -> None:
    name, content, labelled = INPUTS[case]
    (shop / name).write_bytes(content)
    bad = [position for position, id_ in enumerate(labelled) if id_ is None]
    result = call("classify", "--input", name, "--output", "out.jsonl")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (shop / "out.jsonl").read_bytes().decode("utf-8", "replace").splitlines()]
    assert len(rows) == len(labelled)
    assert [row["id"] if row["predicted_label"] else None for row in rows] == labelled
    for position in bad:
        row = f"row {position + 1}"
        assert any(said in result.stderr for said in (f"{row} (line", f"{row} has no label", f"without a label: {row}"))
    result = call("batch", "--input", name, "--output", "out")
    assert result.exit_code == bool(bad), result.output
    assert [row["id"] for row in read_shards(shop / "out")] == [id_ for id_ in labelled if id_ is not None]
    assert [error["row"] for error in read_errors(shop / "out")] == bad


@pytest.mark.parametrize("command", ["classify", "batch"])
def test_a_repeated_header_that_is_needed_is_refused(call: Run, shop: Path, command: str) -> None:
    (shop / "in.csv").write_text("id,text,text\n1,Fast shipping,Arrived broken\n", encoding="utf-8")
    result = call(command, "--input", "in.csv", "--output", "out.jsonl")
    assert result.exit_code == 1
    assert "more than one column named 'text'" in result.stderr


@pytest.mark.parametrize("command", ["classify", "batch"])
def test_each_file_may_name_its_own_columns(call: Run, shop: Path, command: str) -> None:
    (shop / "in.csv").write_text("id,what\n1,Fast shipping\n", encoding="utf-8")
    said = call(command, "--input", "in.csv", "--output", "no.jsonl")
    assert said.exit_code == 1
    assert "No column for 'text'" in said.stderr
    assert call(command, "--input", "in.csv", "--output", "out.jsonl", "--text-column", "what").exit_code == 0
    wrong = call(
        command, "--input", "in.csv", "--output", "n.jsonl", "--text-column", "what", "--label-column", "lable"
    )
    assert wrong.exit_code == 1
    assert "No file has the column 'lable'" in wrong.stderr


def test_check_reads_what_the_others_read(run: Run, shop: Path) -> None:
    files = {
        "a.csv": SUPPORT.replace("Will order again, love it", "Will order again").replace(",", ";").encode(),
        "b.csv": SUPPORT.replace("\n", ",,\n").encode(),
        "c.csv": SUPPORT.encode("utf-16"),
        "d.csv": SUPPORT.replace("\n", ",x,y\n").replace("label,x,y", "label,n,n").encode(),
    }
    for name, content in files.items():
        (shop / name).write_bytes(content)
        report = json.loads(run("check", "review-sentiment", "--support", name, "--json").stdout)
        assert report["counts"] == {"positive": 3, "negative": 3}, name
    for content, said in (
        (SUPPORT.encode() + b'"Late,negative\nFine,positive\n', "line 8"),
        (SUPPORT.encode() + "太差了".encode("gbk") + b",negative\n", "line 8"),
        (SUPPORT.replace("text,label", "text,text").encode(), "more than one column named 'text'"),
    ):
        (shop / "e.csv").write_bytes(content)
        result = run("check", "review-sentiment", "--support", "e.csv")
        assert result.exit_code == 1
        assert said in result.stderr


@pytest.mark.parametrize(
    ("command", "kind"), [("regress", "regression"), ("tag", "multilabel"), ("rank", "ranking"), ("facts", None)]
)
def test_help_names_the_tasks_of_the_kind(run: Run, command: str, kind: str | None) -> None:
    said = " ".join(run(command, "--help").output.split())
    assert "review-sentiment" not in said
    for name in list_tasks():
        if load_task(name).kind == kind:
            assert name in said.replace("│ ", "")


@pytest.mark.parametrize(
    "command",
    [
        *("classify", "batch", "regress", "tag", "rank", "facts", "suggest", "reply", "check", "evaluate", "tune"),
        *("render", "explain", "attack", "play"),
    ],
)
def test_every_command_that_reads_rows_takes_delimiter_and_encoding(run: Run, command: str) -> None:
    said = run(command, "--help").output
    assert "--delimiter" in said
    assert "--encoding" in said
