"""A file of labels in place of a task's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from fewshot_llm.data import Task, load_task, with_label_file
from fewshot_llm.errors import TaskError


def labels(folder: Path, text: str) -> Path:
    (folder / "labels.toml").write_text(text, encoding="utf-8")
    return folder / "labels.toml"


def test_a_list_is_enough(tmp_path: Path) -> None:
    task = with_label_file(load_task("customer-intent"), labels(tmp_path, 'labels = ["refund", "out_of_scope"]'))
    assert task.labels == ("refund", "out_of_scope")
    assert task.words("zh") == {"refund": "refund", "out_of_scope": "其他问题"}
    assert task.descriptions("zh") == {}


def test_a_table_tells_what_labels_mean(tmp_path: Path) -> None:
    told = '[labels]\nrefund = "wants money back"\nother = ""\n[label_words.zh]\nrefund = "退款"\n'
    told += '[label_descriptions.zh]\nrefund = "顾客要求退款"'
    task = with_label_file(load_task("customer-intent"), labels(tmp_path, told))
    assert task.descriptions("en") == {"refund": "wants money back"}
    assert task.descriptions("zh") == {"refund": "顾客要求退款"}
    assert (task.words("zh")["refund"], task.words("en")["refund"]) == ("退款", "refund")


def test_without_languages_it_counts_for_all(tmp_path: Path) -> None:
    told = 'labels = ["a", "b"]\n[label_words]\na = "first"\n[label_descriptions]\nb = "the second"'
    task = with_label_file(load_task("customer-intent"), labels(tmp_path, told))
    for language in ("en", "zh"):
        assert task.words(language)["a"] == "first"
        assert task.descriptions(language) == {"b": "the second"}


def test_own_labels_can_be_described(tmp_path: Path) -> None:
    task = with_label_file(
        load_task("review-sentiment"), labels(tmp_path, '[label_descriptions.zh]\npositive = "满意"')
    )
    assert task.labels == ("positive", "negative")
    assert task.words("zh") == load_task("review-sentiment").words("zh")
    assert task.descriptions("zh") == {"positive": "满意"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels = [", "labels.toml is not valid TOML"),
        ("", "labels is None; expected two or more"),
        ('labels = "refund"', "labels is 'refund'; expected two or more"),
        ('labels = ["refund"]', "expected two or more"),
        ('labels = ["a", 1]', r"labels is \['a', 1\]; expected two or more"),
        ('labels = ["a", "A"]', "labels.toml: .*two label values that read alike"),
        ('lables = ["a", "b"]', "unknown key 'lables'. Did you mean labels"),
        ('labels = ["a", "b"]\nlabel_words = 3', "label_words is 3; expected a table"),
        ('labels = ["a", "b"]\n[label_words.fr]\na = "x"', "has 'fr' beside tables for languages.*speaks zh, en"),
        ('labels = ["a", "b"]\n[label_words]\nc = "x"', "has words for 'c', which is not a label"),
        ('labels = ["a", "b"]\n[label_descriptions]\nc = "x"', "describes 'c', which is not a label"),
        ('labels = ["a", "b"]\n[label_descriptions]\na = 3', "label_descriptions.zh.a is 3"),
        ('[labels]\na = "x\\ny"\nb = ""', "'a': the description is 'x\\\\ny'; expected words"),
    ],
)
def test_bad_file_is_one_readable_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        with_label_file(load_task("customer-intent"), labels(tmp_path, text))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"labels.toml cannot be read: No such file"):
        with_label_file(Task(name="t"), tmp_path / "labels.toml")
