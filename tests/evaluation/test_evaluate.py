from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from fewshot_llm import FewShotClassifier, SupportSet, load_task
from fewshot_llm.data import Problem
from fewshot_llm.errors import SupportError, TaskError
from fewshot_llm.evaluation import evaluate, evaluate_fitted, from_document
from fewshot_llm.files import write_rows
from fewshot_llm.ladder import Ladder
from fewshot_llm.ladder.rungs import EncoderHead, Words, words_predictor
from fewshot_llm.report import evaluation_document, to_markdown
from fewshot_llm.stats import Uncalibrated, accuracy

TASK = load_task("review-sentiment")


def reviews(n: int, name: str) -> SupportSet:
    praise, blame = ("很好", "喜欢", "推荐"), ("太差", "退货", "失望")
    texts = [f"{kind[i % 3]}，{name}{i}" for i in range(n) for kind in (praise, blame)]
    return SupportSet.from_lists(texts, ["positive", "negative"] * n, TASK)


SUPPORT, TEST = reviews(6, "甲"), reviews(5, "乙")


@cache
def measured(model):
    return evaluate(TASK, SUPPORT, TEST, model=model, shots=(0, 2), seeds=(0, 1, 2), ladder=None)


@pytest.fixture
def result(llama):
    return measured(llama)


def test_there_is_a_run_for_each_number_of_shots_and_seed(result):
    assert [(run.shots, run.seed) for run in result.runs] == [(k, s) for k in (0, 2) for s in (0, 1, 2)]
    assert [run.support_rows for run in result.runs] == [0, 0, 0, 4, 4, 4]
    assert len({run.support_fingerprint for run in result.runs[3:]}) == 3
    assert [(s.shots, s.seeds) for s in result.summaries] == [(0, (0, 1, 2)), (2, (0, 1, 2))]
    assert all(run.figures.n == 10 for run in result.runs)


def test_the_same_numbers_come_from_the_classifier(result, llama):
    run = result.runs[4]
    classifier = FewShotClassifier(TASK, llama, shots=2, seed=1).fit_support(SUPPORT.sample(2, 1))
    labels = [str(example.label) for example in TEST]
    assert classifier.score(list(TEST), labels) == run.figures.accuracy.value
    order = [classifier.classes_.tolist().index(label) for label in result.labels]
    assert classifier.predict_proba(list(TEST))[:, order] == pytest.approx(np.exp(run.log_probabilities), abs=1e-5)
    assert classifier.calibrations_ == run.calibrations


def test_summaries_are_means_over_seeds(result):
    for summary in result.summaries:
        same = [run for run in result.runs if run.shots == summary.shots]
        assert summary.accuracy.value == pytest.approx(np.mean([run.figures.accuracy.value for run in same]))
        assert summary.log_loss.value == pytest.approx(np.mean([run.figures.log_loss.value for run in same]))
        assert summary.accuracy.low <= summary.accuracy.value <= summary.accuracy.high
    run = result.runs[0]
    assert run.figures.accuracy == accuracy(run.targets, run.log_probabilities.argmax(axis=1))


def test_runs_say_what_they_cost(result):
    for run in result.runs:
        assert 0 < run.tokens_computed < run.tokens_asked
        assert run.rows_per_second == pytest.approx(10 / run.predict_seconds)


def test_the_result_is_json(result):
    text = json.dumps(result.to_json(), ensure_ascii=False, allow_nan=False)
    again = json.loads(text)
    assert again["runs"][3]["figures"]["accuracy"]["value"] == result.runs[3].figures.accuracy.value
    assert len(again["rows"]) == len(again["runs"][0]["log_probabilities"]) == 10
    assert again["model"]["name"] == "tiny-llama"
    assert again["versions"]["transformers"]
    assert np.sum(again["runs"][0]["figures"]["confusion"]) == 10


def test_figures_do_not_depend_on_when_they_are_taken(result, llama):
    again = evaluate(TASK, SUPPORT, TEST, model=llama, shots=(2,), seeds=(1,), ladder=None).runs[0]
    assert again.figures == result.runs[4].figures
    assert (again.support_fingerprint, again.prompt_fingerprint) == (
        result.runs[4].support_fingerprint,
        result.runs[4].prompt_fingerprint,
    )


def test_leaked_test_rows_are_left_out_and_counted(llama):
    leaky = SupportSet.from_lists(
        [*(e.text for e in TEST), f" {SUPPORT[0].text}！".replace("！", "")],
        [*(e.label for e in TEST), "positive"],
        TASK,
    )
    found = evaluate(TASK, SUPPORT, leaky, model=llama, shots=(1,), seeds=(0,))
    assert (found.test.given, found.test.kept, found.test.leaked) == (11, 10, 1)
    assert found.runs[0].figures.n == 10
    with pytest.raises(SupportError, match="also in the support set"):
        evaluate(TASK, SUPPORT, SUPPORT, model=llama, shots=(1,), seeds=(0,))


def test_labels_that_the_support_set_lacks_cannot_be_measured(llama):
    intent = load_task("customer-intent")
    support = SupportSet.from_lists(["aa", "bb", "cc", "dd"], ["x", "y"] * 2, intent)
    test = SupportSet.from_lists(["ee", "ff", "gg"], ["x", "y", "z"], intent)
    found = evaluate(intent, support, test, model=llama, shots=(1,), seeds=(0,))
    assert (found.labels, found.test.kept, found.test.unknown_label) == (("x", "y"), 2, 1)


def test_rows_per_class_leaves_rows_for_calibration(llama):
    found = evaluate(TASK, SUPPORT, TEST, model=llama, shots=(0, 1), seeds=(0,), rows_per_class=4, ladder=None)
    assert [run.support_rows for run in found.runs] == [8, 8]
    assert [run.calibrations[0].method for run in found.runs] == ["out-of-fold", "out-of-fold"]


def test_files_and_names_and_options(llama, tmp_path):
    for name, rows in (("support.csv", SUPPORT), ("test.jsonl", TEST)):
        write_rows(tmp_path / name, [{"评论": example.text, "情感": example.label} for example in rows])
    seen: list[tuple[int, int]] = []
    found = evaluate(
        "review-sentiment",
        tmp_path / "support.csv",
        tmp_path / "test.jsonl",
        model=llama,
        shots=(1,),
        seeds=(0, 1),
        columns={"text": "评论", "label": "情感"},
        progress=lambda done, total: seen.append((done, total)),
        calibration=Uncalibrated(),
        language="en",
        label_words={"positive": "good"},
    )
    assert found.language == "en"
    assert found.options == {"calibration": "Uncalibrated()"}
    assert found.runs[0].calibrations[0].method == "none"
    assert seen[-1] == (20, 20)
    assert seen == sorted(seen)


def test_three_labels_have_no_area_under_the_curve(llama):
    intent = load_task("customer-intent")
    support = SupportSet.from_lists(list("abcdef"), ["x", "y", "z"] * 2, intent)
    test = SupportSet.from_lists(list("ghijkl"), ["x", "y", "z"] * 2, intent)
    found = evaluate(intent, support, test, model=llama, shots=(1,), seeds=(0,))
    assert found.runs[0].figures.auc is None
    assert found.summaries[0].auc is None
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"shots": ()}, SupportError), ({"seeds": ()}, SupportError), ({"labels": ["a", "a"]}, TaskError)],
)
def test_bad_use(llama, options, error):
    with pytest.raises(error):
        evaluate(TASK, SUPPORT, TEST, **{"model": llama, **options})


def test_answers_are_explained_when_asked(llama):
    result = evaluate(TASK, SUPPORT, TEST, model=llama, shots=(2,), seeds=(0,), explained=3, ladder=None)
    assert len(result.explanations) == len({one.number for one in result.explanations}) == 3
    answers = result.headline.log_probabilities.argmax(axis=1)
    for one in result.explanations:
        assert one.explanation.label == result.labels[answers[one.number - 1]]
        assert one.explanation.passages[0].text == result.rows[one.number - 1].text
        assert len(one.explanation.demonstrations) == 4
    assert result.without_texts().explanations == ()


def test_words_alone_stand_beside_the_result(result):
    """Fitted on the same rows, measured on the same rows; where a class has fewer than two rows there are none."""
    rows = list(TEST)
    for run in result.runs:
        if run.shots == 0:
            assert (run.words, run.words_right) == (None, None)
            continue
        problem = Problem(TASK, result.language, SUPPORT.sample(run.shots, run.seed))
        assert np.array_equal(run.words_right, words_predictor(problem, run.seed).best(rows) == run.targets)
    none, two = result.summaries
    assert none.words is None
    assert two.words.value == pytest.approx(np.mean([run.words_right for run in result.runs if run.shots == 2]))
    assert two.words.low <= two.words.value <= two.words.high
    shown = f"{100 * two.words.value:.1f}%"
    assert f"{shown} (" in next(
        line for line in to_markdown(evaluation_document(result, "en")).splitlines() if line.startswith("Words alone")
    )
    assert f"可达到 {shown}" in to_markdown(evaluation_document(result, "zh"))


def test_a_result_of_before_has_no_words(result):
    document = json.loads(json.dumps(result.to_json()))
    assert from_document(document).to_json() == document
    for part in (*document["runs"], *document["summaries"]):
        del part["words"]
    for run in document["runs"]:
        del run["rung"]
    old = from_document(document)
    assert [one.words for one in old.summaries] == [None, None]
    assert "What words alone reach is not known" in to_markdown(evaluation_document(old, "en"))


def test_without_wishes_the_ladder_chooses(llama):
    """Draw by draw; the figures are those of what it keeps, and the page says what that is."""
    found = evaluate(TASK, SUPPORT, TEST, model=llama, shots=(0, 4), seeds=(0,))
    alone, climbed = found.runs
    assert (alone.rung, alone.demonstrations) == (None, 0)
    assert climbed.rung == found.decision.rung
    classifier = FewShotClassifier(TASK, llama, language=found.language).fit_support(SUPPORT.sample(4, 0))
    assert classifier.decision_.rung == climbed.rung
    assert classifier.predictor_.log_probabilities(list(TEST)) == pytest.approx(climbed.log_probabilities, abs=1e-4)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert from_document(document).to_json() == document
    assert evaluate_fitted(classifier, TEST).runs[0].figures == climbed.figures


@pytest.mark.parametrize(("rung", "name"), [(Words(), "word counts"), (EncoderHead(), "encoder (e5-small)")])
def test_what_answers_without_a_prompt_is_named(llama, rung, name):
    found = evaluate(TASK, SUPPORT, TEST, model=llama, shots=(4,), seeds=(0, 1), ladder=Ladder(rungs=(rung,)))
    assert found.prompt is None
    assert [(run.rung, run.demonstrations, run.tokens_asked) for run in found.runs] == [(rung.name, None, 0)] * 2
    page = to_markdown(evaluation_document(found, "en"))
    assert f"No prompt is asked; what answers: {name}." in page.replace("\\", "")
    assert "作答的方法" in to_markdown(evaluation_document(found, "zh"))
    if rung.name == "words":
        assert np.array_equal(found.headline.words_right, found.headline.right)


def test_answers_without_a_prompt_are_explained_too(llama):
    ladder = Ladder(rungs=(Words(),))
    found = evaluate(TASK, SUPPORT, TEST, model=llama, shots=(4,), seeds=(0,), explained=2, ladder=ladder)
    assert [one.explanation.demonstrations for one in found.explanations] == [(), ()]
