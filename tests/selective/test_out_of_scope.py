"""Scope: which score, from which threshold, and how many false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from fewshot_llm.errors import CalibrationError
from fewshot_llm.selective import LabelledTexts, fit_scope, leave_classes_out, rows_for_alarms, scope_scores

WORDS = {
    0: ("parcel", "delivery", "courier", "shipping"),
    1: ("refund", "money", "payback", "return"),
    2: ("password", "login", "account", "email"),
    3: ("coupon", "discount", "voucher", "sale"),
}
STRANGE = ("weather tomorrow rain", "best pizza recipe", "who won the football match", "capital of France")


def made_up(classes: int, rows: int, seed: int = 0) -> tuple[LabelledTexts, np.ndarray]:
    """Texts of a class's own words, and a language model's answers that are right but for noise."""
    chance = np.random.default_rng(seed)
    targets = np.arange(rows) % classes
    texts = tuple(f"my {' '.join(chance.choice(WORDS[t], 2))} question {row % 7}" for row, t in enumerate(targets))
    scores = chance.normal(size=(rows, classes))
    scores[np.arange(rows), targets] += 3
    return LabelledTexts(texts, targets), log_softmax(scores, axis=1)


def test_strange_texts_are_found_and_known_ones_kept() -> None:
    known, answers = made_up(4, 80)
    scope = fit_scope(known, answers, 0.05)
    new, fresh = made_up(4, 200, seed=1)
    flat = np.full((len(STRANGE), 4), np.log(0.25))
    assert scope.outside(STRANGE, flat, known).all()
    assert scope.outside(new.texts, fresh, known).mean() < 0.15
    assert scope.outside((), np.empty((0, 4)), known).tolist() == []


def test_score_is_chosen_by_leaving_classes_out() -> None:
    known, answers = made_up(4, 80)
    areas = leave_classes_out(known, answers)
    assert set(areas) == {"label", "words", "nearest", "agreement"}
    assert fit_scope(known, answers, 0.05).score == max(areas, key=lambda name: areas[name])
    noise = np.log(np.random.default_rng(0).dirichlet(np.ones(4), 80))
    assert leave_classes_out(known, noise)["label"] < 0.7 < areas["nearest"]


def test_two_classes_leave_only_the_nearest_text() -> None:
    known, answers = made_up(2, 40)
    scope = fit_scope(known, answers, 0.1)
    assert (scope.score, scope.areas) == ("nearest", {})


def test_false_alarms_are_as_rare_as_promised() -> None:
    """Over draws of the labelled rows and the new row."""
    alarms = []
    for seed in range(40):
        known, answers = made_up(2, 40, seed=seed)
        new, fresh = made_up(2, 40, seed=1000 + seed)
        alarms.append(fit_scope(known, answers, 0.1).outside(new.texts, fresh, known).mean())
    assert np.mean(alarms) < 0.1 + 0.03


def test_agreement_is_the_chance_of_the_same_label() -> None:
    known, answers = made_up(3, 30)
    p = scope_scores("agreement", known.texts, answers, known)
    assert ((p > 0) & (p <= 1)).all()
    assert (p <= scope_scores("words", known.texts, answers, known) + 1e-12).all()
    assert (p <= scope_scores("label", known.texts, answers, known) + 1e-12).all()


@pytest.mark.parametrize(("share", "needed"), [(0.05, 19), (0.1, 9), (0.01, 99)])
def test_too_few_rows_say_how_many(share: float, needed: int) -> None:
    assert rows_for_alarms(share) == needed
    known, answers = made_up(2, 8)
    with pytest.raises(CalibrationError, match=f"at least {needed} are needed"):
        fit_scope(known, answers, share)


def test_share_outside_its_range() -> None:
    with pytest.raises(CalibrationError, match="share of false alarms is 1"):
        rows_for_alarms(1.0)
