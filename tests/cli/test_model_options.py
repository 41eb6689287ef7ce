"""One set of options names the model in every command: `auto` by the texts, threads for what was saved too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fewshot_llm.files import write_rows
from tests.cli.conftest import Run
from tests.test_readme import stand_in_home as stand_in_home

RUSSIAN = [
    {"text": "Быстрая доставка, отличное качество", "label": "positive"},
    {"text": "Очень нравится, купил бы снова", "label": "positive"},
    {"text": "Пришло сломанным, очень плохо", "label": "negative"},
    {"text": "Перестало работать через день", "label": "negative"},
]


@pytest.fixture
def rows(tmp_path: Path, stand_in_home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_rows("rows.jsonl", RUSSIAN)
    return "rows.jsonl"


def test_auto_is_one_model_for_what_is_shown_and_what_is_scored(run: Run, rows: str) -> None:
    shown = run("render", "review-sentiment", "--support", rows, "--text", "Хорошо", "--lang", "en", "--shots", "1")
    assert "with gemma3-270m" in shown.stderr
    assert "the texts look like Russian; auto takes gemma3-270m" in shown.stderr


def test_the_other_precision_is_measured_on_the_same_model(run: Run, rows: str) -> None:
    files = ("--support", rows, "--input", rows, "--output", "out.jsonl")
    told = ("--lang", "en", "--shots", "1", "--precision", "bfloat16", "--json")
    found = run("classify", "review-sentiment", *files, *told)
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["model"] == "gemma3-270m"


def test_threads_count_for_a_saved_classifier_too(run: Run, rows: str) -> None:
    from fewshot_llm import FewShotClassifier, SupportSet

    FewShotClassifier(shots=1, language="en").fit_support(SupportSet.from_file(rows)).save("saved")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        files = ("--input", rows, "--output", "out.jsonl")
        assert run("classify", "review-sentiment", "--adapter", "saved", *files, "--threads", "1").exit_code == 0
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
