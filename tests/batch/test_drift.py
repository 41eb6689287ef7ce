from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fewshot_llm.batch import ShardEntry, SupportProfile, drift_warnings, support_profile
from fewshot_llm.estimators import FewShotClassifier
from fewshot_llm.models import LanguageModel


def shard(number: int, labels: dict[str, int], margin: float = 0.6) -> ShardEntry:
    rows = sum(labels.values())
    return ShardEntry(number, f"shard-{number:05d}.parquet", "", 0, rows, rows, labels=labels, mean_margin=margin)


def english(shards: list[ShardEntry], support: SupportProfile | None = None) -> list[str]:
    return [warning.en for warning in drift_warnings(shards, support)]


def test_the_same_mixture_raises_no_alarm() -> None:
    dice = np.random.default_rng(0)
    shards = [
        shard(number, dict(Counter(dice.choice(["a", "b", "c"], 1000, p=[0.7, 0.2, 0.1]).tolist())))
        for number in range(500)
    ]
    assert drift_warnings(shards) == []


@pytest.mark.parametrize("rows", [100, 1000])
def test_a_moved_histogram_is_told_with_its_numbers(rows: int) -> None:
    first = shard(0, {"good": int(0.8 * rows), "bad": int(0.2 * rows)})
    later = shard(3, {"good": int(0.4 * rows), "bad": int(0.6 * rows)})
    assert english([first, later]) == ["shard 3: labels moved against shard 0 (good 80% → 40%, bad 20% → 60%)"]


def test_a_label_that_is_new_counts() -> None:
    assert "new 0% → 50%" in english([shard(0, {"a": 200}), shard(1, {"a": 100, "new": 100})])[0]


def test_margins_against_the_first_shard_and_the_support_set() -> None:
    told = english([shard(0, {"a": 99}, 0.5), shard(1, {"a": 99}, 0.3)], SupportProfile({"a": 4, "b": 4}, 0.9))
    assert told == [
        "shard 0: never predicted, though in the support set: b",
        "shard 0: mean margin 0.90 → 0.50 against the support set",
        "shard 1: mean margin 0.50 → 0.30 against shard 0",
    ]


def test_small_shards_say_nothing() -> None:
    assert drift_warnings([shard(0, {"a": 40}), shard(1, {"b": 40})]) == []


def test_the_support_set_is_measured_out_of_fold(llama: LanguageModel) -> None:
    texts = ["good", "very good", "great", "bad", "very bad", "awful"]
    labels = ["positive"] * 3 + ["negative"] * 3
    classifier = FewShotClassifier("review-sentiment", llama, shots=1, language="en").fit(texts, labels)
    profile = support_profile(classifier)
    assert profile.labels == {"positive": 3, "negative": 3}
    assert profile.mean_margin is not None
    assert 0 <= profile.mean_margin <= 1
