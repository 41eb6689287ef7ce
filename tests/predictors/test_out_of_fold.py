from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fewshot_llm import SupportSet, load_task
from fewshot_llm.data import Example, normalise_text
from fewshot_llm.predictors import (
    Inference,
    PointwiseMutualInformation,
    make_builder,
    make_scorer,
    plan_folds,
    score_held_out,
)
from fewshot_llm.prompting import Balanced, Nearest
from tests.word_scorer import WordScorer

TASK = load_task("review-sentiment")


def inference_for(support: SupportSet, shots: int, scorer=None, **options) -> Inference:
    scorer = scorer or WordScorer()
    return Inference(make_builder(TASK, "zh", scorer, shots=shots, **options), scorer, support)


def numbered(positive: int, negative: int) -> SupportSet:
    texts = [f"好 {n}" for n in range(positive)] + [f"差 {n}" for n in range(negative)]
    return SupportSet.from_lists(texts, ["positive"] * positive + ["negative"] * negative, TASK)


@settings(max_examples=40, deadline=None)
@given(
    positive=st.integers(1, 12),
    negative=st.integers(1, 12),
    shots=st.integers(0, 14),
    draw=st.integers(0, 2),
    seed=st.integers(0, 3),
)
def test_no_row_is_ever_shown_in_its_own_prompt(positive, negative, shots, draw, seed):
    support = numbered(positive, negative)
    scorer = WordScorer()
    found = score_held_out(inference_for(support, shots, scorer, seed=seed), draw)
    prompts = scorer.calls[-1] if scorer.calls else []
    assert len(prompts) == len(found.rows) == len(set(found.rows.tolist()))
    for prompt in prompts:
        *shown, query = [line.removeprefix("评论：") for line in prompt.text.splitlines() if line.startswith("评论：")]
        assert query not in shown
    assert [support[row].label for row in found.rows] == [TASK.labels[t] for t in found.targets]
    assert found.rows.tolist() == sorted(found.rows)
    if shots == 0 or min(positive, negative) > 1:
        assert len(found.rows) == len(support)


def test_rows_that_are_not_shown_are_scored_under_the_served_prompt():
    support = numbered(8, 8)
    inference = inference_for(support, shots=2)
    served = inference.prompts([Example({"text": "新"})])[0]
    first, *others = plan_folds(inference)
    assert first.served
    assert set(first.rows) == set(range(16)) - set(served.demonstrations)
    assert not any(fold.served for fold in others)
    prompt = inference.builder.build(Example(support[first.rows[0]].fields), first.support)
    assert prompt.text.split("评论：")[:-1] == served.text.split("评论：")[:-1]


def test_folds_take_one_row_of_each_class_so_that_classes_stay_balanced():
    inference = inference_for(numbered(4, 4), shots=4)
    plan = plan_folds(inference)
    assert len(plan) == 4
    for fold in plan:
        assert sorted(inference.support[row].label for row in fold.rows) == ["negative", "positive"]
        assert [len(rows) for rows in fold.support.by_label().values()] == [3, 3]


def test_many_demonstrations_cost_few_prefixes():
    scorer = WordScorer()
    inference = inference_for(numbered(32, 32), shots=16, scorer=scorer)
    score_held_out(inference)
    prefixes = {prompt.text.rsplit("评论：", 1)[0] for prompt in scorer.calls[-1]}
    assert len(prefixes) <= 11


def test_a_class_with_one_row_cannot_be_held_out():
    found = score_held_out(inference_for(numbered(1, 5), shots=4))
    assert 0 not in found.rows
    assert len(found.rows) == 5
    assert len(score_held_out(inference_for(numbered(1, 1), shots=1)).rows) == 0


def test_copies_of_a_text_are_held_out_together():
    examples = [Example({"text": t}, label) for t, label in [("好 A", "positive"), ("好 a", "positive")]]
    examples += [Example({"text": f"差 {n}"}, "negative") for n in range(3)]
    examples += [Example({"text": f"好 {n}"}, "positive") for n in range(3)]
    support = SupportSet(tuple(examples), TASK.labels)
    for shots in (1, 2, 5):
        for fold in plan_folds(inference_for(support, shots)):
            held = {normalise_text(support[row].text) for row in fold.rows}
            if not fold.served:
                assert not held & {normalise_text(example.text) for example in fold.support}


def test_a_selection_that_depends_on_the_query_is_asked_row_by_row():
    scorer = WordScorer()
    found = score_held_out(inference_for(numbered(3, 3), 2, scorer, selection=Nearest()))
    assert len(found.rows) == 6
    assert not found.served.any()


@pytest.mark.parametrize("selection", [Balanced(), Nearest()])
def test_pmi_takes_its_baseline_under_the_same_demonstrations(selection):
    scorer = WordScorer(lean=(3.0, 0.0), pull=1.0)
    inference = inference_for(numbered(3, 3), 3, scorer, selection=selection)
    inference = Inference(inference.builder, scorer, inference.support, PointwiseMutualInformation())
    found = score_held_out(inference)
    # Lean and demonstrations cancel out exactly; what the query's words add stays.
    assert found.scores == pytest.approx(np.where(np.eye(2)[found.targets] == 1, 2.0, 0.0))


@pytest.mark.parametrize("shots", [0, 2, 4])
def test_batched_scores_are_those_of_one_prompt_at_a_time(llama, shots):
    support = numbered(4, 4)
    scorer = make_scorer(llama, "zh")
    inference = inference_for(support, shots, scorer)
    found = score_held_out(inference)
    for fold in plan_folds(inference):
        for row in fold.rows:
            alone = scorer.log_probs([inference.builder.build(Example(support[row].fields), fold.support)])[0]
            assert found.scores[found.rows.tolist().index(row)] == pytest.approx(alone.log_probs, abs=1e-4)
