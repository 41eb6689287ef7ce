from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from fewshot_llm.errors import ScoringError
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import encode, encode_slowly, leading_ids
from tests.conftest import CORPUS, tiny_tokenizer

TEXT = st.text(st.characters(codec="utf-8"), max_size=80) | st.sampled_from(CORPUS)
ANSWERS = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5, unique=True)


def outcome(function, *args):
    try:
        return function(*args)
    except ScoringError as error:
        return str(error)


@pytest.mark.parametrize("bos", [True, False])
@given(head=TEXT, tail=TEXT, answers=ANSWERS, closing=st.sampled_from(["", "\n", "<|im_end|>\n"]))
def test_equals_tokenising_every_answer_in_full(bos, head, tail, answers, closing):
    prompt = Prompt(head * 3 + tail, tuple(answers), closing)
    tokenizer = tiny_tokenizer(bos=bos)
    assert outcome(encode, tokenizer, [prompt]) == outcome(encode_slowly, tokenizer, [prompt])


def test_a_space_before_the_answer_is_scored_with_it():
    tokenizer = tiny_tokenizer(bos=False)
    (apart,) = encode(tokenizer, [Prompt("Sentiment:", (" positive", " negative"))])
    (within,) = encode(tokenizer, [Prompt("Sentiment: ", ("positive", "negative"))])
    assert apart == within
    assert tokenizer.decode(apart.answers[0]) == " positive"


def test_answers_are_scored_from_one_place_where_only_some_merge_with_the_prompt():
    tokenizer = tiny_tokenizer(bos=False)
    (encoded,) = encode(tokenizer, [Prompt("情感： ", ("positive", "正面"))])
    texts = [tokenizer.decode(list(encoded.context + answer)) for answer in encoded.answers]
    assert texts == ["情感： positive", "情感： 正面"]
    assert [tokenizer.decode(answer)[0] for answer in encoded.answers] == [" ", " "]


def test_an_answer_that_begins_another_is_closed():
    tokenizer = tiny_tokenizer(bos=False)
    (encoded,) = encode(tokenizer, [Prompt("Intent:", (" cancel", " cancel order"), closing="\n")])
    assert [tokenizer.decode(answer) for answer in encoded.answers] == [" cancel\n", " cancel order\n"]


@pytest.mark.parametrize(("bos", "text"), [(True, "Review: a"), (True, "<s>Review: a"), (False, "Review: a")])
def test_exactly_one_bos_where_the_tokenizer_wants_one(bos, text):
    tokenizer = tiny_tokenizer(bos=bos)
    (encoded,) = encode(tokenizer, [Prompt(text, ("x", "y"))])
    assert encoded.context.count(1) == int(bos)
    assert (encoded.context[0] == 1) == bos


def test_leading_ids():
    assert leading_ids(tiny_tokenizer(bos=True)) == (1,)
    assert leading_ids(tiny_tokenizer(bos=False)) == ()


def test_two_bos_are_refused():
    with pytest.raises(ScoringError, match="two BOS"):
        encode(tiny_tokenizer(bos=True), [Prompt("<s><s>Review: a", ("x", "y"))])


def test_answers_that_tokenise_alike_are_refused():
    with pytest.raises(ScoringError, match="same tokens"):
        encode(tiny_tokenizer(bos=False), [Prompt("x", ("a", "a"))])


def test_a_prompt_without_answers_is_refused():
    with pytest.raises(ScoringError, match="no answers"):
        encode(tiny_tokenizer(bos=False), [Prompt("x", ())])


def test_an_empty_context_is_refused():
    with pytest.raises(ScoringError, match="nothing to read"):
        encode(tiny_tokenizer(bos=False), [Prompt("", ("a", "b"))])


def test_lone_surrogates_are_named():
    with pytest.raises(ScoringError, match="valid Unicode"):
        encode(tiny_tokenizer(bos=False), [Prompt("x\ud800", ("a", "b"))])
