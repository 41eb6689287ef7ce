"""Which loss should an adapter be trained with: the softmax over the candidate labels, or the label's own tokens?

    python -m eval.loss_ablation [bitext_intents|uci_youtube_spam ...] [--seeds 3] [--write]

Support sets (of seeds that no suite uses) and the rows that are asked come from the pools of suites, not the test rows.
Both losses train with the recipe that the ladder would take, all else equal, for all of its epochs, one adapter a seed.
`--write` puts accuracy and log loss (scores as they are) with intervals over seeds and rows, and training seconds into
eval/baselines/loss-ablation.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.special import softmax

from eval.shop.common import ROOT
from fewshot_llm import load_model
from fewshot_llm.artifacts import installed_versions
from fewshot_llm.data import SupportSet
from fewshot_llm.evaluation import git_commit, machine
from fewshot_llm.evaluation.suite import Suite, SuiteData, load_suite, read_data
from fewshot_llm.files import atomic_write_json
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import make_builder, make_scorer
from fewshot_llm.stats import Interval, difference_interval, loss_reach, mean_interval, row_losses, share_interval
from fewshot_llm.training import (
    adapted,
    label_table,
    row_maker,
    rows_by_epoch,
    take_recipe,
    target_positions,
    train_adapter,
)

Loss = Literal["labels", "tokens"]
LOSSES: tuple[Loss, ...] = ("labels", "tokens")
BASELINE = ROOT / "eval" / "baselines" / "loss-ablation.json"
FIRST_SEED, ASKED = 100, 200


def asked_rows(data: SuiteData, seeds: range, shots: int) -> SupportSet:
    """About 200 rows of the pool, as many of each class, that no seed learns from."""
    shown = {example.text for seed in seeds for example in data.draw(shots, seed)}
    others = data.pool.without(at for at, example in enumerate(data.pool) if example.text in shown)
    return others.sample(max(1, ASKED // len(data.task.labels)), FIRST_SEED)


def measure(suite: Suite, data: SuiteData, model: LanguageModel, seed: int, asked: SupportSet) -> dict[Loss, Any]:
    """Both losses on one support set: rows that are right, their losses, seconds."""
    support = data.draw(suite.shots[0], seed)
    recipe = take_recipe(suite.recipe, len(data.task.labels), len(support))
    builder = replace(make_builder(data.task, suite.language, make_scorer(model, suite.language)), shots=0)
    everything = range(len(support))
    rows = rows_by_epoch(row_maker(builder, support, model.tokenizer), everything, recipe, seed)
    questions = row_maker(builder, asked, model.tokenizer)(range(len(asked)), range(len(asked)), 0)
    truth = np.array(target_positions(builder, asked))
    found: dict[Loss, Any] = {}
    for loss in LOSSES:
        training = train_adapter(
            model,
            rows,
            target_positions(builder, support),
            recipe.model_copy(update={"loss": loss}),
            seed=seed,
        )
        scores = label_table(adapted(model, training.adapter), questions, recipe.pack_tokens)
        found[loss] = {
            "right": (scores.argmax(axis=1) == truth).astype(float),
            "losses": row_losses(truth, softmax(scores, axis=1)),
            "seconds": training.seconds,
        }
        print(f"{suite.name}, seed {seed}, {loss}: {found[loss]['right'].mean():.3f}", flush=True)
    return found


def figure(found: Interval) -> dict[str, float]:
    """A mean over seeds and rows with its 95 % interval."""
    return {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suites", nargs="*", default=["bitext_intents", "uci_youtube_spam"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"put the result into {BASELINE.name}")
    options = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    record = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.is_file() else {}
    for name in options.suites:
        suite = load_suite(name)
        data = read_data(suite.data, suite.described_task())
        model = load_model(suite.models[0])
        asked = asked_rows(data, seeds, suite.shots[0])
        reach = loss_reach(len(data.task.labels))
        each = [measure(suite, data, model, seed, asked) for seed in seeds]
        record[name] = {
            "model": Path(suite.models[0]).name,
            "shots": suite.shots[0],
            "rows": len(asked),
            "seeds": options.seeds,
            **{
                loss: {
                    "accuracy": figure(share_interval([found[loss]["right"] for found in each])),
                    "log_loss": figure(mean_interval([found[loss]["losses"] for found in each], reach=reach, least=0)),
                    "seconds": round(float(np.mean([found[loss]["seconds"] for found in each])), 1),
                }
                for loss in LOSSES
            },
            "labels_minus_tokens": figure(
                difference_interval([found["labels"]["right"] - found["tokens"]["right"] for found in each])
            ),
            "commit": git_commit(),
            "machine": machine(),
            "versions": installed_versions(),
        }
        print(json.dumps(record[name], indent=1, ensure_ascii=False), flush=True)
        if options.write:
            atomic_write_json(BASELINE, record)


if __name__ == "__main__":
    main()
