from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

from fewshot_llm.data import Example, SupportSet, load_task
from fewshot_llm.errors import TemplateError
from fewshot_llm.prompting import Chat, Plain, PromptBuilder, Shell, load_template
from fewshot_llm.scoring import encode
from tests.conftest import tiny_tokenizer

TURNS = [("判断。\n\n评论：好\n情感：", "好评"), ("评论：坏\n情感：", "差评")]

GEMMA = (
    "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
"""Trims what is said, as Gemma's and Llama's own do, and knows no system turn."""


def tokenizer_with(template: str, bos: bool = True) -> Any:
    changed = copy.copy(tiny_tokenizer(bos=bos))
    changed.chat_template = template
    return changed


def test_plain_adds_nothing() -> None:
    shell = Plain().shell(TURNS, "评论：", " ", "\n\n")
    assert shell == Shell("判断。\n\n评论：好\n情感：好评\n\n评论：坏\n情感：差评\n\n评论：", " ", "\n\n")


def test_every_demonstration_is_two_turns_and_the_answer_begins_the_last() -> None:
    shell = Chat(tiny_tokenizer(bos=True)).shell(TURNS, "", "", "\n\n")
    assert shell.start == (
        "<s><|im_start|>user\n判断。\n\n评论：好\n情感：<|im_end|>\n<|im_start|>assistant\n好评<|im_end|>\n"
        "<|im_start|>user\n评论：坏\n情感：<|im_end|>\n<|im_start|>assistant\n差评<|im_end|>\n<|im_start|>user\n"
    )
    assert shell.end == "<|im_end|>\n<|im_start|>assistant\n"
    assert shell.closing == "<|im_end|>\n"


@pytest.mark.parametrize("template", [tiny_tokenizer(bos=True).chat_template, GEMMA])
@given(question=st.text(st.characters(codec="utf-8", exclude_characters=""), min_size=1))
def test_a_shell_and_a_question_are_what_the_chat_template_would_write(template: str, question: str) -> None:
    tokenizer = tokenizer_with(template)
    said = "Review: " + question + "\nSentiment:"
    shell = Chat(tokenizer).shell([("Review: a\nSentiment: ", "positive")], "", " ", "\n")
    direct = tokenizer.apply_chat_template(
        [
            {"role": "user", "content": "Review: a\nSentiment: "},
            {"role": "assistant", "content": "positive"},
            {"role": "user", "content": said + " "},
        ],
        tokenize=False,
        add_generation_prompt=True,
    )
    assert shell.start + said + shell.end == direct


@pytest.mark.parametrize("layout", ["plain", "chat"])
@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("shots", [0, 2])
def test_one_bos_where_the_tokenizer_wants_one_and_none_where_it_does_not(layout: str, bos: bool, shots: int) -> None:
    tokenizer = tiny_tokenizer(bos=bos)
    task = load_task("review-sentiment")
    support = SupportSet.from_lists(["<s>好", "坏<s>"], ["positive", "negative"], task)
    builder = PromptBuilder(
        task,
        load_template(task, "zh"),
        "zh",
        shots=shots,
        layout=Chat(tokenizer) if layout == "chat" else Plain(),
        special_tokens=(*tokenizer.all_special_tokens, "<s>"),
    )
    prompt = builder.build(Example.of("<s>还行</s>"), support)
    (encoded,) = encode(tokenizer, [prompt])
    ids = [*encoded.context, *encoded.answers[0]]
    start = tokenizer.convert_tokens_to_ids("<s>")
    assert ids.count(start) == int(bos)
    assert not bos or ids[0] == start


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('no such role') }}", "cannot lay out this prompt: no such role"),
        ("{{ messages[0].content }}", "leaves out or repeats a turn"),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", "leaves out or repeats a turn"),
        ("{{ bos_token }}{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}", "BOS '<s>' twice"),
    ],
)
def test_chat_templates_that_cannot_be_used(template: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        Chat(tokenizer_with(template)).shell(TURNS, "", "", "\n")


def test_a_tokenizer_without_a_chat_template() -> None:
    with pytest.raises(TemplateError, match="no chat template"):
        Chat(tokenizer_with(""))


def test_a_changed_chat_template_changes_the_fingerprint() -> None:
    assert Chat(tokenizer_with(GEMMA)).fingerprint != Chat(tiny_tokenizer(bos=True)).fingerprint
