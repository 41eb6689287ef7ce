"""Explanations by a scorer whose answers can be worked out by hand, and by real networks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fewshot_llm import FewShotClassifier, SupportSet, load_task
from fewshot_llm.data import Example
from fewshot_llm.explaining import Variant, explain, score_variants
from fewshot_llm.ladder import Ladder
from fewshot_llm.ladder.rungs import Words
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import MixturePredictor, Predictor
from fewshot_llm.prompting import Nearest, Prompt
from fewshot_llm.scoring import ReferenceScorer
from fewshot_llm.stats import Uncalibrated
from tests.word_scorer import WordScorer

GOOD, BAD = ["很好，喜欢", "质量不错", "推荐购买"], ["太差了，退货", "垃圾，失望", "差评"]
TEXTS, LABELS = GOOD + BAD, ["positive"] * 3 + ["negative"] * 3


def fitted(scorer: object, **settings: object) -> FewShotClassifier:
    return FewShotClassifier(model=scorer, **{"calibration": Uncalibrated(), **settings}).fit(TEXTS, LABELS)


def test_the_words_that_count_are_found() -> None:
    found = fitted(WordScorer()).explain("包装一般，但质量不错")
    assert (found.label, found.runner_up) == ("positive", "negative")
    assert found.log_odds == pytest.approx(2.0)
    (passage,) = found.passages
    assert {word.text: round(word.effect, 6) for word in passage.words if word.effect} == {"不错": 2.0, "量不": 2.0}
    assert passage.strongest(1)[0].effect == pytest.approx(2.0)
    assert "".join(piece.text for piece in passage.pieces()) == "包装一般，但质量不错"
    assert max(passage.pieces(), key=lambda piece: piece.effect).text == "不"


def test_what_speaks_against_the_label_is_negative() -> None:
    (passage,) = fitted(WordScorer()).explain("喜欢，推荐，就是慢，有点失望").passages
    assert {word.text: round(word.effect) for word in passage.words}["失望"] == -2


def test_demonstrations_pull_towards_their_label() -> None:
    found = fitted(WordScorer(pull=0.5), shots=2).explain("喜欢")
    assert len(found.demonstrations) == 4
    for shown in found.demonstrations:
        assert (shown.label, shown.text) == (LABELS[shown.row], TEXTS[shown.row])
        assert shown.effect == pytest.approx(0.5 if shown.label == "positive" else -0.5)


def test_one_call_per_draw() -> None:
    scorer = WordScorer()
    classifier = fitted(scorer, shots=2, permutations=2)
    scorer.calls.clear()
    classifier.explain("质量不错")
    assert len(scorer.calls) == 2


def test_texts_together_are_explained_as_alone() -> None:
    classifier = fitted(WordScorer(pull=0.5), shots=2, normalisation="pmi")
    texts = ["质量不错", "太差了", ""]
    together = explain(classifier.predictor_, [Example.of(text) for text in texts])
    assert together == [classifier.explain(text) for text in texts]
    assert explain(classifier.predictor_, []) == []


def test_nothing_shown_nothing_left_out() -> None:
    assert fitted(WordScorer(), shots=0).explain("质量不错").demonstrations == ()


@pytest.mark.parametrize("normalisation", ["sum", "mean", "pmi"])
@pytest.mark.parametrize(
    "settings", [{}, {"permutations": 3}, {"selection": Nearest(), "shots": 3}, {"layout": "chat"}]
)
def test_the_probabilities_are_those_that_are_served(
    llama: LanguageModel, normalisation: str, settings: dict[str, object]
) -> None:
    classifier = FewShotClassifier(model=llama, normalisation=normalisation, **{"shots": 2, **settings})
    classifier.fit(TEXTS, LABELS)
    found = classifier.explain("物流快，质量也好")
    served = classifier.predictions(["物流快，质量也好"])[0]
    assert found.label == served.label
    assert found.probabilities == pytest.approx(dict(served.probabilities), abs=1e-5)
    odds = np.diff(sorted(np.log(list(served.probabilities.values()))))[-1]
    assert found.log_odds == pytest.approx(odds, abs=1e-4)


class Recording(ReferenceScorer):
    """The slow scorer, remembering what it was asked."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model)
        self.asked: list[Prompt] = []

    def log_probs(self, prompts, progress=None):
        self.asked = list(prompts)
        return super().log_probs(prompts, progress)


def test_leaving_out_is_the_prompt_without_that_demonstration(any_model: LanguageModel) -> None:
    """Against text surgery: each variant's prompt is the served one with exactly one block or word gone."""
    scorer = Recording(any_model)
    classifier = fitted(scorer, shots=1)
    query = "物流快"
    (served,) = classifier.predictor_.inference.prompts([Example.of(query)])
    found = classifier.explain(query)
    prompts = [prompt.text for prompt in scorer.asked]
    assert served.text in prompts
    words = dict(zip(("positive", "negative"), served.answers, strict=True))
    for shown in found.demonstrations:
        block = f"评论：{shown.text}\n评价：{words[shown.label]}\n\n"
        assert served.text.count(block) == 1
        assert served.text.replace(block, "") in prompts
    for cut in ("快", "物"):
        assert served.text.replace(query, cut) in prompts
    assert len(prompts) == 1 + 2 + 2


def test_demonstrations_stay_while_the_query_changes(llama: LanguageModel) -> None:
    """A selection by the query must not choose others for the occluded text."""
    scorer = Recording(llama)
    classifier = fitted(scorer, selection=Nearest(), shots=2)
    score_variants(classifier.predictor_, [Example.of("质量不错很好")], [[Variant(Example.of("退货"))]])
    (served,) = classifier.predictor_.inference.prompts([Example.of("质量不错很好")])
    assert scorer.asked[0].text == served.text.replace("质量不错很好", "退货")


def test_every_field_is_explained() -> None:
    task = load_task("customer-intent").with_labels(["refund", "delivery"])
    task = type(task)(**{**task.model_dump(), "fields": ("title", "text"), "optional_fields": ("title",)})
    support = SupportSet.from_rows(
        [
            {"title": "money", "text": "give it back", "label": "refund"},
            {"title": "parcel", "text": "where is it", "label": "delivery"},
        ],
        task,
    )
    classifier = FewShotClassifier(task, WordScorer(), shots=1, calibration=Uncalibrated()).fit_support(support)
    found = classifier.explain({"title": "late", "text": "not here"})
    assert [(passage.field, len(passage.words)) for passage in found.passages] == [("title", 1), ("text", 2)]


def test_own_spans() -> None:
    found = fitted(WordScorer()).explain("质量不错", spans=lambda text: [(0, 2), (2, 4)])
    assert [word.text for word in found.passages[0].words] == ["质量", "不错"]


def test_as_json_it_is_plain() -> None:
    document = json.loads(json.dumps(fitted(WordScorer()).explain("质量不错").to_json()))
    assert document["passages"][0]["words"][0]["text"] == "质量"
    assert document["demonstrations"][0]["row"] in range(6)


class Parts:
    """What answers without a prompt, and together with one."""

    words = Ladder(rungs=(Words(),))

    @staticmethod
    def mixed(reviews: tuple[list[str], list[str]]) -> MixturePredictor:
        prompted = FewShotClassifier(model=WordScorer(pull=0.5), shots=2).fit(*reviews).predictor_
        alone = FewShotClassifier(model=WordScorer(), ladder=Parts.words).fit(*reviews).predictor_
        return MixturePredictor((alone, prompted), ("words", "in-context"), (0.6, 0.7))


def check_words(predictor: Predictor, text: str) -> None:
    """Every effect is the difference of two answers that anybody may ask for."""

    def odds(asked: str) -> float:
        log_p = predictor.log_probabilities([Example.of(asked)])[0]
        return float(log_p[labels.index(found.label)] - log_p[labels.index(found.runner_up)])

    labels, (found,) = predictor.labels, explain(predictor, [Example.of(text)])
    assert found.log_odds == pytest.approx(odds(text))
    assert found.log_odds > 0
    for word in found.passages[0].words:
        assert word.effect == pytest.approx(odds(text) - odds(text[: word.start] + text[word.end :]))
    assert any(word.effect for word in found.passages[0].words)
    assert found.demonstrations == ()


def test_words_of_what_counts_words_are_explained(reviews: tuple[list[str], list[str]]) -> None:
    classifier = FewShotClassifier(model=WordScorer(), ladder=Parts.words).fit(*reviews)
    check_words(classifier.predictor_, "太差了，失望")
    assert classifier.explain("太差了，失望").label == "negative"


def test_a_mixture_is_explained_by_words_alone(reviews: tuple[list[str], list[str]]) -> None:
    check_words(Parts.mixed(reviews), "质量不错，喜欢")


def test_texts_together_are_explained_as_alone_without_a_prompt(reviews: tuple[list[str], list[str]]) -> None:
    mixed, texts = Parts.mixed(reviews), ["质量不错", "太差了", ""]
    alone = [explain(mixed, [Example.of(text)])[0] for text in texts]
    assert [one.label for one in explain(mixed, [Example.of(text) for text in texts])] == [one.label for one in alone]
    assert explain(mixed, []) == []
