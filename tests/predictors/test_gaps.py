"""Labels that are missing leave their rows out and are named; texts that are missing get no label where that can be."""

from __future__ import annotations

from decimal import Decimal

import datasets
import numpy as np
import pandas as pd
import polars
import pyarrow
import pytest

from fewshot_llm import FewShotClassifier, FewShotMultiLabelClassifier, FewShotRanker, FewShotRegressor, SupportSet
from fewshot_llm.data import Example, as_text, load_task, missing
from fewshot_llm.errors import SupportError
from fewshot_llm.files import is_missing, typed_value
from fewshot_llm.labelling import as_labels
from fewshot_llm.predictors import TitlePrompt, as_titles
from fewshot_llm.prompting import field_texts

TEXTS = ["很好，喜欢", "太差了，退货", "质量不错", "垃圾，退货", "会再买", "很差，失望"]
LABELS = ["positive", "negative"] * 3
GAPS = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), "", " \u3000"]
CHOICES = [{"history": ["tea cup"], "candidates": ["saucer", "hammer"]}] * 5


@pytest.mark.parametrize("gap", GAPS, ids=repr)
def test_a_missing_label_leaves_the_row_out_and_is_named(words, gap):
    for labels in ([*LABELS, gap], pd.Series([*LABELS, gap], dtype=object, index=range(50, 57))):
        with pytest.warns(UserWarning, match=r"1 rows without a label.* from 0: 6\."):
            classifier = FewShotClassifier(model=words, shots=1).fit([*TEXTS, "有点怪"], labels)
        assert classifier.classes_.tolist() == ["negative", "positive"]
        assert len(classifier.support_) == 6
    support = SupportSet.from_lists([*TEXTS, "有点怪"], [*LABELS, gap])
    assert support.labels == ("negative", "positive")
    assert [f.rows for f in support.report.findings if f.code == "missing-label"] == [(6,)]


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series(["positive", "negative", pd.NA] * 2, dtype="string"),
        pd.Series(["positive", "negative", None] * 2, dtype="category"),
        polars.Series(["positive", "negative", None] * 2),
        pyarrow.array(["positive", "negative", None] * 2),
        np.array(["positive", "negative", None] * 2, dtype=object),
        datasets.Dataset.from_dict({"label": ["positive", "negative", None] * 2})["label"],
    ],
    ids=lambda labels: type(labels).__module__,
)
def test_every_kind_of_column_with_gaps(words, labels):
    with pytest.warns(UserWarning, match="from 0: 2, 5"):
        classifier = FewShotClassifier(model=words, shots=1).fit(TEXTS, labels)
    assert classifier.classes_.dtype == np.dtype("<U8")
    assert classifier.predict(TEXTS).tolist() == LABELS


@pytest.mark.parametrize(
    ("given", "classes"),
    [
        (pd.Series([1, 0, pd.NA] * 2, dtype="Int64"), np.array([0, 1])),
        ([1.0, 0.0, float("nan")] * 2, np.array([0.0, 1.0])),
        ([True, False, None] * 2, np.array([False, True])),
        ([np.int64(7), np.int64(3), None] * 2, np.array([3, 7])),
    ],
)
def test_other_labels_than_texts_come_back_as_they_were(words, given, classes):
    names = {str(float(value)).removesuffix(".0") for value in classes} if classes.dtype != bool else {"True", "False"}
    with pytest.warns(UserWarning, match="from 0: 2, 5"):
        classifier = FewShotClassifier("customer-intent", words, shots=1).fit(TEXTS, given)
    assert classifier.classes_.dtype == classes.dtype
    assert classifier.classes_.tolist() == classes.tolist()
    assert set(classifier.labels_) == names
    assert set(classifier.predict(TEXTS).tolist()) <= set(classes.tolist())


def test_all_labels_missing(words):
    for estimator in (
        FewShotClassifier(model=words),
        FewShotRegressor(model=words),
        FewShotMultiLabelClassifier(model=words),
    ):
        with pytest.raises(SupportError, match="missing"):
            estimator.fit(TEXTS, [None, float("nan"), pd.NA] * 2)


def test_labels_are_understood_as_on_the_command_line(words, tmp_path):
    written = [" positive ", "Negative", "正面", "\u3000负面", "ＰＯＳＩＴＩＶＥ", "negative"]
    classifier = FewShotClassifier(model=words, shots=1).fit(TEXTS, written)
    (tmp_path / "rows.csv").write_text(
        "text,label\n" + "".join(f'"{text}","{label}"\n' for text, label in zip(TEXTS, written, strict=True)), "utf-8"
    )
    assert SupportSet.from_file(tmp_path / "rows.csv", classifier.predictor_.inference.builder.task).labels == (
        classifier.labels_
    )
    assert [example.label for example in classifier.support_] == LABELS
    spaced = FewShotClassifier("customer-intent", words, shots=1).fit(TEXTS, ["a ", "b", " a", "b\u3000", "a", "b"])
    assert spaced.classes_.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"text": TEXTS}, index=range(9, 3, -1)),
        polars.DataFrame({"text": TEXTS}),
        polars.DataFrame({"text": TEXTS}).lazy(),
        pyarrow.table({"text": TEXTS}),
        datasets.Dataset.from_dict({"text": TEXTS}),
        polars.Series(TEXTS),
        pd.Series(TEXTS, dtype="string"),
        pyarrow.chunked_array([TEXTS]),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS, dtype=np.str_),
        datasets.Dataset.from_dict({"text": TEXTS})["text"],
    ],
    ids=lambda frame: f"{type(frame).__module__}.{type(frame).__name__}",
)
def test_tables_and_columns_of_every_library(words, frame):
    classifier = FewShotClassifier(model=words, shots=1).fit(frame, LABELS)
    assert classifier.predict(frame).tolist() == LABELS
    assert len(SupportSet.from_lists(frame, LABELS)) == 6


def test_frames_with_labels_and_extra_columns():
    columns = {"id": list(range(6)), "评论": TEXTS, "情感": LABELS}
    for frame in (pd.DataFrame(columns), polars.DataFrame(columns), pyarrow.table(columns)):
        assert len(SupportSet.from_frame(frame)) == 6
        assert SupportSet.from_rows(frame).labels == ("negative", "positive")


@pytest.mark.parametrize("gap", [None, float("nan"), pd.NA, "", " \u200b"], ids=repr)
def test_a_missing_text_gets_no_label_where_that_can_be_said(words, gap):
    classifier = FewShotClassifier(model=words, shots=1).fit(TEXTS, LABELS)
    for found in (classifier.predictions(["好", gap]), classifier.top_predictions(["好", gap])):
        assert (found[0].label, found[0].reason) == ("positive", None)
        assert (found[1].label, found[1].abstained, found[1].reason) == (None, True, "empty-text")
        assert (found[1].probability, found[1].probabilities) == (0.0, {})
    for predict in (classifier.predict, classifier.predict_proba, classifier.predict_log_proba):
        with pytest.warns(UserWarning, match=r"1 texts are missing or empty.* from 0: 1\."):
            assert len(predict(["好", gap])) == 2


def test_a_regressor_a_tagger_and_a_ranker_say_the_same(llama):
    with pytest.warns(UserWarning, match="from 0: 1, 4"):
        regressor = FewShotRegressor(model=llama, interval_folds=0).fit(
            [*TEXTS, "还行", "很一般"], [5, None, 5, 1, pd.NA, 1, 5, 1]
        )
    assert regressor.targets_.tolist() == [5, 5, 1, 1, 5, 1]
    with pytest.warns(UserWarning, match="missing or empty"):
        assert regressor.predict([""]).shape == (1,)
    tags = [["delivery"], None, ["price "], float("nan"), [], ["Price", None]]
    with pytest.warns(UserWarning, match="from 0: 1, 3, 5"):
        tagger = FewShotMultiLabelClassifier(model=llama, shots=1).fit(TEXTS, tags)
    assert tagger.answers(["", "好"])[0] == {"predicted_labels": None, "probabilities": None}
    assert tagger.answers(["", "好"])[1]["predicted_labels"] is not None
    with pytest.warns(UserWarning, match="missing or empty"):
        assert tagger.labels_of([""]) == [()]
    with pytest.warns(UserWarning, match="from 0: 2"):
        ranker = FewShotRanker(model=llama, prompt=TitlePrompt(), shots=2).fit(
            CHOICES, polars.Series(["saucer", "hammer", None, "saucer", "hammer"])
        )
    assert ranker.predict(pd.DataFrame(CHOICES)).shape == (5,)


@pytest.mark.parametrize("gap", [*GAPS[:6], Decimal("NaN"), Decimal("sNaN")], ids=repr)
def test_a_gap_is_one_wherever_a_cell_is_read(gap):
    assert is_missing(gap)
    assert typed_value(gap) is None
    assert as_text(gap) == ""
    assert as_labels(gap) == []
    assert as_titles(gap) == ()
    assert missing(gap)
    assert field_texts(load_task("review-sentiment"), Example({"text": gap}))["text"] == ""


def test_a_column_of_arrays_is_one_of_lists():
    """As pandas gives the lists of a Parquet file; an array with one gap in it is no gap."""
    assert as_titles(np.array(["tea", "cup"])) == ("tea", "cup")
    assert as_labels(np.array(["price", "quality"])) == ["price", "quality"]
    assert not is_missing(np.array([float("nan")]))


def test_a_number_is_the_same_text_in_a_support_row_and_in_a_query():
    shown = field_texts(load_task("review-sentiment"), Example({"text": 3.0}))["text"]
    assert shown == as_text(np.float64(3)) == "3"
    assert as_text(np.datetime64("2026-05-01T12:00:00", "ns")) == "2026-05-01 12:00:00"
