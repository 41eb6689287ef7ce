"""Suites run with a tiny model and a real peer process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fewshot_llm.errors import DataFileError, FewshotError, TaskError
from fewshot_llm.evaluation import compare_methods, compare_results, evaluate, regressions
from fewshot_llm.evaluation.suite import (
    Cell,
    CellResult,
    Suite,
    SuiteCallbacks,
    SuitePart,
    SuiteResult,
    read_result,
    run_suite,
    write_result,
)
from tests.evaluation.conftest import MakeSuite


def measured(
    suite: Suite, out: Path, elsewhere: Callable[[Cell], None] = lambda cell: None, **options: Any
) -> tuple[SuiteResult, list[Cell], list[Cell]]:
    """The result, the cells that were begun, those that failed."""
    begun: list[Cell] = []
    failed: list[Cell] = []
    watch = SuiteCallbacks(
        begins=lambda cell, done, total: begun.append(cell),
        failed=lambda cell, error: failed.append(cell),
        elsewhere=elsewhere,
    )
    return run_suite(suite, out, watch=watch, allow_scripts=True, **options), begun, failed


def test_every_cell_is_measured_once_and_kept(make_suite: MakeSuite, tmp_path: Path) -> None:
    suite = make_suite()
    first, begun, failed = measured(suite, tmp_path / "out")
    assert len(begun) == len(set(begun)) == 6
    assert not failed
    again, begun, _ = measured(suite, tmp_path / "out")
    assert begun == []
    assert again.cells == first.cells
    assert measured(suite, tmp_path / "out", overwrite=True)[1] != []


def test_an_interrupted_run_goes_on_where_it_stopped(make_suite: MakeSuite, tmp_path: Path) -> None:
    suite = make_suite()

    def stop(cell: Cell, done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_suite(suite, tmp_path / "out", watch=SuiteCallbacks(begins=stop), allow_scripts=True)
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 4
    resumed, begun, _ = measured(suite, tmp_path / "out")
    assert len(begun) == 2
    whole, _, _ = measured(suite, tmp_path / "other")
    assert [cell.predicted for cell in resumed.cells] == [cell.predicted for cell in whole.cells]


def test_runs_side_by_side_share_the_cells(make_suite: MakeSuite, tmp_path: Path) -> None:
    suite, out = make_suite(), tmp_path / "out"
    inner: list[tuple[SuiteResult, list[Cell]]] = []
    begun: list[Cell] = []
    left: list[Cell] = []

    def begins(cell: Cell, done: int, total: int) -> None:
        begun.append(cell)
        if not inner:  # a second run starts while the first is at its first cell, and ends before it
            inner.append(measured(suite, out, elsewhere=left.append)[:2])

    outer = run_suite(suite, out, watch=SuiteCallbacks(begins=begins), allow_scripts=True)
    (second, taken), first = inner[0], begun[0]
    assert (begun, left) == ([first], [first])
    assert len(taken) == len(second.cells) == 5
    assert first not in taken
    assert len(outer.cells) == 6


def test_more_seeds_and_methods_keep_what_is_done(make_suite: MakeSuite, tmp_path: Path) -> None:
    measured(make_suite(), tmp_path / "out")
    _, begun, _ = measured(make_suite(seeds="[0, 1, 2]", rungs='["zero-shot", "in-context"]'), tmp_path / "out")
    assert sorted(map(str, {cell.method for cell in begun})) == ["in-context", "terms", "zero-shot"]
    assert len(begun) == 5


def test_some_methods_now_and_others_later(make_suite: MakeSuite, tmp_path: Path) -> None:
    suite = make_suite()
    first, begun, _ = measured(suite, tmp_path / "out", part=SuitePart(methods=["terms"]))
    assert {cell.method for cell in begun} == {"terms"}
    assert len(first.cells) == 2
    second, begun, _ = measured(suite, tmp_path / "out", part=SuitePart(methods=["in-context"]), overwrite=True)
    assert {cell.method for cell in begun} == {"in-context"}
    assert second.cells[:2] == first.cells


def test_some_shots_seeds_and_models_now(make_suite: MakeSuite, tmp_path: Path) -> None:
    suite, out = make_suite(shots="[2, 3]", rungs='["zero-shot"]'), tmp_path / "out"
    _, begun, _ = measured(suite, out, part=SuitePart(shots=[3], seeds=[1]))
    assert {(cell.method, cell.shots, cell.seed) for cell in begun} == {("terms", 3, 1), ("zero-shot", 3, 1)}
    _, begun, _ = measured(suite, out, part=SuitePart(models=suite.models))
    assert {(cell.method, cell.shots, cell.seed) for cell in begun} == {
        ("zero-shot", 2, 0),
        ("zero-shot", 2, 1),
        ("zero-shot", 3, 0),
    }
    assert len(measured(suite, out)[0].cells) == 8


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (SuitePart(methods=["term"]), "no method 'term'. Did you mean terms"),
        (SuitePart(models=["gemma"]), "no model 'gemma'. Known: .*tiny"),
        (SuitePart(shots=[4]), "no number of shots 4. Known: 2."),
        (SuitePart(seeds=[0, 2]), "no seed 2. Known: 0, 1."),
    ],
)
def test_a_part_that_is_not_there_is_refused(
    make_suite: MakeSuite, tmp_path: Path, part: SuitePart, message: str
) -> None:
    with pytest.raises(TaskError, match=message):
        measured(make_suite(), tmp_path / "out", part=part)


def test_cells_of_other_settings_are_not_taken_for_these(make_suite: MakeSuite, tmp_path: Path) -> None:
    measured(make_suite(), tmp_path / "out")
    with pytest.raises(DataFileError, match="other settings"):
        measured(make_suite(data="test_rows = 9"), tmp_path / "out")
    assert len(measured(make_suite(data="test_rows = 9"), tmp_path / "out", overwrite=True)[1]) == 6


def test_a_damaged_cell_is_named(make_suite: MakeSuite, tmp_path: Path) -> None:
    measured(make_suite(), tmp_path / "out")
    path = next((tmp_path / "out" / "cells").iterdir())
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    with pytest.raises(DataFileError, match="no finished cell"):
        measured(make_suite(), tmp_path / "out")


def test_figures_are_those_of_evaluate(make_suite: MakeSuite, tmp_path: Path, tiny_model_folder: Path) -> None:
    suite = make_suite(peers="[]", rungs='["calibrated"]')
    found, _, _ = measured(suite, tmp_path / "out")
    from fewshot_llm.evaluation.suite import read_data

    data = read_data(suite.data, suite.described_task())
    same = evaluate(data.task, data.pool, data.test, model=str(tiny_model_folder), shots=[2], seeds=[0, 1], ladder=None)
    assert found.summaries[0].by_seed == pytest.approx([run.figures.accuracy.value for run in same.runs])
    assert found.summaries[0].log_loss.value == pytest.approx(same.summaries[0].log_loss.value, abs=1e-4)


def test_a_peer_sees_the_same_rows_and_never_the_test_labels(make_suite: MakeSuite, tmp_path: Path) -> None:
    found, _, _ = measured(make_suite(), tmp_path / "out")
    peer = [cell for cell in found.cells if cell.cell.method == "terms"]
    own = [cell for cell in found.cells if cell.cell.method == "in-context"]
    assert [cell.support_fingerprint for cell in peer] == [cell.support_fingerprint for cell in own]
    assert peer[0].versions == {"peer": "1"}
    assert np.array_equal(peer[0].predictions, found.right_labels)  # "good" and "broken" are easy
    assert peer[0].losses == pytest.approx(np.where(found.right_labels == 0, -np.log(0.9), -np.log(0.8)), abs=1e-4)


def test_a_peer_that_fails_or_is_not_installed_stops_nothing(make_suite: MakeSuite, tmp_path: Path) -> None:
    reasons: list[FewshotError] = []
    watch = SuiteCallbacks(failed=lambda cell, error: reasons.append(error))
    suite = make_suite(peers='["broken", "absent", "terms"]', rungs="[]", seeds="[0]")
    found = run_suite(suite, tmp_path / "out", watch=watch, allow_scripts=True)
    assert [cell.cell.method for cell in found.cells] == ["terms"]
    assert list(found.failures) == ["broken k=2 seed=0", "absent k=2 seed=0"]
    assert "no network" in str(reasons[0])
    assert ".venv-nowhere is not there; make a virtual environment there" in str(reasons[1])
    assert "the packages that words.py imports" in str(reasons[1])


def test_an_unknown_peer_is_refused_before_anything_runs(make_suite: MakeSuite, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="Did you mean terms"):
        measured(make_suite(peers='["termz"]'), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_ladder_and_lora_leave_their_decision(make_suite: MakeSuite, tmp_path: Path) -> None:
    recipe = tmp_path / "quick.toml"
    recipe.write_text("epochs = 2\nfolds = 2\nrank = 2\n", encoding="utf-8")
    suite = make_suite(rungs='["ladder", "lora"]', peers="[]", seeds="[0]", recipe=f'"{recipe}"')
    found, _, failed = measured(suite, tmp_path / "out")
    assert not failed
    ladder, lora = found.cells
    assert ladder.facts["rung"] == ladder.facts["decision"]["rung"]
    assert "rows" not in ladder.facts["decision"]["evidence"][0]
    assert lora.facts["rung"] == "lora"
    assert len(lora.facts["training"]["losses"]) <= 2
    assert found.summaries[0].rungs == (ladder.facts["rung"],)


def test_rungs_without_a_prompt_are_cells(make_suite: MakeSuite, tmp_path: Path) -> None:
    """A rung by its name, and what the quick ladder chooses; each keeps what the decision says."""
    rungs = ["words", "encoder", "hidden-head", "quick"]
    suite = make_suite(rungs=json.dumps(rungs), peers="[]", seeds="[0]", shots="[4]")
    found, _, failed = measured(suite, tmp_path / "out")
    assert not failed
    words, encoder, hidden, quick = found.cells
    assert [cell.facts["rung"] for cell in found.cells[:3]] == rungs[:3]
    assert evidence_of(encoder)[0]["settings"]["encoder"] == "e5-small"
    assert evidence_of(hidden)[0]["settings"]["layer"] in (1, 2)
    assert evidence_of(quick)[0]["rung"] == "words"
    assert quick.facts["rung"] in {one["rung"] for one in evidence_of(quick)}
    for cell in found.cells:
        assert all(one["seconds_per_1000"] is None or one["seconds_per_1000"] > 0 for one in evidence_of(cell))
    assert (words.tokens_computed, "template" in words.facts) == (0, False)
    assert np.array_equal(words.predictions, found.right_labels)  # "good" and "broken" are easy


def evidence_of(cell: CellResult) -> list[dict[str, Any]]:
    evidence: list[dict[str, Any]] = cell.facts["decision"]["evidence"]
    return evidence


def test_a_peer_with_the_name_of_a_rung_is_refused(make_suite: MakeSuite) -> None:
    with pytest.raises(TaskError, match="'words' is called like a rung"):
        make_suite(peers='["words"]')


def test_a_result_is_read_back_as_it_was(make_suite: MakeSuite, tmp_path: Path) -> None:
    found, _, _ = measured(make_suite(), tmp_path / "out")
    write_result(found, tmp_path / "result.json")
    assert read_result(tmp_path / "result.json") == found
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataFileError, match="not a suite's result"):
        read_result(tmp_path / "other.json")


def test_a_result_is_the_same_as_itself_and_misses_no_baseline(make_suite: MakeSuite, tmp_path: Path) -> None:
    found, _, _ = measured(make_suite(), tmp_path / "out")
    assert {one.verdict for one in compare_results(found, found)} == {"same"}
    assert regressions(found, found) == []
    assert {one.second[0] for one in compare_methods(found, "terms")} == {"terms"}
