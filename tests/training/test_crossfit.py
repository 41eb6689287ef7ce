from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm.data import folds, load_task
from fewshot_llm.errors import TuningError
from fewshot_llm.prompting import PromptBuilder, load_template
from fewshot_llm.scoring import Encoded
from fewshot_llm.training import (
    OverBudget,
    adapted,
    affordable_checks,
    checked_epochs,
    cross_fit,
    fit_adapter,
    label_table,
    row_maker,
    target_positions,
    train_adapter,
)


@pytest.fixture
def work(llama, support):
    task = load_task("review-sentiment")
    builder = PromptBuilder(task, load_template(task, "en"), "en", shots=0)
    return row_maker(builder, support, llama.tokenizer), target_positions(builder, support), folds(support, 2, seed=0)


def test_each_row_is_scored_by_an_adapter_that_did_not_see_it(llama, work, recipe):
    make, targets, splits = work
    found = cross_fit(llama, make, targets, splits, recipe, seed=5)
    assert set(found.losses) == set(checked_epochs(recipe.epochs))
    assert found.epochs == min(found.losses, key=lambda epoch: found.losses[epoch])
    for number, (kept, held) in enumerate(splits):
        rows = make(kept, kept, 0)
        alone = train_adapter(
            llama,
            lambda epoch, rows=rows: rows,
            [targets[row] for row in kept],
            recipe,
            seed=5 + number,
            stop_after=found.epochs,
        )
        tuned = adapted(llama, alone.adapter)
        np.testing.assert_allclose(found.scores[list(held)], label_table(tuned, make(kept, held, 0), 512), atol=1e-3)


def test_with_many_labels_fewer_epochs_are_checked():
    few = [Encoded((*range(10), *range(100 + row, 110 + row)), ((1,), (2,))) for row in range(0, 300, 10)]
    many = [Encoded((*range(20), row), tuple((label, 1, 2) for label in range(77))) for row in range(10)]
    assert affordable_checks(few, few, 8) == 4
    assert affordable_checks(few, many, 8) == 3  # 2 × 8 × (10 + 30 × 10) tokens learned, 1,570 asked
    assert affordable_checks(few, many, 1) == 2
    assert checked_epochs(6, 2) == (5, 6)


def test_demonstrations_come_from_the_folds_own_rows(llama, support, recipe):
    task = load_task("review-sentiment")
    builder = PromptBuilder(task, load_template(task, "en"), "en", shots=1)
    inner, asked = row_maker(builder, support, llama.tokenizer), []

    def make(pool, rows, draw):
        asked.append((tuple(pool), tuple(rows), draw))
        return inner(pool, rows, draw)

    splits = folds(support, 2, seed=0)
    targets = target_positions(builder, support)
    cross_fit(llama, make, targets, splits, recipe.model_copy(update={"demonstrations": 1}))
    allowed = {tuple(kept) for kept, _ in splits}
    assert {pool for pool, _, _ in asked} == allowed
    assert {draw for pool, rows, draw in asked if pool == rows} == set(range(recipe.epochs))


def test_it_gives_up_when_the_time_would_not_do(llama, work, recipe):
    make, targets, splits = work
    with pytest.raises(OverBudget) as error:
        cross_fit(llama, make, targets, splits, recipe, seconds_allowed=1e-3)
    assert error.value.args[0] > 1e-3


def test_folds_must_cover_every_row_once(llama, work, recipe):
    make, targets, splits = work
    everything = tuple(range(len(targets)))
    for wrong in (splits[:1], [*splits, splits[0]], [(everything, ()), *splits]):
        with pytest.raises(TuningError, match="exactly once"):
            cross_fit(llama, make, targets, wrong, recipe)


def test_no_row_is_encoded_twice_for_the_same_fold(llama, work, recipe):
    inner, targets, splits = work
    asked = []

    def make(pool, rows, draw):
        asked.append((tuple(pool), tuple(rows)))
        return inner(pool, rows, draw)

    cross_fit(llama, make, targets, splits, recipe)
    held_out = [call for call in asked if call[0] != call[1]]
    assert held_out == [(tuple(kept), tuple(held)) for kept, held in splits]


def test_the_final_adapter_averages_trainings_and_reports_them(llama, work, recipe):
    make, targets, _ = work
    seen = []
    twice = recipe.model_copy(update={"adapters": 2})
    fitted = fit_adapter(llama, make, targets, twice, epochs=2, on_epoch=seen.append)
    assert [(report.epoch, report.epochs) for report in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert fitted.adapter.config["r"] == 2 * recipe.rank
    assert len(fitted.losses) == 2
    assert 0 <= fitted.accuracy <= 1
    assert not fitted.interrupted


def test_ctrl_c_in_the_final_training_keeps_what_is_finished(llama, work, recipe):
    make, targets, _ = work

    def stop(report):
        if report.epoch == 4:
            raise KeyboardInterrupt

    fitted = fit_adapter(llama, make, targets, recipe.model_copy(update={"adapters": 2}), epochs=3, on_epoch=stop)
    assert fitted.interrupted
    whole = fit_adapter(llama, make, targets, recipe, epochs=3)
    assert fitted.adapter.fingerprint == whole.adapter.fingerprint


def test_an_unfinished_final_training_goes_on(llama, work, recipe, tmp_path):
    make, targets, _ = work

    def stop(report):
        if report.epoch == 1:
            raise KeyboardInterrupt

    fit_adapter(llama, make, targets, recipe, checkpoints=tmp_path, on_epoch=stop)
    seen = []
    resumed = fit_adapter(llama, make, targets, recipe, checkpoints=tmp_path, on_epoch=seen.append)
    assert [report.epoch for report in seen] == [2, 3]
    assert resumed.adapter.fingerprint == fit_adapter(llama, make, targets, recipe).adapter.fingerprint
