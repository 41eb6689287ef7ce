"""What people do on the page, without a page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

import pytest

from fewshot_llm.errors import FewshotError, SupportError, TemplateError
from fewshot_llm.files import read_rows
from fewshot_llm.ladder import Ladder
from fewshot_llm.ladder.rungs import Words
from fewshot_llm.playground import (
    CHINESE,
    ENGLISH,
    PlaygroundSession,
    history_rows,
    pasted_texts,
    prediction_rows,
    predictions_file,
    status_line,
    support_rows,
    template_source,
    training_log,
    words,
    words_of,
)
from fewshot_llm.prompting import load_template
from fewshot_llm.types import Text
from tests.playground.conftest import ROWS
from tests.word_scorer import WordScorer

Open = Callable[..., PlaygroundSession]
TEXT = "质量不错，就是慢，失望"


def test_a_correction_joins_the_file_and_changes_predictions(open_session: Open) -> None:
    session = open_session()
    before = session.label(["挺好的", TEXT])
    other = next(label for label in session.labels if label != before[1].label)
    session.correct(TEXT, other)
    assert read_rows(session.file.path)[-1] == {"text": TEXT, "label": other}
    assert session.classifier.support_[-1].text == TEXT
    assert session.label(["挺好的"])[0].probability != pytest.approx(before[0].probability, abs=1e-6)
    assert session.undo()
    assert session.label(["挺好的", TEXT]) == before
    assert not session.undo()
    assert [state.rows for state in session.history] == [6, 7, 6]


def test_a_correction_that_cannot_be_used_is_taken_back(open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session(WordScorer())
    before, classifier = session.file.path.read_bytes(), session.classifier

    def refuse(settings: object) -> None:
        raise SupportError("no")

    monkeypatch.setattr(session, "_fit", refuse)
    with pytest.raises(SupportError, match="no"):
        session.correct("新的", "positive")
    assert session.file.path.read_bytes() == before
    assert session.classifier is classifier


def test_accuracy_is_that_of_a_scorer_that_reads(open_session: Open) -> None:
    session = open_session(WordScorer())
    assert session.history[0].out_of_fold.value == 1.0
    session.correct("垃圾", "positive")  # which it will not believe
    assert session.history[1].out_of_fold.value == pytest.approx(6 / 7)
    found = session.measure()
    assert found.test is not None
    assert session.history[1:] == [found]


def test_explains_in_the_words_of_the_text(open_session: Open) -> None:
    assert open_session(WordScorer()).explain(TEXT).passages[0].text == TEXT


class TestTemplate:
    def test_rendered_beside_without_being_used(self, open_session: Open) -> None:
        session = open_session()
        source = session.template.source.replace("评论：", "买家说：")
        assert "买家说：物流" in session.prompt("物流快", source)
        assert "评论：物流快" in session.prompt("物流快")

    def test_used_and_given_back(self, open_session: Open) -> None:
        session = open_session()
        before = session.label([TEXT])
        session.use_template(session.template.source.replace("评论：", "买家说："))
        assert "买家说：物流快" in session.prompt("物流快")
        assert session.label([TEXT]) != before
        session.correct(TEXT, "positive")
        assert "买家说：物流快" in session.prompt("物流快")
        session.undo()
        session.use_template(None)
        assert session.label([TEXT]) == before

    def test_a_broken_one_changes_nothing(self, open_session: Open) -> None:
        session = open_session()
        before = session.template
        for act in (session.use_template, lambda source: session.prompt("好", source)):
            with pytest.raises(TemplateError):
                act("{% macro item(example, answer) %}{{ answer")
        assert session.template == before


class TestTuning:
    def test_the_log_grows_to_the_reason(self, open_session: Open) -> None:
        session = open_session(WordScorer())
        logs = list(training_log(session, 0.6, CHINESE))
        assert len(logs) > 2
        assert all(later.startswith(earlier) for earlier, later in pairwise(logs))

    def test_a_failure_is_a_line(self, open_session: Open) -> None:
        session = open_session(WordScorer())
        session.tuned.mkdir()
        (session.tuned / "mine.txt").write_text("mine", encoding="utf-8")
        assert "Choose another folder" in list(training_log(session, 0.6, ENGLISH))[-1]

    def test_others_are_told_and_not_kept_waiting(self, open_session: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        session = open_session(WordScorer())
        began, go_on = threading.Event(), threading.Event()

        def wait(*arguments: object, **settings: object) -> dict[str, str]:
            began.set()
            go_on.wait(60)
            return {"reason": "done", "folder": "x"}

        monkeypatch.setattr("fewshot_llm.workflows.tune.tune_to_folder", wait)
        log: list[str] = []
        thread = threading.Thread(target=lambda: log.extend(training_log(session, 0.6, ENGLISH)))
        thread.start()
        assert began.wait(60)
        with pytest.raises(FewshotError, match="training is running"):
            session.label(["好"])
        go_on.set()
        thread.join()
        assert log[-1].startswith("done")
        assert session.label(["好"])


class TestViews:
    def test_tables(self, open_session: Open) -> None:
        session = open_session(WordScorer())
        assert support_rows(session)[0] == ["6", "negative", ROWS[-1]["text"]]
        assert history_rows(session, ENGLISH) == [["6", "1.00 [0.54, 1.00]", "–"]]
        session.measure()
        assert history_rows(session, ENGLISH)[0][2].startswith("0.67")
        assert "6 条已标注" in status_line(session, CHINESE)

    def test_predictions_can_be_downloaded(self, open_session: Open) -> None:
        texts = pasted_texts("很好\n\n =1+1,2 \n很好")
        assert texts == ["很好", "=1+1,2"]
        rows = prediction_rows(texts, open_session(WordScorer()).label(texts))
        found = read_rows(predictions_file(rows, CHINESE))
        assert [row["文本"] for row in found] == ["很好", "'=1+1,2"]  # no spreadsheet runs what a stranger wrote
        assert float(found[0]["概率"]) > 0.5

    def test_both_languages_say_the_same(self) -> None:
        for name, text in vars(words).items():
            if isinstance(text, Text):
                assert name == "TUNED" or text.en != text.zh
        assert words_of("zh-Hant") is CHINESE
        assert words_of("fr") is ENGLISH


def test_without_wishes_the_ladder_chooses_what_answers(open_session: Open) -> None:
    """The accuracy is that of what is kept, out of fold; a template that is written asks a prompt again."""
    session = open_session(WordScorer(), shots=None, ladder=Ladder(rungs=(Words(),)))
    assert session.classifier.decision_.rung == "words"
    right = session.classifier.decision_.kept.right
    assert session.history[-1].out_of_fold.value == pytest.approx(sum(right) / len(right))
    assert (session.template, session.language, template_source(session)) == (None, "zh", "")
    with pytest.raises(FewshotError, match="No prompt is asked"):
        session.prompt("挺好的")
    assert session.label(["很好"])[0].label in session.labels
    assert session.explain("质量不错").demonstrations == ()


def test_a_template_asks_a_prompt_and_the_first_state_comes_back(open_session: Open) -> None:
    session = open_session(shots=None)
    kept = session.classifier.decision_.rung
    source = load_template(session.file.task, session.language).source.replace("评论", "买家说")
    assert "买家说" in session.prompt("挺好的", source)
    session.use_template(source)
    assert not hasattr(session.classifier, "decision_")
    assert session.template is not None
    assert session.template.source == source
    session.use_template(None)
    assert session.classifier.decision_.rung == kept
