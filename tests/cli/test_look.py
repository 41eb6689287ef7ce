"""`check`, `render` and `models`: looking before labelling."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fewshot_llm.files import write_rows
from tests.cli.conftest import SUPPORT, Run

OPTIONS = ("review-sentiment", "--support", "support.csv")


class TestCheck:
    def test_healthy_rows(self, run: Run, shop: Path) -> None:
        result = run("check", *OPTIONS)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith("6 examples: positive 3, negative 3.")

    def test_leak_and_conflict_fail(self, run: Run, shop: Path) -> None:
        (shop / "support.csv").write_text(SUPPORT + "Will buy again,negative\n", encoding="utf-8")
        write_rows(
            "test.jsonl", [{"text": "ARRIVED  broken", "label": "negative"}, {"text": "ok", "label": "positive"}]
        )
        result = run("check", *OPTIONS, "--test", "test.jsonl", "--json")
        assert result.exit_code == 1
        codes = {finding["code"] for finding in json.loads(result.stdout)["findings"]}
        assert {"leak", "conflict"} <= codes

    def test_speaks_chinese(self, run: Run, shop: Path) -> None:
        assert "共 6 个样例" in run("check", *OPTIONS, "--report-lang", "zh").stdout


class TestRender:
    @pytest.fixture
    def render(self, run: Run, shop: Path, tiny_model_folder: Path) -> Run:
        return lambda *arguments: run("render", *OPTIONS, "--model", tiny_model_folder, *arguments)

    def test_prompt_on_standard_output_facts_beside_it(self, render: Run) -> None:
        result = render("--text", "My daughter loves it", "--shots", "2")
        assert result.exit_code == 0, result.output
        assert "My daughter loves it" in result.stdout.splitlines()[-2]
        assert "review-sentiment/en.v" in result.stderr
        assert "4 demonstrations" in result.stderr
        assert "tokens" not in result.stdout

    def test_json(self, render: Run) -> None:
        facts = json.loads(render("--text", "物流很快", "--lang", "zh", "--shots", "1", "--json").stdout)
        assert facts["prompt"].count("物流很快") == 1
        assert len(facts["demonstrations"]) == 2
        assert set(facts["answers"]) == {"positive", "negative"}
        assert facts["tokens"] > 10

    def test_shots_0_shows_no_example(self, render: Run) -> None:
        assert "Arrived broken" not in render("--shots", "0").stdout

    def test_a_text_never_demonstrates_itself(self, render: Run) -> None:
        assert render("--text", "arrived broken").stdout.lower().count("arrived broken") == 1

    def test_invalid_utf8_argument(self, render: Run) -> None:
        result = render("--text", "bad \udcff byte")
        assert result.exit_code == 0, result.output
        assert "bad \ufffd byte" in result.stdout


class TestModels:
    @pytest.fixture(autouse=True)
    def empty_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FEWSHOT_HOME", str(tmp_path / "cache"))

    def test_list(self, run: Run) -> None:
        lines = run("models", "list").stdout
        scorers = ("smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b")
        encoders = ("e5-small", "embeddinggemma-300m")
        assert all(name in lines for name in (*scorers, *encoders))
        described = json.loads(run("models", "list", "--json").stdout)
        assert [model["cached"] for model in described] == [False] * 5
        assert {model["name"] for model in described if model["kind"] == "encoder"} == set(encoders)

    def test_show_says_who_packed_it(self, run: Run) -> None:
        assert "third party" in " ".join(run("models", "show", "qwen2.5-coder-0.5b").stdout.split())
        assert json.loads(run("models", "show", "gemma3-270m", "--json").stdout)["licence_must_be_accepted"]

    @pytest.mark.parametrize("command", ["show", "pull"])
    def test_unknown_name(self, run: Run, command: str) -> None:
        result = run("models", command, "smollm2")
        assert result.exit_code == 1
        assert "Did you mean smollm2-135m?" in result.stderr
