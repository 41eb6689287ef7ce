"""The error contract holds as often as it says; too few rows are refused with the number that is needed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import binom
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from fewshot_llm.errors import CalibrationError
from fewshot_llm.selective import error_bound, fit_contract, rows_needed

SPLITS = 200
LUCK = int(binom.ppf(0.999, SPLITS, 0.1))
"""Broken promises that a method which breaks one in ten exceeds once in a thousand tests."""


def wrong_rate(confidence: np.ndarray) -> np.ndarray:
    """The made-up truth: the less confident, the more often wrong, up to one in two."""
    return 0.5 * (1 - confidence) ** 1.5


def selective_risk(threshold: float) -> float:
    """Mean of `wrong_rate` over confidences that are uniform above the threshold."""
    return float(wrong_rate(np.linspace(threshold, 1, 4001)).mean())


@pytest.mark.parametrize(("rows", "max_error"), [(60, 0.1), (200, 0.05), (1000, 0.02)])
def test_promise_is_kept_in_nine_of_ten_draws(rows: int, max_error: float) -> None:
    chance = np.random.default_rng(rows)
    broken = 0
    for _ in range(SPLITS):
        scores = chance.random(rows)
        contract = fit_contract(scores, chance.random(rows) >= wrong_rate(scores), max_error=max_error)
        broken += contract.threshold is not None and selective_risk(contract.threshold) > max_error
    assert broken <= LUCK


def test_worst_case_breaks_the_promise_about_as_often_as_allowed() -> None:
    """Every row is wrong a little more often than promised: any label breaks it. The test is not idle."""
    chance = np.random.default_rng(0)
    given_any = [
        fit_contract(chance.random(150), chance.random(150) >= 0.0501, max_error=0.05).threshold is not None
        for _ in range(2000)
    ]
    assert 0.02 < np.mean(given_any) <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 2000)


def test_promise_is_kept_on_real_comments(data_folder: Path) -> None:
    with (data_folder / "uci_youtube_spam" / "comments.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts, truth = np.array([row["text"] for row in rows]), np.array([row["label"] for row in rows])
    chance = np.random.default_rng(0)
    known, others = np.split(chance.permutation(len(rows)), [100])
    model = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)), LogisticRegression(C=30))
    p = model.fit(texts[known], truth[known]).predict_proba(texts[others])
    scores, right = p.max(axis=1), model.classes_[p.argmax(axis=1)] == truth[others]
    broken, coverages = 0, []
    for _ in range(SPLITS):
        split = chance.permutation(len(scores))
        contract = fit_contract(scores[split[:300]], right[split[:300]], max_error=0.1)
        answered = contract.gives(scores[split[300:]])
        coverages.append(answered.mean())
        broken += bool(answered.any() and (~right[split[300:]][answered]).mean() > 0.1)
    assert broken <= LUCK
    assert np.mean(coverages) > 0.2


@given(st.integers(1, 300), st.data(), st.floats(0.5, 0.99))
def test_bound_is_exact(rows: int, data: st.DataObject, confidence: float) -> None:
    """At the bound, so few errors or fewer happen with probability 1 − confidence."""
    errors = data.draw(st.integers(0, rows - 1))
    bound = error_bound(errors, rows, confidence)
    assert binom.cdf(errors, rows, bound) == pytest.approx(1 - confidence, abs=1e-6)


@given(st.floats(0.005, 0.5), st.floats(0.5, 0.99))
def test_needed_rows_are_enough_and_the_fewest(max_error: float, confidence: float) -> None:
    needed = rows_needed(max_error, confidence)
    assert error_bound(0, needed, confidence) <= max_error + 1e-9
    assert needed == 1 or error_bound(0, needed - 1, confidence) > max_error - 1e-9


def test_too_few_rows_are_told_how_many_are_needed() -> None:
    with pytest.raises(CalibrationError, match="from 32 labelled rows: at least 45 are needed"):
        fit_contract(np.ones(32), np.ones(32, dtype=bool), max_error=0.05)


def test_rows_without_an_error_are_all_labelled() -> None:
    contract = fit_contract(np.linspace(0.5, 1, 45), np.ones(45, dtype=bool), max_error=0.05)
    assert (contract.threshold, contract.coverage, contract.errors) == (0.5, 1.0, 0)
    assert contract.gives(np.array([0.49, 0.5])).tolist() == [False, True]


def test_nothing_is_labelled_where_no_threshold_keeps_the_promise() -> None:
    contract = fit_contract(np.linspace(0, 1, 100), np.arange(100) % 2 == 0, max_error=0.05)
    assert (contract.threshold, contract.coverage, contract.bound) == (None, 0.0, 1.0)
    assert not contract.gives(np.array([1.0])).any()


def test_ties_stand_or_fall_together() -> None:
    scores = np.array([0.9] * 80 + [0.5] * 20)
    contract = fit_contract(scores, np.arange(100) < 80, max_error=0.05)
    assert (contract.threshold, contract.labelled) == (0.9, 80)


@pytest.mark.parametrize(
    ("promise", "said"),
    [({"max_error": 0.0}, "max_error is 0"), ({"max_error": 0.05, "confidence": 1.0}, "confidence is 1")],
)
def test_promise_outside_its_range(promise: dict[str, float], said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        fit_contract(np.ones(500), np.ones(500, dtype=bool), **promise)


def test_confidences_must_be_numbers_and_match() -> None:
    with pytest.raises(CalibrationError, match="shapes"):
        fit_contract(np.ones(50), np.ones(49, dtype=bool), max_error=0.1)
    with pytest.raises(CalibrationError, match="not a number"):
        fit_contract(np.full(50, np.nan), np.ones(50, dtype=bool), max_error=0.1)
