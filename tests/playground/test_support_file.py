"""A support file that people correct: every format, undo, and what must not be lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fewshot_llm import load_task
from fewshot_llm.data import Example
from fewshot_llm.errors import SupportError
from fewshot_llm.files import read_rows, write_rows
from fewshot_llm.playground import SupportFile

TASK = load_task("review-sentiment")
ROWS = [
    {"id": "7", "评论": "很好，喜欢", "情感": "positive"},
    {"id": "8", "评论": "太差了，退货", "情感": "negative"},
    {"id": "9", "评论": "很好， 喜欢", "情感": "positive"},
]


@pytest.fixture(params=["csv", "tsv", "jsonl", "parquet"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> SupportFile:
    path = tmp_path / f"support.{request.param}"
    write_rows(path, ROWS)
    return SupportFile(path, TASK)


def test_a_new_text_is_added_in_the_files_own_columns(file: SupportFile) -> None:
    file.put(Example.of("物流慢，失望"), "negative")
    rows = read_rows(file.path)
    assert rows[:3] == ROWS
    assert (rows[3]["评论"], rows[3]["情感"]) == ("物流慢，失望", "negative")
    assert len(file.read()) == 4  # the two alike are not the same text: a space stands between


def test_a_known_text_changes_its_label_only(file: SupportFile) -> None:
    file.put(Example.of("太差了，退货 "), "positive")
    assert read_rows(file.path) == [ROWS[0], {**ROWS[1], "情感": "positive"}, ROWS[2]]


def test_undo_gives_back_the_very_bytes(file: SupportFile) -> None:
    before = file.path.read_bytes()
    file.put(Example.of("一"), "positive")
    between = file.path.read_bytes()
    file.put(Example.of("二"), "negative")
    assert file.changes == 2
    assert file.undo()
    assert file.path.read_bytes() == between
    assert file.undo()
    assert file.path.read_bytes() == before
    assert not file.undo()


def test_undo_does_not_lose_somebody_elses_work(file: SupportFile) -> None:
    file.put(Example.of("一"), "positive")
    file.path.write_bytes(file.path.read_bytes() + b"\n")
    theirs = file.path.read_bytes()
    with pytest.raises(SupportError, match="another program"):
        file.undo()
    assert file.path.read_bytes() == theirs


@pytest.mark.parametrize(("text", "label", "said"), [(" ", "positive", "no text"), ("好", "postive", "positive")])
def test_nothing_is_written_for_nonsense(file: SupportFile, text: str, label: str, said: str) -> None:
    before = file.path.read_bytes()
    with pytest.raises(SupportError, match=said):
        file.put(Example.of(text), label)
    assert file.path.read_bytes() == before
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]


def test_told_columns(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", [{"body": "good", "truth": "positive"}, {"body": "bad", "truth": "negative"}])
    file = SupportFile(tmp_path / "a.csv", TASK, {"text": "body", "label": "truth"})
    file.put(Example.of("fine"), "positive")
    assert read_rows(file.path)[-1] == {"body": "fine", "truth": "positive"}


def test_two_pages_correct_one_file_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "support.csv"
    write_rows(path, ROWS)
    code = """
import sys
from pathlib import Path
from fewshot_llm import load_task
from fewshot_llm.playground import SupportFile
from fewshot_llm.data import Example
file = SupportFile(Path(sys.argv[1]), load_task("review-sentiment"))
for number in range(15):
    file.put(Example.of(f"text {number} of {sys.argv[2]}"), "negative")
"""
    pages = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in ("one", "two")]
    assert [page.wait(120) for page in pages] == [0, 0]
    assert len(read_rows(path)) == 3 + 2 * 15
    assert [found.name for found in tmp_path.iterdir()] == ["support.csv"]


def test_spellings_are_merged_on_every_reading(tmp_path: Path) -> None:
    path = tmp_path / "support.csv"
    write_rows(path, [{"text": text, "label": label} for text, label in zip("abcd", ["A-B", "a_b", "c", "a_b"])])
    task = load_task("customer-intent").with_labels(("a_b", "c"))
    assert len(SupportFile(path, task, merge_labels=True).read()) == 4
    assert len(SupportFile(path, task).read()) == 3


def test_a_correction_goes_into_the_column_that_labels_are_read_from(tmp_path: Path) -> None:
    """`category` is a usual name of the label too, but the task's own word goes before it."""
    path = tmp_path / "support.csv"
    write_rows(path, [{"text": t, "category": "mugs", "sentiment": label} for t, label in zip("ab", TASK.labels)])
    file = SupportFile(path, TASK)
    file.put(Example.of("a"), TASK.labels[1])
    assert read_rows(path)[0] == {"text": "a", "category": "mugs", "sentiment": TASK.labels[1]}
