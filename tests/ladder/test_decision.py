from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import softmax
from scipy.stats import norm

from fewshot_llm.errors import TuningError
from fewshot_llm.ladder import (
    Candidate,
    Climb,
    Decision,
    Ladder,
    Rung,
    Skipped,
    climb_rungs,
    compare,
    decide,
    label_evidence,
)
from fewshot_llm.ladder.rungs import Calibrated, InContext, Lora, ZeroShot
from fewshot_llm.types import Text
from tests.ladder.conftest import bare
from tests.ladder.stand_in import unasked

ROWS = 60
TARGETS = np.arange(ROWS) % 2
PROMPTS = (ZeroShot(), InContext(), Calibrated(), Lora())
RUNGS = tuple(rung.name for rung in PROMPTS)


@cache
def evidence(rung, right, sure=0.9):
    """The first `right` rows are right, all with the same confidence."""
    chosen = np.where(np.arange(ROWS) < right, TARGETS, 1 - TARGETS)
    table = np.full((ROWS, 2), np.log(1 - sure))
    table[np.arange(ROWS), chosen] = np.log(sure)
    return label_evidence(rung, range(ROWS), TARGETS, table, seconds=2.0)


def decided(found, target=0.9, prefer="accuracy"):
    return decide(found, target, PROMPTS, prefer=prefer)


def climbed(measure, target=0.9):
    """Climb a ladder whose rungs are named as the real ones and whose evidence is what `measure` says."""
    rungs = [stand_in(real, measure) for real in PROMPTS]
    return climb_rungs(Climb(unasked(ROWS)), rungs, target)[0]


def stand_in(real, measure):
    class StandIn(Rung):
        name, title, reads = real.name, real.title, real.reads

        def propose(self, climb):
            found = measure(self.name)
            return found if isinstance(found, Skipped) else Candidate(found, np.zeros((ROWS, 2)), lambda: None)

    return StandIn()


def ladder(**right):
    names = dict(zip(("zero", "shown", "calibrated", "lora"), RUNGS, strict=True))
    return [evidence(names[name], value) for name, value in right.items()]


def test_a_rung_that_reaches_the_target_is_the_last():
    decision = decided(ladder(zero=60))
    assert (decision.rung, decision.reached, decision.next_rung) == ("zero-shot", True, None)
    assert "Not measured, since the target was reached before: in-context, calibrated, lora." in decision.reason
    assert "此前已达到目标" in decision.reason_zh


def test_a_target_that_lies_within_the_interval_is_not_reached():
    decision = decided(ladder(zero=57))  # .95 of 60 rows, from .861
    assert (decision.rung, decision.reached, decision.next_rung) == ("zero-shot", False, "in-context")
    assert "it lies within the interval" in decision.reason
    assert "落在区间之内" in decision.reason_zh


def test_below_the_target_the_next_rung_is_asked_for():
    decision = decided(ladder(zero=30))
    assert (decision.rung, decision.reached, decision.next_rung) == ("zero-shot", False, "in-context")


def test_a_clearly_better_rung_is_kept():
    decision = decided(ladder(zero=30, shown=50, calibrated=50, lora=58))
    assert decision.rung == "lora"
    assert [c.better for c in decision.comparisons] == [True, True, True]
    assert [(c.below, c.above) for c in decision.comparisons] == [(rung, "lora") for rung in RUNGS[:3]]
    assert decided(ladder(zero=30, shown=50, calibrated=50, lora=58), prefer="cost").rung == "lora"


def test_of_equal_rungs_the_lower_one_is_kept():
    decision = decided(ladder(zero=30, shown=50, calibrated=50))
    assert decision.rung == "in-context"
    assert [c.better for c in decision.comparisons] == [True, False]


def barely_better():
    """Two rungs that are as sure as each other, and LoRA ahead by a third of a standard error."""
    # Six rows that were wrong are right, five that were right are wrong: the gain is a third of its standard error.
    table = np.full((ROWS, 2), np.log(0.1))
    right = (np.arange(ROWS) >= 5) & (np.arange(ROWS) < 56)
    table[np.arange(ROWS), np.where(right, TARGETS, 1 - TARGETS)] = np.log(0.9)
    lora = label_evidence("lora", range(ROWS), TARGETS, table, seconds=2.0)
    return [*ladder(zero=30, shown=50, calibrated=50), lora]


def test_where_cost_is_preferred_a_gain_within_noise_is_not_paid_for():
    decision = decided(barely_better(), prefer="cost")
    assert decision.comparisons[-1].accuracy_gain == pytest.approx(-1 / ROWS)
    assert (decision.rung, decision.prefer) == ("in-context", "cost")
    assert not decision.reached
    assert decision.next_rung is None
    assert "cheapest rung that is not worse than lora by more than noise" in decision.reason
    assert "未超出噪声" in decision.reason_zh


def test_by_default_a_better_rung_within_noise_is_not_lost():
    decision = decided(barely_better())
    assert (decision.rung, decision.prefer) == ("lora", "accuracy")
    assert decision.comparisons[1].accuracy_gain == pytest.approx(1 / ROWS)
    assert not decision.comparisons[1].better
    assert "Its log loss was the smallest" in decision.reason
    assert "in-context comes next" in decision.reason
    assert "对数损失最小" in decision.reason_zh


def test_the_cheapest_is_told_by_seconds_where_all_tell_them():
    told = [found.model_copy(update={"seconds_per_1000": s}) for found, s in zip(barely_better(), (1, 9, 4, 5))]
    assert decided(told, prefer="cost").rung == "calibrated"
    assert decided([told[0], told[1], barely_better()[2], told[3]], prefer="cost").rung == "in-context"
    costly = [found.model_copy(update={"seconds_per_1000": s}) for found, s in zip(barely_better(), (1, 9, 8, 5))]
    decision = decided(costly, prefer="cost")
    assert decision.rung == "lora"
    assert "No cheaper rung is level with it within noise." in decision.reason


def noisy(rung, seed, rows=32):
    """A rung whose margins are chance around the same strength."""
    generator = np.random.default_rng(seed)
    targets = np.arange(rows) % 2
    table = np.zeros((rows, 2))
    table[np.arange(rows), targets] = generator.normal(1.0, 1.5, rows)
    return bare(rung, softmax(table, axis=1), targets)


@pytest.mark.parametrize("prefer", ["accuracy", "cost"])
def test_the_figure_of_the_best_of_equals_is_corrected(prefer):
    told, corrected, losses = [], [], []
    for draw in range(60):
        decision = decided([noisy(rung, 10 * draw + place) for place, rung in enumerate(RUNGS)], prefer=prefer)
        told.append(np.mean(decision.kept.right))
        corrected.append(decision.corrected.value)
        losses.append(decision.corrected_loss.value - np.mean(decision.kept.losses))
    truth = norm.cdf(1 / 1.5)
    assert abs(np.mean(corrected) - truth) < 0.02
    assert np.mean(told) - truth > 0.02
    assert np.mean(losses) > 0.03


def test_one_rung_is_told_as_it_is():
    decision = decided(ladder(zero=50))
    assert decision.corrected.value == pytest.approx(decision.kept.accuracy.value)
    assert decision.corrected.low == pytest.approx(decision.kept.accuracy.low)
    assert "corrected" not in decision.reason
    assert decision.headline.en == "zero-shot answers: right on .83 [.71, .92] of unseen rows (out of fold)."


def test_words_are_told_beside_what_is_kept():
    rungs = [stand_in(type("Words", (), {"name": "words", "title": Text("words", "词语"), "reads": ()}), None)]
    found = [evidence("words", 50), evidence("lora", 60)]
    decision = decide(found, 0.9, [*rungs, *PROMPTS])
    assert decision.words == found[0].accuracy
    assert "words alone, which is three lines of scikit-learn, reach 0.833" in decision.reason
    assert "三行 scikit-learn" in decision.reason_zh
    assert (
        decision.headline.en == "lora answers: right on 1.00 [.94, 1.00] of unseen rows (corrected); words alone .83."
    )
    assert decision.headline.zh == "由“lora”判定：未见数据上的准确率 1.00 [.94, 1.00]（已校正）；仅用词语为 .83。"
    alone = decide([evidence("words", 60), evidence("lora", 50)], 0.9, [*rungs, *PROMPTS])
    assert "That is what three lines of scikit-learn reach." in alone.reason
    assert "words alone" not in alone.headline.en


def test_rungs_are_compared_on_the_rows_that_all_were_asked():
    targets = TARGETS[:30]
    table = np.full((30, 2), np.log(0.2))
    table[np.arange(30), targets] = np.log(0.8)
    part = label_evidence("lora", range(30), targets, table, seconds=2.0)
    # On all 60 rows zero-shot has the larger loss, on the 30 that both were asked the smaller.
    decision = decided([evidence("zero-shot", 30), part])
    assert decision.rung == "zero-shot"
    assert decision.corrected.value == 1.0
    assert "of 30 support rows" in decision.reason
    other = label_evidence("lora", range(60, 90), targets, table, seconds=2.0)
    with pytest.raises(TuningError, match="zero-shot, lora were measured on different rows"):
        decided([evidence("zero-shot", 30), other])


def test_a_record_of_an_earlier_version_is_read():
    now = decided(ladder(zero=30, shown=50)).model_dump(mode="json")
    for name in ("prefer", "corrected", "corrected_loss", "words"):
        del now[name]
    for found in now["evidence"]:
        del found["seconds_per_1000"]
    old = Decision.model_validate(now)
    assert (old.prefer, old.corrected, old.words, old.kept.seconds_per_1000) == (None, None, None, None)
    assert old.headline.en == "in-context answers: right on .83 [.71, .92] of unseen rows (out of fold)."


def test_every_number_is_kept_and_survives_json():
    decision = decided(ladder(zero=30, shown=50))
    assert decision.seconds == 4.0
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    assert "0.833" in decision.reason


def test_nothing_is_measured_that_is_not_needed():
    asked = []

    def measure(rung):
        asked.append(rung)
        return evidence(rung, {"zero-shot": 20, "in-context": 60, "calibrated": 60}[rung])

    assert climbed(measure, 0.9).rung == "in-context"
    # Calibration reads the scores that the demonstrations have cost already.
    assert asked == ["zero-shot", "in-context", "calibrated"]


def test_calibration_is_kept_where_it_is_surer_though_the_target_was_reached():
    shown, calibrated = evidence("in-context", 57, sure=0.6), evidence("calibrated", 56, sure=0.9)
    decision = decided([*ladder(zero=20), shown, calibrated], target=0.8)
    assert (decision.rung, decision.reached) == ("calibrated", True)
    assert decided([*ladder(zero=20), shown], target=0.8).next_rung == "calibrated"
    assert "Its log loss was the smallest" in decision.reason


def test_a_surer_rung_is_not_kept_where_it_is_wrong_more_often_by_more_than_noise():
    found = [evidence("in-context", 57, sure=0.6), evidence("calibrated", 48, sure=0.9)]
    for prefer in ("accuracy", "cost"):
        assert decided(found, prefer=prefer).rung == "in-context"


def test_a_rung_that_cannot_be_measured_is_named_with_its_reason():
    def measure(rung):
        return Skipped(Text("no time", "没有时间")) if rung == "lora" else evidence(rung, 30)

    decision = climbed(measure, 0.9)
    assert decision.rung == "zero-shot"
    assert decision.skipped == {"lora": "no time"}
    assert "lora was not measured: no time" in decision.reason
    assert "没有时间" in decision.reason_zh


def test_if_nothing_can_be_measured_there_is_no_decision():
    with pytest.raises(TuningError, match=r"No rung.*zero-shot was not measured: broken"):
        climbed(lambda rung: Skipped(Text("broken", "坏了")))


@pytest.mark.parametrize("target", [0, -0.1, 1.01, float("nan")])
def test_a_target_outside_its_range_is_refused(target):
    with pytest.raises(TuningError, match="above 0 and at most 1"):
        Ladder(target=target)


def test_a_budget_must_be_positive():
    with pytest.raises(TuningError, match="0 minutes"):
        Ladder(budget_minutes=0)


def test_evidence_must_be_in_order():
    one, two = ladder(zero=30, shown=30)
    for wrong in ([], [two, one], [one, one]):
        with pytest.raises(TuningError, match="from the lowest up"):
            decided(wrong)


rights = st.lists(st.integers(0, ROWS), min_size=1, max_size=4)


@given(rights, st.floats(0.01, 1.0), st.sampled_from(["accuracy", "cost"]))
def test_properties_of_any_decision(right, target, prefer):
    found = [evidence(rung, value) for rung, value in zip(RUNGS, right, strict=False)]
    decision = decided(found, target, prefer)
    assert decision == decided(found, target, prefer)
    assert decision.reached == (decision.corrected.low >= target)
    assert (decision.next_rung is None) == (len(found) == 4 or (decision.reached and len(found) != 2))
    assert [c.below for c in decision.comparisons] == [e.rung for e in found if e.rung != decision.rung]
    assert all(c.above == decision.rung for c in decision.comparisons)
    # All are equally sure: the best is the most accurate, and of equals the lowest.
    best = found[int(np.argmax(right))]
    if prefer == "accuracy":
        assert decision.rung == best.rung
    else:
        assert not compare(decision.kept, best).better
        lower = found[: [e.rung for e in found].index(decision.rung)]
        assert all(compare(one, best).better for one in lower)
