from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

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
from fewshot_llm.ladder.rungs import LABEL_RUNGS
from fewshot_llm.types import Text

ROWS = 60
TARGETS = np.arange(ROWS) % 2
RUNGS = tuple(rung.name for rung in LABEL_RUNGS)


def evidence(rung, right, sure=0.9):
    """The first `right` rows are right, all with the same confidence."""
    chosen = np.where(np.arange(ROWS) < right, TARGETS, 1 - TARGETS)
    table = np.full((ROWS, 2), np.log(1 - sure))
    table[np.arange(ROWS), chosen] = np.log(sure)
    return label_evidence(rung, range(ROWS), TARGETS, table, seconds=2.0)


def decided(found, target=0.9):
    return decide(found, target, LABEL_RUNGS)


def climbed(measure, target=0.9):
    """Climb a ladder whose rungs are named as the real ones and whose evidence is what `measure` says."""
    rungs = [stand_in(real, measure) for real in LABEL_RUNGS]
    return climb_rungs(Climb(Served()), rungs, target)[0]


class Served:
    """What is served without a ladder; only its scorer is looked at, for the device, and how many rows there are."""

    scorer, support = None, range(ROWS)


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
    decision = decided(ladder(zero=57))
    assert (decision.rung, decision.reached, decision.next_rung) == ("zero-shot", True, None)


def test_below_the_target_the_next_rung_is_asked_for():
    decision = decided(ladder(zero=30))
    assert (decision.rung, decision.reached, decision.next_rung) == ("zero-shot", False, "in-context")


def test_a_clearly_better_rung_is_kept():
    decision = decided(ladder(zero=30, shown=50, calibrated=50, lora=58))
    assert decision.rung == "lora"
    assert [c.better for c in decision.comparisons] == [True, False, True]
    assert [(c.below, c.above) for c in decision.comparisons][-1] == ("in-context", "lora")


def test_a_gain_within_noise_is_not_paid_for():
    # Six rows that were wrong are right, five that were right are wrong: the gain is a third of its standard error.
    table = np.full((ROWS, 2), np.log(0.1))
    right = (np.arange(ROWS) >= 5) & (np.arange(ROWS) < 56)
    table[np.arange(ROWS), np.where(right, TARGETS, 1 - TARGETS)] = np.log(0.9)
    lora = label_evidence("lora", range(ROWS), TARGETS, table, seconds=2.0)
    decision = decided([*ladder(zero=30, shown=50, calibrated=50), lora])
    assert decision.comparisons[-1].accuracy_gain == pytest.approx(1 / ROWS)
    assert decision.rung == "in-context"
    assert not decision.reached
    assert decision.next_rung is None
    assert "lora was not better by more than noise" in decision.reason
    assert "未超出噪声" in decision.reason_zh


def test_every_number_is_kept_and_survives_json():
    decision = decided(ladder(zero=30, shown=50))
    assert decision.seconds == 4.0
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    assert "0.833" in decision.reason


def test_nothing_is_measured_that_is_not_needed():
    asked = []

    def measure(rung):
        asked.append(rung)
        return evidence(rung, {"zero-shot": 20, "in-context": 57, "calibrated": 57}[rung])

    assert climbed(measure, 0.9).rung == "in-context"
    # Calibration reads the scores that the demonstrations have cost already.
    assert asked == ["zero-shot", "in-context", "calibrated"]


def test_calibration_is_kept_where_it_is_surer_though_the_target_was_reached():
    shown, calibrated = evidence("in-context", 57, sure=0.6), evidence("calibrated", 56, sure=0.9)
    decision = decided([*ladder(zero=20), shown, calibrated])
    assert (decision.rung, decision.reached) == ("calibrated", True)
    assert "less accurate within noise" in decision.reason
    assert "更有把握" in decision.reason_zh


def test_a_surer_rung_is_not_kept_where_it_is_wrong_more_often_by_more_than_noise():
    assert decided([evidence("in-context", 57, sure=0.6), evidence("calibrated", 48, sure=0.9)]).rung == "in-context"


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


@given(rights, st.floats(0.01, 1.0))
def test_properties_of_any_decision(right, target):
    found = [evidence(rung, value) for rung, value in zip(RUNGS, right, strict=False)]
    decision = decided(found, target)
    assert decision == decided(found, target)
    assert decision.reached == (decision.kept.accuracy.value >= target)
    assert (decision.next_rung is None) == (len(found) == 4 or (decision.reached and len(found) != 2))
    # All are equally sure: the kept rung is never less accurate than one kept before, and every step was significant.
    assert decision.kept.accuracy.value >= found[0].accuracy.value
    if decision.rung != "zero-shot":
        step = next(c for c in decision.comparisons if c.above == decision.rung)
        below = next(e for e in found if e.rung == step.below)
        assert compare(below, decision.kept).better
