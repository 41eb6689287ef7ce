"""The shop's replies: which is given, when a person has to answer, and tables that are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fewshot_llm.errors import DataFileError
from fewshot_llm.labelling import gaps, read_answers, reply_to
from fewshot_llm.predictors import Prediction
from fewshot_llm.selective import SelectivePrediction

LABELS = ("cancel", "track", "out_of_scope")
ANSWERS = {"cancel": "Use the button “Cancel”.", "out_of_scope": "?"}


def predicted(*shares: float) -> Prediction:
    return Prediction.from_log_probabilities(LABELS, np.log(shares), "")


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.8, 0.1, 0.1), ("cancel", "Use the button “Cancel”.", None)),
        ((0.6, 0.3, 0.1), ("cancel", None, "unsure")),
        ((0.1, 0.8, 0.1), ("track", None, "no_answer")),
        ((0.05, 0.05, 0.9), ("out_of_scope", None, "out_of_scope")),
    ],
)
def test_reply_or_person(shares: tuple[float, ...], said: tuple[str, str | None, str | None]) -> None:
    (found,) = reply_to([predicted(*shares)], ANSWERS, min_confidence=0.7)
    assert (found.intent, found.reply, found.hand_over) == said
    assert found.confidence == pytest.approx(max(shares))


def test_guards_verdict_comes_first() -> None:
    sure = predicted(0.9, 0.05, 0.05)
    for reason, expected in (("out_of_scope", "out_of_scope"), ("unsure", "unsure")):
        guarded = SelectivePrediction(**{**vars(sure), "abstained": True}, reason=reason)  # type: ignore[arg-type]
        assert reply_to([guarded], ANSWERS, 0.5)[0].hand_over == expected


def test_language_of_its_own_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text(
        "intent,reply,language\ncancel,Use the button.,en\ncancel,请点“取消订单”。,zh\ntrack,24 h,\n", encoding="utf-8"
    )
    assert read_answers(file, "zh") == {"cancel": "请点“取消订单”。", "track": "24 h"}
    assert read_answers(file, "en") == {"cancel": "Use the button.", "track": "24 h"}


def test_gaps_are_named() -> None:
    lines = [line.en for line in gaps({"cancle": "…"}, LABELS)]
    assert lines[0] == "No reply to the intents cancel, track: such messages are handed to a person."
    assert lines[1].startswith("The reply to 'cancle' is never given")
    assert "Did you mean cancel?" in lines[1]
    assert gaps({"cancel": "…", "track": "…"}, LABELS) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("intent,answer\ncancel,x\n", "no column 'reply'; it has intent, answer"),
        ("intent,reply\ncancel,\n", "Row 1 of .* has no reply"),
        ("intent,reply\n,x\n", "Row 1 of .* has no intent"),
        ("intent,reply\ncancel,x\ncancel,y\n", "two replies to 'cancel'"),
        ("intent,reply\n", "no column 'intent'; it has nothing"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "answers.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataFileError, match=said):
        read_answers(file, "en")
