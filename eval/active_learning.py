"""Is a suggested row worth more than a random one? Accuracy at equal numbers of labels.

    python -m eval.active_learning [--work NAME] [--seeds 10] [--write]

Each seed draws 4 labelled rows per class and a pool of 150 unlabelled ones; the 100 test rows are the same for all.
Twice, 8 rows of the pool get their true labels: those that `suggest` names, or rows at random. Every labelled row is
shown in the prompt. Every finished seed is a file below out/active-learning; an interrupted run goes on there.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eval.explanations import WORKS, Work
from eval.shop.common import ROOT, data_folder
from fewshot_llm import FewShotClassifier, SupportSet, load_model, load_task
from fewshot_llm.artifacts import installed_versions
from fewshot_llm.data import Example
from fewshot_llm.evaluation import git_commit, machine
from fewshot_llm.files import atomic_write_json, read_rows
from fewshot_llm.labelling import suggest
from fewshot_llm.stats import Interval, difference_interval, loss_reach, mean_interval, row_losses

START, STEPS, ADD, POOL, TEST = 4, 2, 8, 150, 100
LENGTHS = range(5, 101)
"""Characters of the rows that take part, so that 24 of them fit a small model's prompt."""

Curve = dict[str, list[Any]]
Pick = Callable[[FewShotClassifier, list[Example]], list[int]]


def split(work: Work) -> tuple[SupportSet, SupportSet]:
    """The rows that seeds draw from, and the test rows."""
    task = load_task(work.task)
    rows = SupportSet.from_rows(read_rows(data_folder(work.name) / work.file.split("/")[1]), task)
    order = [row for row in range(len(rows)) if len(rows[row].text) in LENGTHS]
    random.Random(11).shuffle(order)
    return rows.subset(order[TEST:]), rows.subset(order[:TEST])


def curve(work: Work, model: Any, start: SupportSet, pool: SupportSet, test: SupportSet, pick: Pick) -> Curve:
    """Right answers and losses on the test rows at 8, 16 and 24 labels."""
    found: Curve = {"labels": [], "right": [], "loss": []}
    support, left = start, pool
    for step in range(STEPS + 1):
        classifier = FewShotClassifier(load_task(work.task), model, shots=len(support)).fit_support(support)
        log_p = classifier.predictor_.answer([Example(row.fields) for row in test]).log_probabilities
        targets = np.array([classifier.labels_.index(str(row.label)) for row in test])
        found["labels"].append(len(support))
        found["right"].append((log_p.argmax(axis=1) == targets).astype(int).tolist())
        found["loss"].append(row_losses(targets, np.exp(log_p)).round(4).tolist())
        if step < STEPS:
            rows = pick(classifier, [Example(row.fields) for row in left])
            joined = support.examples + left.subset(rows).examples
            support, left = SupportSet(joined, support.labels), left.without(rows)
    return found


def measure(work: Work, seed: int) -> dict[str, Curve]:
    """Both curves of one seed, from the same first rows and the same pool."""
    rows, test = split(work)
    start = rows.sample(START, seed)
    rest = [row for row in range(len(rows)) if row not in set(start.report.kept)]
    random.Random(seed).shuffle(rest)
    pool, model, chance = rows.subset(rest[:POOL]), load_model(work.model), random.Random(seed)

    def suggested(classifier: FewShotClassifier, left: list[Example]) -> list[int]:
        return [one.row for one in suggest(classifier, left, ADD).chosen]

    def at_random(classifier: FewShotClassifier, left: list[Example]) -> list[int]:
        return chance.sample(range(len(left)), ADD)

    return {
        "suggested": curve(work, model, start, pool, test, suggested),
        "random": curve(work, model, start, pool, test, at_random),
    }


def summarise(cells: list[dict[str, Curve]]) -> list[dict[str, Any]]:
    """For each number of labels: means, paired differences with intervals, and in how many seeds it is no worse."""
    points = []
    for step, labels in enumerate(cells[0]["random"]["labels"]):
        ours, theirs = (
            {name: np.array([cell[way][name][step] for cell in cells], dtype=np.float64) for name in ("right", "loss")}
            for way in ("suggested", "random")
        )
        points.append(
            {
                "labels": labels,
                "accuracy": [round(float(way["right"].mean()), 4) for way in (ours, theirs)],
                "accuracy_difference": _rounded(difference_interval(ours["right"] - theirs["right"])),
                "log_loss": [round(float(way["loss"].mean()), 4) for way in (ours, theirs)],
                "log_loss_difference": _rounded(mean_interval(ours["loss"] - theirs["loss"], reach=loss_reach(2))),
                "seeds_at_least_as_accurate": int((ours["right"].mean(axis=1) >= theirs["right"].mean(axis=1)).sum()),
                "seeds_more_accurate": int((ours["right"].mean(axis=1) > theirs["right"].mean(axis=1)).sum()),
                "seeds_with_lower_loss": int((ours["loss"].mean(axis=1) < theirs["loss"].mean(axis=1)).sum()),
                "seeds": len(cells),
            }
        )
    return points


def _rounded(interval: Interval) -> list[float]:
    return [round(value, 4) for value in (interval.value, interval.low, interval.high)]


def main() -> None:
    """Measure the seeds that are not there yet, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--work", choices=[work.name for work in WORKS], help="only this data set")
    parser.add_argument("--write", action="store_true", help="put the result into eval/baselines/active-learning.json")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    for work in (work for work in WORKS if options.work in (None, work.name)):
        cells = []
        for seed in range(options.seeds):
            file = ROOT / "out" / "active-learning" / f"{work.name}-{seed}.json"
            if not file.exists():
                atomic_write_json(file, measure(work, seed))
            cells.append(json.loads(file.read_text(encoding="utf-8")))
            print(work.name, seed, [round(np.mean(cells[-1][way]["right"][-1]), 3) for way in cells[-1]], flush=True)
        result[work.name] = {"model": Path(work.model).name, "suggested_then_random": summarise(cells)}
        print(work.name, json.dumps(result[work.name], indent=1), flush=True)
    if options.write:
        settings = {"start_per_class": START, "added": [ADD] * STEPS, "pool": POOL, "test_rows": TEST}
        record = {**settings, **result, "commit": git_commit(), "machine": machine(), "versions": installed_versions()}
        atomic_write_json(ROOT / "eval" / "baselines" / "active-learning.json", record)


if __name__ == "__main__":
    main()
