"""Redaction on a test set of real-looking rows, Chinese and English, written for it; all of them made up.

`python tests/test_redaction.py` prints recall and false alarms by kind.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("phonenumbers", reason="needs pip install 'fewshot-llm[redact]'")
pytest.importorskip("stdnum", reason="needs pip install 'fewshot-llm[redact]'")

from fewshot_llm.redaction import Kind, Redactor, find_personal_data

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "redaction.jsonl").read_text(encoding="utf-8").splitlines()
]


@dataclass
class Tally:
    """Counts over rows.

    A value counts as found when every character of it is covered, by spans of any kind; a span that covers no
    value is a false alarm.
    """

    there: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    right_kind: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def add(self, row: dict[str, object]) -> None:
        text, values = str(row["text"]), row["personal"]
        assert isinstance(values, list)
        spans = find_personal_data(text)
        covered = {place for span in spans for place in range(span.start, span.end)}
        touched = set()
        for value in values:
            start = text.index(value["value"])
            places = range(start, start + len(value["value"]))
            letters = {place for place in places if text[place].isalnum()}
            self.there[value["kind"]] += 1
            self.found[value["kind"]] += letters <= covered
            overlapping = [span for span in spans if span.start < places.stop and span.end > places.start]
            self.right_kind[value["kind"]] += any(span.kind == value["kind"] for span in overlapping)
            touched.update(overlapping)
            if not letters <= covered:
                self.missed.append(f"{value['kind']}: {text}")
        for span in spans:
            if span not in touched:
                self.false[span.kind.value] += 1
                self.alarms.append(f"{span.kind.value} {text[span.start : span.end]!r}: {text}")


def tally(part: str) -> Tally:
    counted = Tally()
    for row in ROWS:
        if row["part"] == part:
            counted.add(row)
    return counted


@pytest.mark.parametrize("part", ["development", "held-out"])
def test_recall_and_false_alarms(part: str) -> None:
    counted = tally(part)
    recall = {kind: counted.found[kind] / counted.there[kind] for kind in counted.there}
    assert set(recall) == {kind.value for kind in Kind}
    # What has a check digit or a fixed form must not slip through.
    assert min(recall[kind] for kind in ("email", "id_number", "bank_card")) == 1.0, counted.missed
    assert recall["phone"] >= 0.9, counted.missed
    assert recall["address"] >= 0.85, counted.missed
    rows = sum(row["part"] == part for row in ROWS)
    assert counted.false.total() / rows <= 0.03, counted.alarms


def test_placeholders_are_stable_within_a_row_and_say_nothing_of_other_rows() -> None:
    redactor, counts = Redactor(), Counter[str]()
    row = {"text": "打13800138000或13912345678，还是13800138000", "phone": "13912345678", "n": 13800138000, "stars": 5}
    assert redactor.value(row, counts) == {
        "text": "打[PHONE_1]或[PHONE_2]，还是[PHONE_1]",
        "phone": "[PHONE_2]",
        "n": "[PHONE_1]",
        "stars": 5,
    }
    assert counts == {"phone": 5}
    assert redactor.value({"text": "13912345678"}, counts) == {"text": "[PHONE_1]"}


def test_only_the_wanted_kinds() -> None:
    only = Redactor(kinds=frozenset({Kind.EMAIL}))
    assert only.text("13800138000 li@example.com") == "13800138000 [EMAIL_1]"


@given(st.text(max_size=80))
def test_any_text_survives_and_redacting_twice_changes_nothing(text: str) -> None:
    redactor = Redactor()
    once = redactor.text(text)
    assert redactor.text(once) == once


@given(
    st.sampled_from([row for row in ROWS if row["personal"]]),
    st.sampled_from([("", ""), ("你好，", "。"), ("Hi, ", " bye")]),
)
def test_surroundings_do_not_matter(row: dict[str, object], around: tuple[str, str]) -> None:
    plain = find_personal_data(str(row["text"]))
    wrapped = find_personal_data(around[0] + str(row["text"]) + around[1])
    assert Counter(span.kind for span in wrapped) == Counter(span.kind for span in plain)


def report() -> None:
    """Print a table of both parts."""
    for part in ("development", "held-out"):
        counted = tally(part)
        print(f"{part}: {sum(row['part'] == part for row in ROWS)} rows")
        for kind in Kind:
            there = counted.there[kind]
            print(
                f"  {kind:10} found {counted.found[kind]}/{there}, right kind {counted.right_kind[kind]}/{there}, "
                f"false alarms {counted.false[kind]}"
            )
        print("\n".join(f"  missed {line}" for line in counted.missed))
        print("\n".join(f"  alarm  {line}" for line in counted.alarms))


if __name__ == "__main__":
    report()
