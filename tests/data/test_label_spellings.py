"""Labels as people write them: emoji with invisible joiners, and several spellings of one label."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from fewshot_llm import FewShotClassifier, SupportSet, load_task
from fewshot_llm.cli import app
from fewshot_llm.data import alike_spellings, normalise_text, spelling_findings, spelling_key
from fewshot_llm.errors import SupportError, TaskError

TEXTS = ["one two", "three four", "five six", "seven eight"]
WRITTEN = ["cancel_order", "cancel-order", "Cancel order", "cancelorder", "cancel_order", "refund", "refund"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("👨‍👩‍👧", "🏳️‍🌈"),
        ("👨‍👩‍👧", "👨👩👧"),
        ("❤️", "💔"),
        ("1️⃣", "2️⃣"),
        ("👍🏽", "👎🏿"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
        ("👩🏽‍💻 work", "🧑‍🍳 food"),
        ("می‌خواهم", "نمی‌خواهم"),
    ],
)
def test_what_has_invisible_joiners_is_a_label(llama, first, second):
    classifier = FewShotClassifier("customer-intent", llama, shots=1).fit(TEXTS, [first, second] * 2)
    assert set(classifier.classes_) == {first, second}
    (prompt,) = classifier.predictor_.inference.prompts(classifier._queries(["x"]))
    assert set(prompt.answers) == {first, second}
    assert f" {first}\n" in prompt.text
    assert classifier.predict(["x"])[0] in (first, second)


@pytest.mark.parametrize("label", ["a\u200bb", "\u200d", "spam\u200d", "a\u202eb", "a\u200db"])
def test_what_hides_something_is_none(label):
    with pytest.raises(TaskError):
        load_task("customer-intent").with_labels([label, "other"])


def test_hidden_characters_still_do_not_make_a_text_another_one():
    assert normalise_text("go\u200bod\u200d") == normalise_text("good")
    assert normalise_text("👨‍👩‍👧") != normalise_text("👨👩👧")


def test_keys():
    assert (
        len(
            {
                spelling_key(label)
                for label in ["cancel_order", "Cancel-Order", "ＣＡＮＣＥＬ　ＯＲＤＥＲ", "CancelOrder"]
            }
        )
        == 1
    )
    different = ["C", "C++", "C#", "-1", "1", "1-2", "12", "a/b", "ab", "v1.0", "v10", "+1"]
    assert len({spelling_key(label) for label in different}) == len(different)
    assert spelling_key("❤️") == spelling_key("❤")


def test_spellings_are_found_with_their_rows_and_merged_into_the_most_frequent():
    texts = [f"text number {word}" for word in ["one", "two", "three", "four", "five", "six", "seven"]]
    kept = SupportSet.from_lists(texts, WRITTEN)
    (finding,) = [finding for finding in kept.report.findings if finding.code == "label-spellings"]
    assert finding.rows == (1, 2, 3)
    assert "merge_labels" in finding.english
    assert "--merge-labels" in finding.chinese
    assert len(kept.labels) == 5
    merged = SupportSet.from_lists(texts, WRITTEN, merge_labels=True)
    assert merged.labels == ("cancel_order", "refund")
    (finding,) = [finding for finding in merged.report.findings if finding.code == "merged-labels"]
    assert (finding.severity, finding.rows) == ("warning", (1, 2, 3))
    assert "'Cancel order' → 'cancel_order'" in finding.english
    assert not [finding for finding in merged.report.findings if finding.code == "label-spellings"]


def test_a_tasks_own_label_is_what_others_are_merged_into():
    task = load_task("customer-intent").with_labels(["cancel_order", "refund"])
    labels = ["CancelOrder", "CancelOrder", "refund", "re-fund"]
    assert len(SupportSet.from_lists(TEXTS, labels, task, merge_labels=True)) == 4
    with pytest.raises(SupportError, match="unknown label"):
        SupportSet.from_lists(TEXTS, labels, task)


def test_in_python_merging_is_said_and_not_merging_is_refused_where_labels_read_alike(llama):
    labels = ["Spam", "ham", "spam", "ham"]
    with pytest.raises(TaskError, match="merge_labels=True"):
        FewShotClassifier("customer-intent", llama, shots=1).fit(TEXTS, labels)
    with pytest.warns(UserWarning, match="'spam' → 'Spam'.* from 0: 2"):
        merged = FewShotClassifier("customer-intent", llama, shots=1, merge_labels=True).fit(TEXTS, labels)
    assert merged.classes_.tolist() == ["Spam", "ham"]


def test_a_likely_misspelling_is_a_milder_finding():
    rows = {
        "delivery": list(range(9)),
        "delivry": [9],
        "refund": [10, 11, 12],
        "route-1": [13],
        "route-2": [14, 15, 16],
    }
    (finding,) = spelling_findings(rows)
    assert (finding.code, finding.severity, finding.rows) == ("label-misspelt", "info", (9,))
    assert alike_spellings([label for label, found in rows.items() for _ in found]) == {}


def test_check_finds_and_merges(tmp_path):
    lines = "".join(f"text number {at},{label}\n" for at, label in zip("abcdefg", WRITTEN, strict=True))
    (tmp_path / "rows.csv").write_text("text,label\n" + lines, encoding="utf-8")
    arguments = ["check", "customer-intent", "--support", str(tmp_path / "rows.csv"), "--json"]
    found = json.loads(CliRunner().invoke(app, arguments).stdout)
    (spelt,) = [finding for finding in found["findings"] if finding["code"] == "label-spellings"]
    assert spelt["rows"] == [1, 2, 3]
    merged = json.loads(CliRunner().invoke(app, [*arguments, "--merge-labels"]).stdout)
    assert merged["counts"] == {"cancel_order": 5, "refund": 2}
    (tmp_path / "case.csv").write_text("text,label\na b,Spam\nc d,ham\ne f,spam\ng h,ham\n", encoding="utf-8")
    refused = CliRunner().invoke(app, [*arguments[:3], str(tmp_path / "case.csv")])
    assert refused.exit_code
    assert "--merge-labels" in str(refused.exception) + refused.output
