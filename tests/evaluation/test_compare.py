"""Paired differences: their sign, their noise, what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from fewshot_llm.errors import DataFileError
from fewshot_llm.evaluation import compare_methods, compare_results, regressions
from fewshot_llm.evaluation.suite import Cell, CellResult, GroupSummary, SuiteResult, read_result, write_result
from fewshot_llm.ladder import Figure

ROWS = 60
TARGETS = np.arange(ROWS) % 2


def cell(method: str, seed: int, right: Sequence[bool], support: str = "rows", model: str = "") -> CellResult:
    """Answers that are right where `right` says so, with probability 0.8."""
    predicted = np.where(np.asarray(right), TARGETS, 1 - TARGETS)
    table = np.log(np.where(np.arange(2) == predicted[:, None], 0.8, 0.2))
    return CellResult.of(
        TARGETS,
        table,
        cell=Cell(method=method, model=model, shots=4, seed=seed),
        suite="settings",
        support_fingerprint=f"{support}{seed}",
        test_fingerprint="test",
        fit_seconds=1.0,
        predict_seconds=1.0,
    )


def result(cells: Sequence[CellResult], test: str = "test") -> SuiteResult:
    return SuiteResult(
        suite={"name": "made"},
        labels=("no", "yes"),
        targets=" ".join(map(str, TARGETS)),
        rows={"pool": 8, "test": ROWS},
        test_fingerprint=test,
        summaries=(),
        cells=tuple(cells),
        machine={},
    )


def right_on(count: int) -> list[bool]:
    return [n < count for n in range(ROWS)]


def of(counts: Mapping[str, int], seeds: Sequence[int] = (0, 1, 2)) -> SuiteResult:
    return result([cell(method, seed, right_on(count)) for method, count in counts.items() for seed in seeds])


@pytest.mark.parametrize(("after", "verdict"), [(58, "better"), (31, "noise"), (30, "same"), (4, "worse")])
def test_verdict(after: int, verdict: str) -> None:
    found = compare_results(of({"ladder": 30}), of({"ladder": after}))
    assert [one.verdict for one in found] == [verdict]
    assert found[0].accuracy.value == pytest.approx((after - 30) / ROWS)
    assert found[0].same_support


def test_answers_that_differ_without_gain_are_noise_and_not_the_same() -> None:
    swapped = [not right for right in right_on(30)]
    found = compare_results(of({"x": 30}), result([cell("x", seed, swapped) for seed in range(3)]))
    assert found[0].verdict == "noise"
    assert found[0].accuracy.value == 0


def test_only_common_seeds_count() -> None:
    other = result([cell("x", 1, right_on(60)), cell("x", 7, right_on(0))])
    found = compare_results(of({"x": 60}), other)
    assert (found[0].seeds, found[0].accuracy.value) == (1, 0)


def test_other_support_rows_are_told() -> None:
    other = result([cell("x", 0, right_on(30), support="others")])
    assert not compare_results(of({"x": 30}), other)[0].same_support


def test_other_test_rows_are_refused() -> None:
    with pytest.raises(DataFileError, match="other test rows"):
        compare_results(of({"x": 30}), result([cell("x", 0, right_on(30))], test="others"))


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(DataFileError, match="in common"):
        compare_results(of({"x": 30}), of({"y": 30}))


def test_methods_of_one_result() -> None:
    found = compare_methods(of({"ladder": 58, "tfidf": 40, "use": 57}), "ladder")
    assert [(one.first[0], one.verdict) for one in found] == [("tfidf", "better"), ("use", "noise")]
    with pytest.raises(DataFileError, match="Did you mean ladder"):
        compare_methods(of({"ladder": 58, "tfidf": 40}), "lader")
    with pytest.raises(DataFileError, match="nothing to compare"):
        compare_methods(of({"ladder": 58}), "ladder")


def test_methods_of_other_models_are_not_compared() -> None:
    cells = [cell(method, 0, right_on(30), model=model) for method in ("ladder", "lora") for model in ("a", "b")]
    found = compare_methods(result([*cells, cell("tfidf", 0, right_on(30))]), "ladder")
    assert sorted((one.second[1], one.first[1]) for one in found) == [("a", ""), ("a", "a"), ("b", ""), ("b", "b")]


def test_a_baseline_is_missed_by_more_than_noise_or_by_absence() -> None:
    baseline = of({"ladder": 50, "calibrated": 40})
    assert regressions(baseline, of({"ladder": 49, "calibrated": 60})) == []
    assert [line.en.split(":")[0] for line in regressions(baseline, of({"ladder": 20}))] == [
        "ladder k=4",
        "calibrated k=4",
    ]


def test_intervals_of_earlier_versions_are_made_anew(tmp_path: Path) -> None:
    """A baseline's summary without what it estimates, and with the bounds that the bootstrap gave it."""
    figure = Figure(value=1.0, low=1.0, high=1.0)
    summary = GroupSummary(
        method="x",
        model="",
        shots=4,
        seeds=(0, 1),
        accuracy=figure,
        by_seed=(1.0, 1.0),
        balanced_accuracy=figure,
        log_loss=figure,
        fit_seconds=1,
        predict_seconds=1,
    )
    write_result(of({"x": ROWS}, (0, 1)).model_copy(update={"summaries": (summary,)}), tmp_path / "result.json")
    found = read_result(tmp_path / "result.json").summaries[0]
    assert (found.estimand, found.seeds, found.accuracy.value) == ("rows", (0, 1), 1.0)
    assert found.accuracy.low == pytest.approx(0.025 ** (1 / ROWS))
    assert found.balanced_accuracy.low < 1 < found.accuracy.low + 0.1


@pytest.mark.parametrize(("seeds", "estimated"), [((0,), "rows"), (tuple(range(5)), "rows and draws")])
def test_a_difference_says_what_it_estimates_and_has_width(seeds: tuple[int, ...], estimated: str) -> None:
    found = compare_results(of({"x": 60}, seeds), of({"x": 60}, seeds))[0]
    assert (found.verdict, found.accuracy.value, found.accuracy.estimand) == ("same", 0, estimated)
    assert found.accuracy.low < 0 < found.accuracy.high
