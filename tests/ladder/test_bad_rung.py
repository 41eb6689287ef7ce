"""A rung that does not keep its word: the ladder says which one and what is wrong, and none wins by it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fewshot_llm.errors import TuningError
from fewshot_llm.ladder import Candidate, Climb, Ladder, Rung, climb_rungs, label_evidence, number_evidence
from fewshot_llm.types import Text
from tests.ladder.stand_in import unasked

ROWS = 12
TARGETS = np.arange(ROWS) % 2
EVEN = np.log(np.full((ROWS, 2), 0.5))
NAME = "我的 一级"


def proposing(propose, called=NAME):
    class Own(Rung):
        name, title = called, Text("my own", "自己的")

        def propose(self, climb):
            return propose(self)

    return Own()


def evidence(name=NAME, table=EVEN, rows=range(ROWS), targets=TARGETS):
    return label_evidence(name, rows, targets, table, 1.0)


def good(rung):
    return Candidate(evidence(rung.name), EVEN, lambda: None)


def failing(rung):
    raise KeyError("column")


def table_with(value):
    table = EVEN.copy()
    table[3, 1] = value
    return table


NUMBERS = number_evidence(NAME, np.ones(ROWS), 1.0, 1.0)
BAD = {
    "raises": (failing, "could not be measured: KeyError: 'column'"),
    "nothing": (lambda rung: None, "proposes None"),
    "evidence alone": (lambda rung: evidence(), "expected a Candidate"),
    "another's evidence": (lambda rung: Candidate(evidence("lora"), EVEN, None), "evidence of the rung 'lora'"),
    "rows outside": (lambda rung: Candidate(evidence(rows=range(1, 13)), EVEN, None), "measured on the row 12"),
    "rows twice": (lambda rung: evidence(rows=[0] * ROWS), "twice"),
    "too few answers": (lambda rung: Candidate(evidence(), EVEN[:5], None), r"shape \(5, 2\)"),
    "no answers": (lambda rung: Candidate(evidence(), None, None), r"shape \(\)"),
    "NaN answers": (lambda rung: Candidate(evidence(), table_with(np.nan), None), "NaN"),
    "NaN": (lambda rung: evidence(table=table_with(np.nan)), "row 3 sum to nan"),
    "scores": (lambda rung: evidence(table=EVEN + 5), "do not sum to 1"),
    "wrong shape": (lambda rung: evidence(table=EVEN[:, 0]), r"shape \(12,\)"),
    "wrong number of rows": (lambda rung: evidence(table=EVEN[:7]), r"shape \(7, 2\)"),
    "targets outside": (lambda rung: evidence(targets=TARGETS + 1), "outside its 2 labels"),
    "numbers": (lambda rung: Candidate(NUMBERS, np.ones(ROWS), None), "NumberEvidence, and 'good' LabelEvidence"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_is_named_with_what_is_wrong(case):
    propose, message = BAD[case]
    rungs = (proposing(good, "good"), proposing(propose))
    with pytest.raises(TuningError, match=f"The rung {NAME!r} .*{message}"):
        climb_rungs(Climb(unasked(ROWS)), rungs, 0.99)


def test_rungs_that_share_no_row_are_not_compared():
    def part(rows):
        half = slice(rows.start, rows.stop)
        return lambda rung: Candidate(evidence(rung.name, EVEN[half], rows, TARGETS[half]), EVEN[half], None)

    rungs = (proposing(part(range(6)), "good"), proposing(part(range(6, 12))))
    with pytest.raises(TuningError, match="on none of the rows of 'good'"):
        climb_rungs(Climb(unasked(ROWS)), rungs, 0.99)


@pytest.mark.parametrize("error", [OSError("disk full"), MemoryError(), KeyboardInterrupt()])
def test_what_is_no_fault_of_the_rung_stays_what_it_is(error):
    def fail(rung):
        raise error

    with pytest.raises(type(error)):
        climb_rungs(Climb(unasked(ROWS)), (proposing(fail),), 0.99)


def test_numbers_need_errors():
    for errors in (np.array([]), np.array([1.0, np.nan]), np.array([-1.0]), np.ones((2, 2))):
        with pytest.raises(TuningError, match="absolute error for each row"):
            number_evidence(NAME, errors, 1.0, 1.0)


class Nameless(Rung):
    title = Text("a", "b")

    def propose(self, climb):
        raise NotImplementedError


@pytest.mark.parametrize("rung", ["lora", Nameless, Nameless(), proposing(good, " "), proposing(good, 3)])
def test_what_is_no_rung_is_refused(rung):
    with pytest.raises(TuningError, match="expected"):
        Ladder(rungs=(rung,))


def test_no_rung_is_refused():
    with pytest.raises(TuningError, match="expected at least one"):
        Ladder(rungs=[])


@pytest.mark.parametrize(
    ("build", "message"),
    [(lambda: None, "builds None"), (lambda: {}["x"], "could not be built: KeyError"), (None, "could not be built")],
)
def test_what_it_builds_has_to_answer(llama, reviews, build, message):
    from fewshot_llm import FewShotClassifier

    texts, labels = reviews
    table = np.log(np.full((len(texts), 2), 0.5))

    def propose(rung):
        targets = np.array([label == labels[0] for label in labels], dtype=np.int64)
        return Candidate(label_evidence(rung.name, range(len(texts)), targets, table, 1.0), table, build)

    ladder = Ladder(target=0.01, rungs=(proposing(propose),))
    with pytest.raises(TuningError, match=f"The rung {re.escape(repr(NAME))} {message}"):
        FewShotClassifier("review-sentiment", llama, shots=1, ladder=ladder).fit(texts, labels)
