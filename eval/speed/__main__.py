"""`make bench`: the scorer against the bare model, itself, and everyone else who scores labels. Ratios first.

    python -m eval.speed [--only NAME ...] [--rounds N] [--write]

`--write` puts the results into eval/baselines/speed.json, each case with the machine and the versions it was run on.
"""

from __future__ import annotations

import argparse
import json
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from eval.speed import engine, memory, others, scaling, workloads
from fewshot_llm import load_model
from fewshot_llm.artifacts import installed_versions
from fewshot_llm.evaluation import machine
from fewshot_llm.files import atomic_write_json

BASELINE = Path(__file__).parents[1] / "baselines" / "speed.json"
load = cache(load_model)
SMALL, CHINESE = "smollm2-135m", "gemma3-270m"


@dataclass(frozen=True)
class Case:
    """One row of the table: work, what it is compared with, the ratio it must reach."""

    name: str
    work: str
    compared: str
    key: str
    within: Callable[[float, float], bool]
    bound: float
    run: Callable[[int], dict[str, Any]]


def at_most(name: str, work: str, compared: str, bound: float, run: Callable[[int], dict[str, Any]], key: str) -> Case:
    return Case(name, work, compared, key, operator.le, bound, run)


def at_least(name: str, work: str, compared: str, bound: float, run: Callable[[int], dict[str, Any]]) -> Case:
    return Case(name, work, compared, "ratio", operator.ge, bound, run)


CASES = (
    at_most(
        "reviews", "2 labels, 16 demonstrations each, 200 rows, gemma3-270m", "bare forward, unique tokens", 1.3,
        lambda rounds: engine.against_bare(load(CHINESE), workloads.reviews(load(CHINESE)), rounds), "ratio",
    ),
    at_most(
        "intents", "27 labels, 1 demonstration each, 200 rows, smollm2-135m", "bare forward, unique tokens", 1.5,
        lambda rounds: engine.against_bare(load(SMALL), workloads.intents(load(SMALL)), rounds), "ratio",
    ),
    at_most(
        "intents-best", "27 labels, best label only", "all probabilities", 0.7,
        lambda rounds: engine.best_against_all(load(SMALL), workloads.intents(load(SMALL)), rounds), "ratio",
    ),
    at_most(
        "banking-best", "77 labels, best label only", "all probabilities", 0.4,
        lambda rounds: engine.best_against_all(load(SMALL), workloads.banking(load(SMALL)), rounds), "ratio",
    ),
    at_least(
        "full-prompts", "27 labels", "one full prompt per label", 25,
        lambda rounds: engine.against_full_prompts(load(SMALL), workloads.intents(load(SMALL)), 4, rounds),
    ),
    at_least(
        "reviews-full-prompts", "2 labels, 4 demonstrations each, gemma3-270m", "one full prompt per label", 5,
        lambda rounds: engine.against_full_prompts(
            load(CHINESE), workloads.reviews(load(CHINESE), shots=4), 16, rounds
        ),
    ),
    at_least(
        "cappr", "27 labels", "cappr 0.9.6 with its cache", 10,
        lambda rounds: others.against_cappr(load(SMALL), workloads.intents(load(SMALL)), 20),
    ),
    at_least(
        "lm-eval", "27 labels", "lm-evaluation-harness loglikelihood", 10,
        lambda rounds: others.against_lm_eval(load(SMALL), workloads.intents(load(SMALL)), 4),
    ),
    at_most(
        "memory", "4,000-token prefix, 64 rows", "weights + one copy of the prefix", 1.5,
        lambda rounds: memory.peak_ratio(SMALL), "ratio",
    ),
    at_most(
        "linear-time", "100 to 10,000 rows, seconds a row", "at 100 rows", 1.1,
        lambda rounds: scaling.growth(SMALL, (100, 1000, 10000)), "time_ratio",
    ),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=[case.name for case in CASES])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"update {BASELINE.name}")
    options = parser.parse_args()
    known = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {"cases": {}}
    table = Table("case", "work", "compared with", "reached", "must", "", title="Ratios")
    missed = []
    for case in CASES:
        if options.only and case.name not in options.only:
            continue
        result = case.run(options.rounds)
        if "skipped" in result:
            table.add_row(case.name, case.work, case.compared, "-", str(case.bound), result["skipped"])
            continue
        good = case.within(result[case.key], case.bound)
        missed += [] if good else [case.name]
        sign = "≤" if case.within is operator.le else "≥"
        mark = "ok" if good else "MISSED"
        table.add_row(case.name, case.work, case.compared, f"{result[case.key]:.2f}", f"{sign} {case.bound}", mark)
        print(json.dumps({case.name: result}, ensure_ascii=False), flush=True)
        if options.write:
            about = {"work": case.work, "compared_with": case.compared, "bound": case.bound}
            known["cases"][case.name] = {**about, **result, "versions": installed_versions(), "machine": machine()}
            atomic_write_json(BASELINE, known)
    Console(width=160).print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
