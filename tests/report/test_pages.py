"""The two files of a report: nothing of a reader's or a customer's can leave its place, and both tell the same."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fewshot_llm.errors import DataFileError
from fewshot_llm.evaluation import Evaluation
from fewshot_llm.ladder import decide, label_evidence
from fewshot_llm.ladder.rungs import LABEL_RUNGS
from fewshot_llm.report import (
    Document,
    Quote,
    Side,
    Table,
    draw,
    escaped,
    evaluation_document,
    to_html,
    to_markdown,
    visible,
    write_report,
)
from tests.report.conftest import HOSTILE, MakeResult

ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "nav", "footer", "div"),
    *("h1", "h2", "p", "a", "pre", "code", "bdi", "details", "summary", "figure", "figcaption"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "g", "path", "line", "rect", "text"),
    *("span", "strong", "small"),  # explanations
}


class Page(HTMLParser):
    """Reads a page as a browser does: its elements, their attributes and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.quotes: list[str] = []
        self._quoting = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.text += " "
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "bdi":
            self._quoting = True
            self.quotes.append("")

    def handle_endtag(self, tag: str) -> None:
        self._quoting = self._quoting and tag != "bdi"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._quoting:
            self.quotes[-1] += data


@pytest.fixture(params=["zh", "en"])
def document(request: pytest.FixtureRequest, result: Evaluation) -> Document:
    return evaluation_document(result, request.param)


def test_hostile_rows_stay_text(document: Document) -> None:
    page = Page(to_html(document))
    assert page.tags <= ALLOWED, page.tags - ALLOWED
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not [value for name, value in page.attributes if name in ("src", "href") and not value.startswith("#")]
    assert set(page.quotes) <= set(HOSTILE)
    assert len(set(page.quotes)) >= 4
    assert "49" not in page.quotes


def test_hostile_labels_stay_text(make_result: MakeResult) -> None:
    labels = ("<script>alert(1)</script>", "</svg><script>1</script>", "a|b`c")
    found = evaluation_document(make_result(labels=labels), "en")
    page = Page(to_html(found))
    assert page.tags <= ALLOWED
    assert labels[0] in page.text
    assert "<script" not in to_markdown(found)


def test_page_asks_nobody(document: Document) -> None:
    html = to_html(document)
    assert "default-src 'none'" in html
    without_namespaces = html.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "")
    assert not re.search(r"https?://|url\(|@import|<script|<link|<iframe", without_namespaces)
    assert len(html) < 200_000


def test_both_files_hold_the_same_numbers(document: Document) -> None:
    def numbers(text: str) -> set[str]:
        return set(re.findall(r"[+−]?\d[\d,]*\.\d+%?", text))

    def cells(table: Table) -> list[str]:
        return [cell for row in table.rows for cell in row if not isinstance(cell, Quote)]

    html, markdown = Page(to_html(document)).text, to_markdown(document)
    tables = []
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                tables.append(block)
            if isinstance(block, Side):
                tables += [item if isinstance(item, Table) else item.table for item in block.items]
    told = {number for table in tables for cell in cells(table) for number in numbers(cell)}
    assert len(told) > 60
    assert told <= numbers(html)
    assert told <= numbers(markdown)


def test_both_themes_and_the_language_are_in_the_page(document: Document) -> None:
    html = to_html(document)
    assert "prefers-color-scheme: dark" in html
    assert f'<html lang="{"zh-CN" if document.language == "zh" else "en"}">' in html
    assert "var(--accent)" in html
    chinese = len(re.findall(r"[\u4e00-\u9fff]", Page(html).text))
    assert (chinese > 400) == (document.language == "zh")


def test_markdown_neither_renders_nor_hides(document: Document) -> None:
    markdown = to_markdown(document)
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert "\u202e" not in markdown
    assert "\\u202e" in markdown
    assert "# heading" not in [line.strip() for line in markdown.splitlines()]
    assert "````text\n评论：``` <b>\n情感：\n````" in markdown
    widths = {line.count(" | ") for line in markdown.splitlines() if "onerror" in line and line.startswith("|")}
    assert len(widths) == 1


def test_markdown_escapes() -> None:
    assert escaped("a\nb\tc") == "a b c"
    assert escaped("*x* & <y>") == "\\*x\\* &amp; &lt;y&gt;"
    assert visible("👩‍👩‍👧\u200b") == "👩‍👩‍👧\\u200b"


def test_sections_without_data_say_how_to_get_them(make_result: MakeResult) -> None:
    bare = replace(make_result((4,), (0,)), prompt=None, doctor=None, attacks=())
    markdown = to_markdown(evaluation_document(bare, "en"))
    for way in ("fewshot-llm tune", "--shots 4,8,16", "fewshot-llm attack", "fewshot-llm check", "fewshot-llm render"):
        assert way in markdown
    assert "--price-per-million-tokens" in markdown
    assert "price of 1,000 rows" in to_markdown(evaluation_document(bare, "en", price=0.5))


def test_texts_can_be_kept_out(result: Evaluation) -> None:
    document = evaluation_document(result.without_texts(), "en")
    told = to_html(document) + to_markdown(document)
    assert "alert(1)" not in unescape(told)
    assert "情感：" not in told
    assert "The texts were kept out" in told


def test_the_ladder_is_told(result: Evaluation) -> None:
    run = result.headline
    rows = range(len(run.targets))
    evidence = [
        label_evidence("zero-shot", rows, run.targets, result.runs[0].log_probabilities, 1.0),
        label_evidence("in-context", rows, run.targets, run.log_probabilities, 2.0, seconds_per_1000=31.5),
    ]
    decision = decide(evidence, 0.8, LABEL_RUNGS)
    markdown = to_markdown(evaluation_document(replace(result, decision=decision), "zh"))
    assert escaped(decision.reason_zh) in markdown
    kept, other = (next(line for line in markdown.splitlines() if f"| {rung}" in line) for rung in ("in-c", "zero-s"))
    corrected = decision.corrected
    assert corrected is not None
    assert "in-context ✓" in kept
    share = f"{100 * corrected.value:.1f}%（{100 * corrected.low:.1f}% 至 {100 * corrected.high:.1f}%）"
    for cell in (share, "31.5 秒", "2.0 秒"):
        assert f"| {cell} |" in kept
    assert "| – |" in other
    assert "校正择优后" in markdown
    earlier = decision.model_copy(update={"corrected": None})
    assert "校正择优后" not in to_markdown(evaluation_document(replace(result, decision=earlier), "zh"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (0.01, "Reaches the target of 90.0% (at the 95% level)"),
        (0.5, "Misses the target of 90.0% (at the 95% level)"),
        (0.11, "Below the target of 90.0% on these rows, but 120 test rows are too few to tell"),
        (0.08, "At or above the target of 90.0% on these rows, but 120 test rows are too few to tell"),
    ],
)
def test_verdict_says_what_the_rows_can_tell(make_result: MakeResult, error: float, words: str) -> None:
    assert words in to_markdown(evaluation_document(make_result((4,), (0,), error=lambda k: error), "en"))


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2, 3, 4)])
def test_four_right_answers_prove_nothing(make_result: MakeResult, seeds: tuple[int, ...]) -> None:
    result = make_result((4,), seeds, rows=4, error=lambda k: -1.0)
    assert result.summaries[0].accuracy.value == 1.0
    english, chinese = (to_markdown(evaluation_document(result, language)) for language in ("en", "zh"))
    assert "95% interval 39.8% to 100.0%" in english
    assert (
        "4 test rows are too few to tell. Were the accuracy to stay as it is, about 36 test rows would tell." in english
    )
    assert "4 条测试数据太少，无法判断。若准确率保持不变，约需 36 条测试数据才能判断。" in chinese
    for word in ("certain", "doubt", "proves", "并非偶然", "确定"):
        assert word not in english.split("## The ladder")[0] + chinese.split("## 阶梯决定")[0]
    new = len(seeds) >= 5
    assert ("new draws of the labelled rows (there are 5)" in english) is new
    assert ("重新抽取的样例（共抽取 5 次）" in chinese) is new
    assert ("is told from 5 draws on" in english) is not new


def test_many_labels_have_room(make_result: MakeResult) -> None:
    labels = tuple(f"label_{number}" for number in range(27))
    document = evaluation_document(make_result((1, 2, 8), (0, 1), labels=labels, rows=270), "en")
    html, markdown = to_html(document), to_markdown(document)
    assert 'class="wide"' in html
    assert "The 15 weakest labels" in markdown
    assert all(escaped(label) in markdown for label in labels)


def test_files_are_written(result: Evaluation, tmp_path: Path) -> None:
    page = write_report(evaluation_document(result), tmp_path / "new" / "folder")
    assert sorted(path.name for path in page.parent.iterdir()) == ["report.html", "report.md"]
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_picture_may_hold_nothing_but_shapes_and_text() -> None:
    with pytest.raises(DataFileError, match="does not need"):
        draw({"data": {"values": [{"u": "x.png"}]}, "mark": "image", "encoding": {"url": {"field": "u"}}}, "a picture")


def test_explanations_are_in_both_files(make_result: MakeResult) -> None:
    document = evaluation_document(make_result((4,), (0,)), "en")
    page, markdown = Page(to_html(document)), to_markdown(document)
    assert "positive rather than negative: +0.50 nats" in page.text
    assert "positive / negative: +0.50 nats" in markdown
    assert "- -0.20 positive" in markdown
    bare = evaluation_document(replace(make_result((4,), (0,)), explanations=()), "zh")
    assert "没有解释任何判定" in to_markdown(bare)
