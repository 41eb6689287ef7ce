"""The page says what answers where that is no prompt alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fewshot_llm.evaluation import Evaluation
from fewshot_llm.ladder import Decision, decide, label_evidence
from fewshot_llm.ladder.rungs import EncoderHead, Mixture, Words
from fewshot_llm.report import evaluation_document, to_markdown
from tests.report.conftest import MakeResult

RUNGS = (Words(), EncoderHead(), Mixture())
SETTINGS: tuple[dict[str, Any], ...] = ({}, {"encoder": "e5-small"}, {"weights": {"words": 0.25, "encoder": 0.8}})


def kept(result: Evaluation, rung: str, demonstrations: int | None) -> Evaluation:
    """The result as if the ladder had kept this rung in every draw."""
    run = result.headline
    evidence = [
        label_evidence(
            one.name,
            range(len(run.targets)),
            run.targets,
            run.log_probabilities,
            1.0,
            title=one.title,
            settings=settings,
        )
        for one, settings in zip(RUNGS, SETTINGS, strict=True)
    ]
    decision: Decision = decide(evidence, 0.99, RUNGS).model_copy(update={"rung": rung})
    runs = tuple(replace(one, rung=rung, demonstrations=demonstrations) for one in result.runs)
    prompt = None if demonstrations is None else result.prompt
    return replace(result, runs=runs, decision=decision, prompt=prompt)


@pytest.mark.parametrize(
    ("rung", "english", "chinese"),
    [
        ("words", "No prompt is asked; what answers: word counts.", "作答的方法：词与字的计数"),
        ("encoder", "No prompt is asked; what answers: encoder (e5-small).", "作答的方法：文本向量（e5-small）"),
        ("mixture", "word counts 0.25, encoder (e5-small) 0.80.", "词与字的计数 0.25、文本向量（e5-small） 0.80"),
    ],
)
def test_what_answers_is_named(make_result: MakeResult, rung: str, english: str, chinese: str) -> None:
    result = kept(make_result((4,), (0,)), rung, None)
    pages = {language: to_markdown(evaluation_document(result, language)) for language in ("en", "zh")}
    assert english in pages["en"].replace("\\", "")
    assert chinese in pages["zh"].replace("\\", "")
    assert "The prompt was kept out" not in pages["en"]


def test_a_mixture_with_a_prompt_shows_both(make_result: MakeResult) -> None:
    result = kept(make_result((4,), (0,)), "mixture", 8)
    page = to_markdown(evaluation_document(result, "en")).replace("\\", "")
    assert "Several predictors answer together" in page
    assert "What the model reads for the first test row" in page
