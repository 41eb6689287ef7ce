"""A result made by hand: answers with a known amount of skill, and rows that mean harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.special import log_softmax

from fewshot_llm.data import SupportSet, doctor, load_task
from fewshot_llm.evaluation import (
    AttackFigures,
    Evaluation,
    ExplainedRow,
    Figures,
    Row,
    Run,
    ShownPrompt,
    TestRows,
    summarise,
)
from fewshot_llm.explaining import Explanation, Passage, Shown, Word
from fewshot_llm.stats import Calibration

HOSTILE = (
    "<script>alert(1)</script>",
    "{{ 7 * 7 }} {% raw %}",
    "**bold** | pipe `code` [link](javascript:alert(1)) <img src=x onerror=alert(1)>",
    "\u202egnp.exe \u200bhidden 😀👩‍👩‍👧",
    "שלום, מוצר טוב",
    "'\"><svg onload=alert(1)>\n# heading\n- item",
)

MakeResult = Callable[..., Evaluation]


def run_of(
    shots: int, seed: int, targets: np.ndarray, log_probabilities: np.ndarray, *, support_rows: int | None = None
) -> Run:
    labels = log_probabilities.shape[1]
    return Run(
        shots=shots,
        seed=seed,
        support_rows=labels * shots if support_rows is None else support_rows,
        support_fingerprint="s",
        prompt_fingerprint="p",
        calibrations=(Calibration(tuple(np.linspace(-0.2, 0.2, labels)), 1.7, "out-of-fold"),),
        figures=Figures.of(targets, log_probabilities),
        fit_seconds=1.5,
        predict_seconds=4.0,
        rows_per_second=len(targets) / 4,
        tokens_asked=1000 * len(targets),
        tokens_computed=100 * len(targets),
        targets=targets,
        log_probabilities=log_probabilities,
    )


@pytest.fixture
def make_result() -> MakeResult:
    """Makes a result whose error falls as a power law of the shots, or as told."""

    def make(
        shots: Sequence[int] = (0, 4, 8, 16),
        seeds: Sequence[int] = (0, 1, 2),
        *,
        rows: int = 120,
        labels: Sequence[str] = ("positive", "negative"),
        error: Callable[[int], float] = lambda k: 0.6 * max(k, 1) ** -0.5,
        support_rows: int | None = None,
    ) -> Evaluation:
        generator = np.random.default_rng(5)
        targets = np.arange(rows) % len(labels)
        # The same rows are hard in every run, as they are for a model.
        hardness = generator.random(rows)
        runs = []
        for k in shots:
            for seed in seeds:
                wrong = (hardness + generator.normal(0, 0.02, rows)) < error(k)
                answer = np.where(wrong, (targets + 1) % len(labels), targets)
                scores = generator.normal(0, 0.3, (rows, len(labels)))
                scores[np.arange(rows), answer] += 1.2 + np.abs(generator.normal(0, 1, rows))
                answers = log_softmax(scores, axis=1)
                runs.append(run_of(k, seed, targets, answers, support_rows=support_rows))
        task = load_task("review-sentiment")
        support = SupportSet.from_lists(["很好", "很好！", "太差"], ["positive", "negative", "negative"], task)
        return Evaluation(
            task="review-sentiment",
            labels=tuple(labels),
            language="zh",
            model={"name": "tiny", "sha256": "0" * 64},
            options={},
            support_fingerprint="f" * 64,
            test=TestRows(rows + 3, rows, 2, 1, "e" * 64),
            runs=tuple(runs),
            summaries=summarise(runs),
            versions={"fewshot-llm": "0.1.0"},
            rows=tuple(Row(HOSTILE[row % len(HOSTILE)], labels[target]) for row, target in enumerate(targets)),
            prompt=ShownPrompt("评论：``` <b>\n情感：", ("好评", "差评"), "review-sentiment/zh.v1", 8),
            doctor=doctor(support, task),
            attacks=(AttackFigures("typos", 40, 6, 0.9, 0.8, HOSTILE[0], HOSTILE[5]),),
            explanations=(
                ExplainedRow(
                    1,
                    Explanation(
                        label="positive",
                        runner_up="negative",
                        log_odds=0.5,
                        probabilities={"positive": 0.6, "negative": 0.4},
                        passages=(Passage("text", HOSTILE[0], (Word(0, 2, HOSTILE[0][:2], 0.3),)),),
                        demonstrations=(Shown(0, "positive", HOSTILE[1], -0.2),),
                    ),
                ),
            ),
            machine={"processor": "a processor", "threads": 2},
        )

    return make


@pytest.fixture
def result(make_result: MakeResult) -> Evaluation:
    return make_result()
