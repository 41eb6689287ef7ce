from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from fewshot_llm.batch import Answer, ClassifierLabeller, Fitted, LongText, combine, fit
from fewshot_llm.estimators import FewShotClassifier
from fewshot_llm.files import RowProblem
from fewshot_llm.models import LanguageModel
from fewshot_llm.scoring import encode
from tests.batch.stand_in import CharacterRuler

RULER = CharacterRuler(room=100, room_alone=120)


@pytest.mark.parametrize("policy", LongText)
def test_what_fits_is_left_alone(policy: LongText) -> None:
    assert fit({"text": "a" * 100}, RULER, policy) == Fitted(({"text": "a" * 100},), None, 100)


def test_the_three_policies() -> None:
    text = "begin " + "x" * 300 + " end"
    refused = fit({"text": text}, RULER, LongText.ERROR)
    assert isinstance(refused, RowProblem)
    assert "310 tokens; 120 fit" in refused.reason
    cut = fit({"text": text}, RULER, LongText.TRUNCATE_MIDDLE)
    assert isinstance(cut, Fitted)
    assert cut.treatment == "truncated"
    assert cut.pieces[0]["text"].startswith("begin x")
    assert cut.pieces[0]["text"].endswith("x end")
    pieces = fit({"text": text}, RULER, LongText.CHUNK)
    assert isinstance(pieces, Fitted)
    assert pieces.treatment == "4 chunks"
    assert "".join(piece["text"] for piece in pieces.pieces) == text


def test_demonstrations_give_way_before_a_text_is_refused() -> None:
    assert isinstance(fit({"text": "a" * 110}, RULER, LongText.ERROR), Fitted)


def test_only_the_longest_field_is_cut() -> None:
    cut = fit({"title": "a title", "text": "b" * 200}, RULER, LongText.TRUNCATE_MIDDLE)
    assert isinstance(cut, Fitted)
    assert cut.pieces[0]["title"] == "a title"
    title_alone = fit({"title": "t" * 90, "text": "b" * 95}, RULER, LongText.TRUNCATE_MIDDLE)
    assert isinstance(title_alone, RowProblem), "nothing worth reading would be left of the text"


@given(st.text(alphabet="ab 好。\n", min_size=1, max_size=900), st.sampled_from(list(LongText)))
def test_pieces_always_fit(text: str, policy: LongText) -> None:
    fitted = fit({"text": text}, RULER, policy)
    if isinstance(fitted, Fitted):
        assert all(len(piece["text"]) <= RULER.room_alone for piece in fitted.pieces)
        assert fitted.treatment is None or all(len(piece["text"]) <= RULER.room for piece in fitted.pieces)


@pytest.mark.parametrize("policy", [LongText.TRUNCATE_MIDDLE, LongText.CHUNK])
def test_real_prompts_of_cut_texts_keep_their_demonstrations(any_model: LanguageModel, policy: LongText) -> None:
    texts, labels = ["很好很好", "质量不错", "太差了", "再也不买"], ["positive", "positive", "negative", "negative"]
    classifier = FewShotClassifier("review-sentiment", any_model, shots=2, language="zh").fit(texts, labels)
    labeller = ClassifierLabeller(classifier)
    fitted = fit({"text": "物流很快，质量也不错！broken? " * 700}, labeller.ruler, policy)
    assert isinstance(fitted, Fitted)
    inference = classifier.predictor_.inference
    prompts = inference.prompts([inference.query(piece["text"]) for piece in fitted.pieces])
    for prompt, encoded in zip(prompts, encode(any_model.tokenizer, prompts), strict=True):
        assert prompt.dropped == ()
        assert len(encoded.context) + max(map(len, encoded.answers)) <= any_model.context_length


def test_chunks_are_averaged() -> None:
    answers = [Answer("a", {"a": 0.9, "b": 0.1}, 0.8, True), Answer("b", {"a": 0.2, "b": 0.8}, 0.6)]
    assert combine(answers) == Answer("a", {"a": 0.55, "b": 0.45}, 0.1, False)
