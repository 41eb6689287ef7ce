from __future__ import annotations

from hypothesis import given, strategies as st

from fewshot_llm.prompting import Prompt, bytes_to_read

texts = st.text("ab好", max_size=6)
prompts = st.builds(Prompt, texts, st.lists(texts, min_size=1, max_size=4).map(tuple))


def in_trie(texts):
    """The bytes of a trie, one by one: as many as there are different beginnings."""
    encoded = [text.encode() for text in texts]
    return len({text[: end + 1] for text in encoded for end in range(len(text))})


@given(st.lists(prompts, max_size=5))
def test_it_is_the_size_of_the_tries(asked):
    expected = in_trie([prompt.text for prompt in asked]) + sum(in_trie(prompt.answers) for prompt in asked)
    assert bytes_to_read(asked) == expected


def test_a_prompt_asked_again_costs_its_answers_only():
    prompt = Prompt("评价：很好\n情感：", ("好", "差"))
    assert bytes_to_read([prompt, prompt]) - bytes_to_read([prompt]) == len("好差".encode()) - 1
    assert bytes_to_read([]) == 0


def test_half_a_character_can_be_counted():
    assert bytes_to_read([Prompt("\ud83d", ("a",))]) == 4
