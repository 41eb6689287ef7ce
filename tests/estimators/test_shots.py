"""More demonstrations asked for than there are: said, with what is shown instead, and in the result."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from fewshot_llm import FewShotClassifier, FewShotMultiLabelClassifier, FewShotRegressor
from fewshot_llm.cli import app
from fewshot_llm.data import SupportSet
from fewshot_llm.errors import FewshotWarning
from fewshot_llm.evaluation import evaluate
from fewshot_llm.prompting import Nearest

TEXTS = ["很好，喜欢", "太差了，退货", "质量不错", "垃圾，退货", "会再买", "很差，失望", "好看", "不会再买"]
LABELS = ["positive", "negative"] * 4


def test_fifty_shots_of_eight_rows(words):
    with pytest.warns(FewshotWarning, match="50 demonstrations.*largest class has 4 .*at most 8"):
        classifier = FewShotClassifier(model=words, shots=50).fit(TEXTS, LABELS)
    shown = {"asked": 50, "per_class": True, "available": 4, "shown": 8}
    assert classifier.demonstrations_.to_json() == shown
    with pytest.warns(FewshotWarning, match="9 demonstrations were asked for in all, and there are 8"):
        classifier = FewShotClassifier(model=words, shots=9, selection=Nearest()).fit(TEXTS, LABELS)
    assert classifier.demonstrations_.shown == 8


@pytest.mark.filterwarnings("error")
def test_what_is_there_or_was_not_asked_for_is_no_news(words):
    assert FewShotClassifier(model=words, shots=3).fit(TEXTS, LABELS).demonstrations_.shown == 6
    assert FewShotClassifier(model=words, ladder=None).fit(TEXTS[:4], LABELS[:4]).demonstrations_.shown == 4
    assert FewShotClassifier(model=words, shots=0).fit(TEXTS, LABELS).demonstrations_.shown == 0


def test_the_other_estimators(llama):
    with pytest.warns(FewshotWarning, match="99 demonstrations"):
        FewShotRegressor(model=llama, shots=99, interval_folds=0).fit(TEXTS, [1, 5] * 4)
    with pytest.warns(FewshotWarning, match="99 demonstrations"):
        FewShotMultiLabelClassifier(model=llama, shots=99).fit(TEXTS, [["delivery"], ["price"]] * 4)


def test_the_result_of_an_evaluation_holds_what_was_shown(llama):
    support = SupportSet.from_lists(TEXTS, LABELS)
    test = SupportSet.from_lists(["真好", "真差"], ["positive", "negative"])
    with pytest.warns(FewshotWarning, match="16 demonstrations"):
        result = evaluate(
            "review-sentiment", support, test, model=llama, shots=(2, 16), seeds=(0,), ladder=None
        ).to_json()
    assert [(run["shots"], run["demonstrations"]) for run in result["runs"]] == [(2, 4), (16, 8)]


def test_the_command_line_says_so(tmp_path, tiny_model_folder):
    rows = "".join(f"{text},{label}\n" for text, label in zip(["good", "bad", "fine", "poor"], LABELS, strict=False))
    (tmp_path / "support.csv").write_text("text,label\n" + rows, encoding="utf-8")
    (tmp_path / "new.csv").write_text("text\nnice\n", encoding="utf-8")
    files = ["--support", tmp_path / "support.csv", "--input", tmp_path / "new.csv", "--output", tmp_path / "out.jsonl"]
    options = ["--shots", "99", "--json", "--model", tiny_model_folder]
    with pytest.warns(FewshotWarning, match="99 demonstrations"):
        result = CliRunner().invoke(app, [str(part) for part in ["classify", "review-sentiment", *files, *options]])
    assert json.loads(result.stdout)["shots"] == {"asked": 99, "per_class": True, "available": 2, "shown": 4}
