"""`Task`, its file, and the words of its labels."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from fewshot_llm.data import (
    Task,
    detect_language,
    list_tasks,
    load_task,
    normalise_text,
    prompts_folder,
    readable_label,
)
from fewshot_llm.errors import TaskError

LABELS = st.lists(
    st.from_regex(r"[A-Za-z][A-Za-z_/-]{0,8}", fullmatch=True), min_size=1, max_size=6, unique_by=normalise_text
)


def written(folder: Path, text: str) -> Path:
    (folder / "task.toml").write_text(text, encoding="utf-8")
    return folder


def test_built_in_families() -> None:
    assert {"customer-intent", "review-sentiment"} <= set(list_tasks())
    review = load_task("review-sentiment")
    assert review.labels == ("positive", "negative")
    assert review.optional_labels == ("neutral",)
    assert review.words("zh") == {"positive": "正面", "negative": "负面"}
    assert review.folder == prompts_folder() / "review-sentiment"
    assert load_task("customer-intent").labels == ()


def test_own_folder_works_by_path_as_a_built_in_one_by_name(tmp_path: Path) -> None:
    source = (prompts_folder() / "review-sentiment" / "task.toml").read_text(encoding="utf-8")
    own = load_task(written(tmp_path, source))
    assert own.model_copy(update={"folder": None}) == load_task("review-sentiment").model_copy(update={"folder": None})
    assert own.folder == tmp_path
    assert load_task(tmp_path / "task.toml") == own
    assert load_task(str(tmp_path)) == own


def test_byte_order_mark_and_defaults(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_text('labels = ["a", "b"]', encoding="utf-8-sig")
    task = load_task(tmp_path)
    assert (task.name, task.kind, task.languages, task.fields) == (tmp_path.name, "classification", ("en",), ("text",))


def test_unknown_task_names_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"'review-sentimnt'.*Did you mean review-sentiment"):
        load_task("review-sentimnt")


def test_folder_without_a_task(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"has no task.toml"):
        load_task(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('lables = ["a", "b"]', "unknown key 'lables'.*Did you mean labels"),
        ('folder = "/"\nlabels = ["a", "b"]', "unknown key 'folder'"),
        ('name = "x"', "no labels.*rows"),
        ("labels = []", "no labels"),
        ('labels = ["a", "A"]', "two label values that read alike"),
        ('labels = ["a", ""]', "label of the task .* is ''"),
        ('labels = "a"', "labels is 'a'"),
        ('kind = "guess"\nlabels = ["a", "b"]', "kind is 'guess'"),
        ('labels = ["a", "b"]\n[label_words.en]\na = "x"\nb = "Ｘ"', "read alike: 'x' and 'Ｘ'"),
        ('labels = ["a", "b"]\n[label_words.en]\na = "b"', "read alike"),
        ('labels = ["a", "b"]\n[label_words.en]\na = " "', "entry of the task .* is ' '"),
        ('labels = ["a", "b"]\n[label_descriptions.en]\nc = "x"', r"\[label_descriptions.en\].*describes 'c'"),
        ('labels = ["a", "b"]\n[label_descriptions.zh]\na = "x"', r"\[label_descriptions\].*language 'zh'"),
        ('labels = ["a", "b"]\n[label_descriptions.en]\na = "x\\ny"', "'a': the description is 'x.*expected words"),
        ('labels = ["a", "b"]\n[label_descriptions.en]\na = ""', "'a': the description is ''; expected words"),
        (f'labels = ["a", "b"]\n[label_descriptions.en]\na = "{"x" * 1001}"', "has 1,001 characters; at most 1,000"),
        ('labels = ["a", "b"]\n[label_descriptions]\na = "x"', r"label_descriptions.a is 'x'"),
        ('labels = ["a", "b"]\n[label_words.en]\na = "x\\ny"', "expected words without white space"),
        ('labels = ["a", "b"]\n[label_words.en]\nc = "x"', "'c', which is not a label"),
        ('labels = ["a", "b"]\n[label_words.zh]\na = "x"', "language 'zh', which is not one"),
        ('labels = ["a", "b"]\n[instruction]\nzh = "x"', "language 'zh', which is not one"),
        ('labels = ["a", "b"]\nlanguages = []', "no language"),
        ('labels = ["a", "b"]\nfields = ["a-b"]', "cannot be used in a template"),
        ('labels = ["a", "b"]\nfields = ["label"]', "not the name “label”"),
        ('labels = ["a", "b"]\noptional_fields = ["text"]', "not all, of its fields"),
        ("labels = [", "not valid TOML"),
    ],
)
def test_bad_file_is_one_readable_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TaskError, match=message) as caught:
        load_task(written(tmp_path, text))
    assert str(tmp_path) in str(caught.value)


def test_numbers_and_orders_need_no_labels(tmp_path: Path) -> None:
    assert load_task(written(tmp_path, 'kind = "regression"')).labels == ()


def test_words_of_a_language_it_does_not_speak() -> None:
    with pytest.raises(TaskError, match="no language 'fr'"):
        load_task("review-sentiment").words("fr")


def test_optional_label_comes_last_and_only_once() -> None:
    wider = load_task("review-sentiment").with_optional("neutral")
    assert wider.labels == ("positive", "negative", "neutral")
    assert wider.words("zh")["neutral"] == "中性"
    with pytest.raises(TaskError, match="not an optional label"):
        wider.with_optional("neutral")


def test_labels_from_rows_with_some_words() -> None:
    task = load_task("customer-intent").with_labels(["cancel_order", "get_refund"], {"get_refund": "退款"})
    assert task.words("zh") == {"cancel_order": "cancel order", "get_refund": "退款"}
    assert task.words("en") == task.words("zh")


@pytest.mark.parametrize(
    ("labels", "words", "message"),
    [
        (["a", "a"], None, "read alike"),
        (["a", " "], None, "is ' '"),
        (["a", "b"], {"c": "x"}, "'c', which is not a label"),
        (["a", "b"], {"a": "x", "b": "x"}, "read alike"),
    ],
)
def test_bad_labels(labels: list[str], words: dict[str, str] | None, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load_task("customer-intent").with_labels(labels, words)


def test_labels_that_read_alike_keep_their_names() -> None:
    assert Task(name="x", labels=("a_b", "a-b", "c_d")).words("en") == {"a_b": "a_b", "a-b": "a-b", "c_d": "c d"}


@given(LABELS)
def test_every_label_has_words_of_its_own(labels: list[str]) -> None:
    words = Task(name="x", labels=tuple(labels)).words("en")
    assert list(words) == labels
    assert len({normalise_text(word) for word in words.values()}) == len(labels)


def test_descriptions_stay_with_their_labels() -> None:
    told = {"en": {"b": "the second", "a": "the first", "c": "the third"}}
    task = Task(name="t", labels=("a", "b"), optional_labels=("c",), label_descriptions=told)
    assert list(task.descriptions("en").items()) == [("a", "the first"), ("b", "the second")]
    assert task.with_optional("c").descriptions("en")["c"] == "the third"
    fewer = task.with_labels(["b", "d"], descriptions={"d": "the fourth"})
    assert fewer.descriptions("en") == {"b": "the second", "d": "the fourth"}
    assert Task(**fewer.model_dump(mode="json")) == fewer
    with pytest.raises(TaskError, match="Label descriptions are given for 'x', which is not a label"):
        task.with_labels(["a", "b"], descriptions={"x": "nothing"})


def test_task_is_frozen_and_can_be_pickled() -> None:
    task = load_task("review-sentiment")
    assert pickle.loads(pickle.dumps(task)) == task
    with pytest.raises(ValueError, match="frozen"):
        task.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("cancel_order", "cancel order"),
        ("alarm/set_alarm", "alarm: set alarm"),
        ("Refund_not_showing_up", "Refund not showing up"),
        ("AddToPlaylist", "add to playlist"),
        ("CANCEL_ORDER", "cancel order"),
        ("iPhone 15", "iPhone 15"),
        ("取消订单", "取消订单"),
        ("___", "___"),
    ],
)
def test_readable_label(label: str, words: str) -> None:
    assert readable_label(label) == words


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["质量很好"], "zh"),
        (["iPhone 15 Pro 手机壳不错"], "zh"),
        (["good", "很"], "zh"),
        (["It arrived late, 太差"], "en"),
        (["12345 !!!"], "zh"),
        ([], "zh"),
    ],
)
def test_detect_language(texts: list[str], language: str) -> None:
    assert detect_language(texts, ("zh", "en")) == language


def test_detect_language_stays_within_what_is_offered() -> None:
    assert detect_language(["good"], ("zh",)) == "zh"
    assert detect_language(["好"], ("en", "de")) == "en"


def test_examples_belong_to_labels() -> None:
    task = Task(name="t", labels=("a", "b", "c"), examples={"a": ("one", "two"), "c": ("three",)})
    assert task.with_labels(["b", "c"]).examples == {"c": ("three",)}
    assert Task(**task.model_dump(mode="json")) == task
    with pytest.raises(TaskError, match=r"\[examples\].*has texts for 'd', which is not a label"):
        Task(name="t", labels=("a", "b"), examples={"d": ("one",)})
    with pytest.raises(TaskError, match=r"\[examples\].*'a' has an empty text, or none"):
        Task(name="t", labels=("a", "b"), examples={"a": ("one", " ")})
