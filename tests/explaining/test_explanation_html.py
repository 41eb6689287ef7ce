from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, strategies as st

from fewshot_llm.explaining import Explanation, Passage, Shown, Word, explanation_html

EVIL = '<script>alert("x")</script> & "quotes"'


def explanation(text: str = "so good", label: str = "positive", shown: str = "很好") -> Explanation:
    words = (Word(0, 2, text[:2], -0.5), Word(2, len(text), text[2:], 2.0)) if len(text) > 2 else ()
    return Explanation(
        label=label,
        runner_up="negative",
        log_odds=1.25,
        probabilities={label: 0.8, "negative": 0.2},
        passages=(Passage("text", text, words),),
        demonstrations=(Shown(4, label, shown, 0.7),),
    )


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags = "", []

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


@given(st.text(), st.text(min_size=1))
def test_texts_come_back_as_they_are_and_bring_no_markup(text: str, label: str) -> None:
    page = read(explanation_html(explanation(text, label), "en"))
    assert text.replace("\r\n", "\n").replace("\r", "\n") in page.text.replace("\r\n", "\n").replace("\r", "\n")
    assert set(page.tags) <= {"div", "p", "strong", "small", "span", "table", "tr", "td"}


def test_markup_in_every_place_is_escaped() -> None:
    assert "<script" not in explanation_html(explanation(EVIL, EVIL, EVIL), "zh")


@pytest.mark.parametrize(("language", "said"), [("zh", "支持"), ("en", "speaks for"), ("zh-Hant", "支持")])
def test_languages(language: str, said: str) -> None:
    assert said in explanation_html(explanation(), language)


def test_colours_tell_the_sign_and_the_strongest_is_strongest() -> None:
    html = explanation_html(explanation(), "en")
    against = re.search(r'title="-0.500" style="background: rgba\(234, 88, 12, ([\d.]+)\)', html)
    speaks_for = re.search(r'title="\+2.000" style="background: rgba\(37, 99, 235, ([\d.]+)\)', html)
    assert against
    assert speaks_for
    assert float(speaks_for[1]) == pytest.approx(4 * float(against[1]), abs=0.02)


def test_no_demonstrations_are_said() -> None:
    bare = Explanation("a", "b", 0.0, {"a": 0.5, "b": 0.5}, (), ())
    assert "no demonstrations" in explanation_html(bare, "en")
