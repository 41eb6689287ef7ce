"""The rungs with linear heads, and the mixture: what they say of a row comes from rows other than it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from fewshot_llm.data import Example, Problem, SupportSet, load_task
from fewshot_llm.errors import TuningError
from fewshot_llm.ladder import (
    QUICK_RUNGS,
    Candidate,
    Climb,
    Ladder,
    Skipped,
    label_evidence,
    one_rung,
    quick_ladder,
    run_ladder,
)
from fewshot_llm.ladder.rungs import Calibrated, HiddenHead, InContext, Mixture, Words
from fewshot_llm.predictors import (
    Inference,
    LinearPredictor,
    MixturePredictor,
    Resources,
    Unavailable,
    make_builder,
    pooled,
)
from fewshot_llm.scoring import TreeScorer
from fewshot_llm.types import Text

GOOD = ["质量很好", "物流很快", "非常满意", "值得购买", "great quality", "fast delivery", "love it", "works well"]
BAD = ["质量很差", "物流太慢", "非常失望", "不要购买", "poor quality", "late delivery", "hate it", "broke soon"]
ENDS = ["！", "，下次再来", "。给朋友也买了", " a", " b"]


@pytest.fixture
def support():
    texts = [text + end for end in ENDS for text in (*GOOD, *BAD)]
    labels = ["positive" if text in GOOD else "negative" for _ in ENDS for text in (*GOOD, *BAD)]
    return SupportSet.from_lists(texts, labels)


@pytest.fixture
def resources(llama, support):
    task = load_task("review-sentiment")
    scorer = TreeScorer(llama)
    return Resources.of(Inference(make_builder(task, "zh", scorer, shots=2), scorer, support))


def nothing_lent():
    raise Unavailable(Text("no model is here", "没有模型"))


def wordless(support):
    """Resources without any model."""
    return Resources(Problem(load_task("review-sentiment"), "zh", support), nothing_lent)


@pytest.mark.parametrize(("rung", "least"), [(Words(), 0.9), (HiddenHead(), 0.4)], ids=["words", "hidden-head"])
def test_a_head_learns_and_is_built_as_it_was_judged(rung, least, resources, support):
    climb = Climb(resources)
    found = rung.propose(climb)
    assert found.evidence.accuracy.value > least
    assert found.evidence.rows == tuple(range(len(support)))
    assert found.evidence.seconds_per_1000 > 0
    predictor = found.build()
    assert isinstance(predictor, LinearPredictor)
    assert predictor.labels == climb.problem.labels
    said = predictor.best([Example(row.fields) for row in support])
    assert (said == climb.problem.targets).mean() >= found.evidence.accuracy.value


def test_copies_of_a_row_do_not_judge_it(resources):
    """Texts without anything in common, each there twice: whoever sees the copy is always right."""
    texts = [f"{chr(0x4E00 + 37 * number)}{chr(0x5E00 + 53 * number)}" for number in range(24)]
    labels = ["positive", "negative"] * 12
    support = SupportSet.from_lists([*texts, *(text + " " for text in texts)], labels * 2)
    found = Words().propose(Climb(wordless(support)))
    assert found.evidence.accuracy.value < 0.8


def test_labels_by_chance_are_told_at_chance(support, resources):
    draw = np.random.default_rng(0)
    labels = draw.permutation(["positive", "negative"] * 40).tolist()
    shuffled = SupportSet.from_lists([f"{row.text} {number}" for number, row in enumerate(support)], labels)
    found = Words().propose(Climb(wordless(shuffled)))
    assert 0.3 < found.evidence.accuracy.value < 0.7
    assert found.evidence.log_loss.value < 0.9


def test_the_quick_ladder_without_a_model_has_words(support, monkeypatch):
    resources = wordless(support)
    monkeypatch.setattr(resources, "encoder", lambda name=None: nothing_lent())
    climbed = run_ladder(resources, quick_ladder())
    assert climbed.decision.rung == "words"
    assert set(climbed.decision.skipped) == {rung.name for rung in QUICK_RUNGS} - {"words"}
    assert climbed.decision.skipped["encoder"] == "no model is here"
    assert climbed.answers.shape == (len(support), 2)


def leaning(climb, rung, seed):
    """What a rung proposes, with answers that lean towards the right label and err by chance."""
    targets, draw = climb.problem.targets, np.random.default_rng(seed)
    scores = draw.normal(0, 1, (len(targets), 2))
    scores[np.arange(len(targets)), targets] += 1.5
    table = log_softmax(scores, axis=1)
    evidence = label_evidence(rung.name, range(len(targets)), targets, table, 1.0, seconds_per_1000=2.0)
    return Candidate(evidence, table, rung.propose(climb).build)


def test_a_mixture_is_of_what_was_measured(resources):
    climb = Climb(resources)
    climb.candidates += [leaning(climb, Words(), 1), leaning(climb, HiddenHead(), 2)]
    found = Mixture().propose(climb)
    weights = found.evidence.settings["weights"]
    assert list(weights) == ["words", "hidden-head"]
    assert min(weights.values()) > 0
    assert found.evidence.log_loss.value < min(one.evidence.log_loss.value for one in climb.candidates)
    assert found.evidence.seconds_per_1000 == 4.0
    predictor = found.build()
    assert isinstance(predictor, MixturePredictor)
    assert predictor.rungs == ("words", "hidden-head")
    tables = [part.log_probabilities([Example.of("很好")]) for part in predictor.parts]
    np.testing.assert_allclose(
        predictor.log_probabilities([Example.of("很好")]), pooled(tables, predictor.weights), atol=1e-9
    )


def test_a_mixture_needs_two(resources):
    climb = Climb(resources)
    assert isinstance(Mixture().propose(climb), Skipped)
    climb.candidates.append(Words().propose(climb))
    assert isinstance(Mixture().propose(climb), Skipped)


def test_the_prompt_as_it_is(resources):
    climb = Climb(resources)
    shown = InContext(search=False).propose(climb)
    assert shown.evidence.settings["settings_tried"] == 4  # two languages, two ways to read each
    assert shown.setting.shots == 2
    alone = Calibrated().propose(climb)
    climb.candidates.append(shown)
    np.testing.assert_allclose(Calibrated().propose(climb).out_of_fold, alone.out_of_fold, atol=1e-9)


def test_one_rung_alone(resources):
    climbed = run_ladder(resources, one_rung("words"))
    assert [found.rung for found in climbed.decision.evidence] == ["words"]
    with pytest.raises(TuningError, match="A mixture is made of other rungs"):
        one_rung("mixture")
    with pytest.raises(TuningError, match="Did you mean words"):
        one_rung("wrods")


def test_the_same_seed_gives_the_same_decision(resources):
    ladder = Ladder(target=1.0, seed=2, rungs=(Words(), HiddenHead(), Mixture()))
    one, two = (run_ladder(resources, ladder) for _ in range(2))
    np.testing.assert_array_equal(one.answers, two.answers)
    assert one.predictor.fingerprint == two.predictor.fingerprint
