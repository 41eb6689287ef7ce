from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from fewshot_llm.explaining import MOST, without_span, word_spans


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Arrived late, don't buy!", ["Arrived", "late", "don't", "buy"]),
        ("物流很快，好评", ["物流", "流很", "很快", "好评"]),
        ("iPhone很好", ["iPhone", "很好"]),
        ("好。", ["好"]),
        ("…！ ", []),
        ("", []),
    ],
)
def test_spans(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in word_spans(text)] == words


@given(st.text(), st.integers(1, 9))
def test_spans_are_ascending_inside_the_text_and_few(text: str, most: int) -> None:
    spans = word_spans(text, most)
    assert len(spans) <= most
    assert spans == sorted(set(spans))
    assert all(0 <= start < end <= len(text) for start, end in spans)


def test_a_long_text_loses_no_word_to_the_limit() -> None:
    text = " ".join(f"word{n}" for n in range(10 * MOST))
    spans = word_spans(text)
    covered = {at for start, end in spans for at in range(start, end)}
    assert all(at in covered for at, character in enumerate(text) if character != " ")
    assert len(spans) == MOST


@given(st.text(alphabet="ab 好。", max_size=12), st.data())
def test_deleting_takes_only_the_span_and_at_most_white_space(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    left = without_span(text, start, end)
    assert "".join(left.split()) == "".join((text[:start] + text[end:]).split())
    assert len(left) <= len(text) - (end - start)
