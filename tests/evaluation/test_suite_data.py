"""The rows of a suite: which side they are on, and that nothing is on both."""

from __future__ import annotations

from pathlib import Path

import pytest

from fewshot_llm.data import load_task
from fewshot_llm.errors import DataFileError, SupportError
from fewshot_llm.evaluation.suite import Data, ScriptRows, SuiteData, read_data
from fewshot_llm.files import write_rows
from tests.evaluation.conftest import MakeSuite, shop_rows


def read(make_suite: MakeSuite, data: str) -> SuiteData:
    suite = make_suite(data=data)
    return read_data(suite.data, suite.described_task())


def test_test_rows_are_taken_out_of_the_pool(make_suite: MakeSuite) -> None:
    found = read(make_suite, "test_rows = 10")
    assert (len(found.pool), len(found.test)) == (30, 10)
    assert not found.pool.leak_check(found.test)
    assert [found.task.labels[t] for t in found.targets] == [example.label for example in found.test]
    assert all(query.label is None for query in found.queries)


def test_the_test_seed_alone_chooses_the_test_rows(make_suite: MakeSuite) -> None:
    first = read(make_suite, "test_rows = 10")
    assert read(make_suite, "test_rows = 10").test == first.test
    assert read(make_suite, "test_rows = 10\ntest_seed = 1").test != first.test


def test_no_group_is_on_both_sides(make_suite: MakeSuite) -> None:
    product = {row["text"]: row["product"] for row in shop_rows()}
    found = read(make_suite, 'test_rows = 10\ngroup = "product"')
    held = {product[example.text] for example in found.test}
    assert len(found.test) == 10
    assert held.isdisjoint(product[example.text] for example in found.pool)


def test_test_rows_of_another_file_that_are_in_train_are_left_out(make_suite: MakeSuite, tmp_path: Path) -> None:
    test = [{"text": f"GOOD  parcel number {n}", "label": "positive"} for n in range(20)]
    test += [{"text": f"awful thing {n}", "label": "negative"} for n in range(5)]
    write_rows(tmp_path / "data" / "test.csv", [*test, {"text": "a fine thing", "label": "positive"}])
    found = read(make_suite, 'test = "test.csv"\ntest_rows = 100')
    assert sorted(example.text for example in found.test) == ["a fine thing", *(f"awful thing {n}" for n in range(5))]
    assert len(found.pool) == 40


def test_rare_classes_and_other_names(make_suite: MakeSuite, tmp_path: Path) -> None:
    rows = [{"says": f"{label} {n}", "kind": label} for label in "012" for n in range(4 if label == "2" else 9)]
    write_rows(tmp_path / "data" / "kinds.csv", rows)
    suite = make_suite(
        task='"customer-intent"',
        data='columns = { text = "says", label = "kind" }\nrename = { 0 = "no", 1 = "yes" }\n'
        "min_rows_per_class = 5\ntest_rows = 4",
    )
    suite = suite.model_copy(update={"data": suite.data.model_copy(update={"train": "kinds.csv"})})
    found = read_data(suite.data, suite.described_task())
    assert found.task.labels == ("no", "yes")
    assert len(found.pool) + len(found.test) == 18


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ('test = "nowhere.csv"', DataFileError, "Set FEWSHOT_DATA"),
        ('group = "colour"', SupportError, "no column 'colour'"),
        ('labels = ["positive", "odd"]', SupportError, "No row has the label 'odd'"),
        ("min_rows_per_class = 21", SupportError, "two are needed"),
        ("test_rows = 40", SupportError, "No support row is left"),
    ],
)
def test_unusable_rows_are_refused(make_suite: MakeSuite, data: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read(make_suite, data)


def test_script_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    rows = ScriptRows(script="shop/interest_rows.py", part="known")
    with pytest.raises(DataFileError, match=r"interest_rows\.py made no rows"):
        read_data(Data(train=rows), load_task("product-interest"))
