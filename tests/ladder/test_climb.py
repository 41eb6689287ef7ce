from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from fewshot_llm.artifacts import Artifact, save_artifact
from fewshot_llm.data import Example, SupportSet, load_task
from fewshot_llm.errors import TuningError
from fewshot_llm.estimators import FewShotClassifier
from fewshot_llm.ladder import Climb, Ladder, LadderCallbacks, run_ladder
from fewshot_llm.ladder.rungs import (
    Calibrated,
    InContext,
    Lora,
    PromptSetting,
    RememberingScorer,
    TunedPredictor,
    ZeroShot,
    allowed_search,
    candidate_settings,
    languages_to_try,
    score_settings,
    with_setting,
)
from fewshot_llm.predictors import Inference, Resources, make_builder
from fewshot_llm.prompting import Balanced
from fewshot_llm.scoring import TreeScorer, body_flops
from fewshot_llm.training import Recipe

RECIPE = Recipe(name="tiny", rank=4, alpha=8, learning_rate=1e-2, epochs=20, batch_rows=4, folds=3)
pytestmark = pytest.mark.parametrize("any_model", ["qwen2"], indirect=True)
PROMPTS = (ZeroShot(), InContext(), Calibrated(), Lora())
RECIPE_ONLY = Ladder(target=1.0, recipe=RECIPE, rungs=PROMPTS)
GOOD = ["great quality", "great box", "great price", "great delivery", "great seller", "great colour"]
BAD = ["broken quality", "broken box", "broken price", "broken delivery", "broken seller", "broken colour"]


@pytest.fixture
def inference(any_model):
    support = SupportSet.from_lists(GOOD + BAD, ["positive"] * 6 + ["negative"] * 6)
    scorer = TreeScorer(any_model, 256)
    return Inference(make_builder(load_task("review-sentiment"), "en", scorer), scorer, support)


class Counting:
    def __init__(self, scorer):
        self.scorer, self.prompts = scorer, 0
        self.language_model = scorer.language_model

    fingerprint = property(lambda self: self.scorer.fingerprint)

    def log_probs(self, prompts, progress=None):
        self.prompts += len(prompts)
        return self.scorer.log_probs(prompts, progress)

    def best(self, prompts, k=1, progress=None, offsets=None):
        return self.scorer.best(prompts, k, progress, offsets)


def test_a_low_target_ends_on_the_first_rung_and_costs_no_more(inference):
    counting = Counting(inference.scorer)
    climbed = run_ladder(
        Resources.of(replace(inference, scorer=counting)), Ladder(target=0.01, recipe=RECIPE, rungs=PROMPTS)
    )
    assert climbed.decision.rung == "zero-shot"
    assert not isinstance(climbed.predictor, TunedPredictor)
    assert counting.prompts == len(inference.support)
    assert climbed.predictor.inference.builder.shots == 0


def test_a_model_that_knows_nothing_ends_on_the_adapter(inference):
    seen = []
    callbacks = LadderCallbacks(rung=seen.append, fold=lambda report: None)
    climbed = run_ladder(Resources.of(inference), Ladder(target=1.0, recipe=RECIPE, rungs=PROMPTS), callbacks=callbacks)
    assert seen == ["zero-shot", "in-context", "calibrated", "lora"]
    assert climbed.decision.rung == "lora"
    assert [found.rung for found in climbed.decision.evidence] == seen
    assert climbed.decision.skipped == {}
    texts = [Example.of(text) for text in GOOD + BAD]
    found = climbed.predictor.answer(texts).log_probabilities.argmax(axis=1)
    assert (found == [0] * 6 + [1] * 6).mean() > 0.9
    assert climbed.predictor.tuned.fitted.losses[-1] < climbed.predictor.tuned.fitted.losses[0]
    # The model that was given still has no adapter.
    assert not any("lora" in name for name, _ in inference.scorer.language_model.model.named_modules())


def test_the_same_seed_gives_the_same_decision(inference):
    one, two = (
        run_ladder(Resources.of(inference), Ladder(target=1.0, recipe=RECIPE, seed=3, rungs=PROMPTS)).decision
        for _ in range(2)
    )
    untimed = [
        d.model_dump(exclude={"seconds": True, "evidence": {"__all__": {"seconds", "seconds_per_1000"}}})
        for d in (one, two)
    ]
    assert untimed[0] == untimed[1]


class Slow(Counting):
    def log_probs(self, prompts, progress=None):
        time.sleep(0.1)
        return super().log_probs(prompts, progress)


def searched(inference, ladder=RECIPE_ONLY):
    climb = Climb(Resources.of(inference), ladder.seed, ladder.budget_minutes, RECIPE)
    return InContext().propose(climb).evidence.settings


def test_a_slow_machine_tries_as_many_settings(inference, monkeypatch):
    assert searched(inference)["settings_tried"] == len(list(candidate_settings(inference)))
    monkeypatch.setattr(
        "fewshot_llm.ladder.rungs.prompted.IN_CONTEXT_WORK", 1500 * body_flops(inference.scorer.language_model.model)
    )
    fast, slow = searched(inference), searched(replace(inference, scorer=Slow(inference.scorer)))
    assert fast == slow
    assert fast["bytes_allowed"] == 1500
    assert 1 < fast["settings_tried"] < len(list(candidate_settings(inference)))


def test_an_accelerator_is_given_more_to_read(inference):
    there = Counting(inference.scorer)
    there.language_model = replace(there.language_model, device=torch.device("cuda"))
    climbs = [Climb(Resources.of(replace(inference, scorer=scorer))) for scorer in (inference.scorer, there)]
    here, there = (allowed_search(climb)["bytes_allowed"] for climb in climbs)
    assert there == pytest.approx(50 * here)


def test_a_budget_and_a_model_elsewhere_are_limited_by_the_clock(inference):
    assert searched(inference, Ladder(budget_minutes=1e-4))["settings_tried"] == 1
    elsewhere = Counting(inference.scorer)
    del elsewhere.language_model
    assert searched(replace(inference, scorer=elsewhere))["seconds_allowed"] == 120.0


def test_a_budget_that_is_too_small_is_the_reason_for_no_adapter(inference):
    climbed = run_ladder(Resources.of(inference), Ladder(target=1.0, recipe=RECIPE, budget_minutes=1e-4, rungs=PROMPTS))
    assert climbed.decision.rung != "lora"
    assert "min" in climbed.decision.skipped["lora"]
    with pytest.raises(TuningError, match="lora was not measured: its folds alone"):
        run_ladder(Resources.of(inference), Ladder(recipe=RECIPE, budget_minutes=1e-4, rungs=(Lora(),)))


def test_a_model_elsewhere_cannot_be_trained(inference):
    class Remote(Counting):
        def __init__(self, scorer):
            self.scorer, self.prompts = scorer, 0

    remote = replace(inference, scorer=Remote(inference.scorer))
    decision = run_ladder(Resources.of(remote), Ladder(target=1.0, recipe=RECIPE, rungs=PROMPTS)).decision
    assert "runs elsewhere" in decision.skipped["lora"]


def test_forced_training_skips_the_other_rungs(inference):
    climbed = run_ladder(Resources.of(inference), Ladder(target=0.01, recipe=RECIPE, rungs=(Lora(),)))
    assert climbed.decision.rung == "lora"
    assert [found.rung for found in climbed.decision.evidence] == ["lora"]


def test_three_ways_of_reading_cost_one_pass(inference):
    counting = Counting(inference.scorer)
    settings = [PromptSetting(1, Balanced(), name) for name in ("sum", "mean")]
    scored = score_settings(replace(inference, scorer=counting), settings)
    alone = Counting(inference.scorer)
    score_settings(replace(inference, scorer=alone), settings[:1])
    assert counting.prompts == alone.prompts
    assert [found.setting for found in scored] == settings


def test_a_remembered_score_is_the_same(inference):
    remembering = RememberingScorer(inference.scorer)
    prompts = inference.prompts([Example.of("great"), Example.of("broken"), Example.of("great")])
    plain = [row.log_probs for row in inference.scorer.log_probs(prompts)]
    for _ in range(2):
        np.testing.assert_allclose([row.log_probs for row in remembering.log_probs(prompts)], plain, atol=1e-5)
    assert remembering.best(prompts)[0].indices == inference.scorer.best(prompts)[0].indices
    assert remembering.fingerprint == inference.scorer.fingerprint


def test_settings_leave_a_row_of_each_class_to_hold_out(inference):
    found = list(candidate_settings(inference))
    assert all(s.shots < 6 for s in found if s.selection == Balanced())
    assert len(set(found)) == len(found)
    assert {s.normalisation for s in found} == {"sum", "pmi"}
    assert with_setting(inference, found[0]).builder.shots == found[0].shots


@pytest.fixture
def chinese(inference):
    task = load_task("review-sentiment")
    rows = SupportSet.from_lists(
        [f"{word}{i}" for word in ("很好", "太差") for i in range(6)], ["positive"] * 6 + ["negative"] * 6, task
    )
    return Inference(make_builder(task, "zh", inference.scorer), inference.scorer, rows)


def test_another_language_than_english_is_tried_beside_english(chinese, inference):
    found = list(candidate_settings(chinese))
    assert [s.language for s in found[:4]] == [None] * 2 + ["en"] * 2
    assert {s.shots for s in found if s.language == "en"} == {s.shots for s in found if s.language is None}
    assert languages_to_try(inference) == [None], "English prompts are asked in English only"
    asked = with_setting(chinese, found[2]).builder
    assert (asked.language, asked.template.name) == ("en", "review-sentiment/en.v2")
    prompt = asked.build(Example.of("物流快"), chinese.support)
    assert prompt.text.endswith("Review: 物流快\nSentiment: ")
    assert prompt.answers == ("positive", "negative")


def test_a_template_of_ones_own_is_asked_in_its_language_only(chinese):
    own = replace(chinese.builder.template, source=chinese.builder.template.source + "\n")
    assert languages_to_try(replace(chinese, builder=replace(chinese.builder, template=own))) == [None]


def test_an_adapter_is_trained_in_the_language_that_was_asked_for(chinese):
    assert Lora().propose(Climb(Resources.of(chinese), recipe=RECIPE)).evidence.settings["language"] == "zh"


def test_what_is_asked_in_english_is_saved_and_loaded_in_english(chinese, tmp_path, monkeypatch):
    monkeypatch.setattr("fewshot_llm.ladder.rungs.prompted.PromptSetting", partial(PromptSetting, language="en"))
    climbed = run_ladder(Resources.of(chinese), Ladder(target=0.01, rungs=(ZeroShot(),)))
    artifact = Artifact(climbed.predictor, ("negative", "positive"), decision=climbed.decision)
    save_artifact(artifact, tmp_path / "out")
    loaded = FewShotClassifier.load(tmp_path / "out", model=chinese.scorer)
    assert loaded.predictor_.inference.builder.language == "en"
    queries = [Example.of("物流快"), Example.of("坏了")]
    np.testing.assert_allclose(
        loaded.predictor_.answer(queries).log_probabilities,
        climbed.predictor.answer(queries).log_probabilities,
        atol=1e-5,
    )
