"""The error contract on real comments: at most 5 % errors among labelled rows, with 90 % confidence.

    python -m eval.shop.risk_contract [--model smollm2-135m] [--seeds 3] [--write]

100 labelled comments are the support set; 600 others are scored once: by a LoRA adapter that was trained on the 100, by
a logistic regression on TF-IDF, and by the geometric mean of the two. Then the 600 are split at random 200 times: one
half fits the contract, the other is labelled under it. The contract holds in a split if at most 5 % of the rows that
get a label are wrong; labelling nothing is no error, but counts as no coverage.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from eval.shop.common import ROOT, arguments, data_folder, mean_and_each, open_model, write_baseline
from fewshot_llm.data import Example, SupportSet, Task, load_task
from fewshot_llm.files import read_rows
from fewshot_llm.ladder.rungs import Tuned, lora_builder, lora_predictor
from fewshot_llm.models import LanguageModel
from fewshot_llm.predictors import Inference, PromptedPredictor, make_builder, make_scorer
from fewshot_llm.selective import fit_contract
from fewshot_llm.training import fit_adapter, load_recipe, row_maker, target_positions
from fewshot_llm.types import FloatArray

PER_CLASS, ROWS, SPLITS = 50, 600, 200
LABELS = ("spam", "genuine")
MAX_ERROR, CONFIDENCE = 0.05, 0.9


def read() -> list[tuple[str, str]]:
    """Each comment once, with its label."""
    rows = read_rows(data_folder("uci_youtube_spam") / "comments.csv")
    return list({str(row["text"]): str(row["label"]) for row in rows}.items())


def train(model: LanguageModel, task: Task, support: SupportSet, seed: int) -> PromptedPredictor:
    """Answers with an adapter that was trained for the recipe's epochs; the contract needs no calibration."""
    scorer = make_scorer(model, "en")
    inference = Inference(make_builder(task, "en", scorer, seed=seed), scorer, support)
    recipe = load_recipe("small")
    builder = lora_builder(inference, recipe)
    rows, targets = row_maker(builder, support, model.tokenizer), target_positions(builder, support)
    return lora_predictor(inference, Tuned(fit_adapter(model, rows, targets, recipe, seed=seed), recipe, None))


def contracts(p: FloatArray, truth: npt.NDArray[np.int64], seed: int) -> dict[str, float]:
    """What 200 random splits show of the probabilities [rows, labels]."""
    confidences, right = p.max(axis=1), p.argmax(axis=1) == truth
    chance = np.random.default_rng(seed)
    held, errors, coverages = [], [], []
    for _ in range(SPLITS):
        fitted, asked = np.split(chance.permutation(len(p)), [len(p) // 2])
        contract = fit_contract(confidences[fitted], right[fitted], max_error=MAX_ERROR, confidence=CONFIDENCE)
        labelled = contract.gives(confidences[asked])
        error = float((~right[asked][labelled]).mean()) if labelled.any() else 0.0
        held.append(error <= MAX_ERROR)
        errors.append(error)
        coverages.append(labelled.mean())
    figures = {"held": held, "error": errors, "coverage": coverages, "accuracy without a contract": right}
    return {name: float(np.mean(values)) for name, values in figures.items()}


def main() -> None:
    """Measure, print, write."""
    options = arguments(__doc__ or "", model="smollm2-135m").parse_args()
    rows, model = read(), open_model(options.model)
    task = load_task(ROOT / "eval" / "tasks" / "comment-spam")
    regression = LogisticRegression(C=30.0)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(options.seeds):
        chance = random.Random(seed)
        chance.shuffle(rows)
        known = [row for label in LABELS for row in [row for row in rows if row[1] == label][:PER_CLASS]]
        others = [row for row in rows if row not in set(known)][:ROWS]
        (texts, labels), (asked, truth) = zip(*known, strict=True), zip(*others, strict=True)
        predictor = train(model, task, SupportSet.from_lists(texts, labels, task), seed)
        peer = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True), regression)
        peer.fit(texts, [task.labels.index(label) for label in labels])
        logs = {
            "LoRA": predictor.answer([Example({"text": text}) for text in asked]).log_probabilities,
            "TF-IDF": peer.predict_log_proba(asked),
        }
        logs["both"] = log_softmax((logs["LoRA"] + logs["TF-IDF"]) / 2, axis=1)
        right = np.array([task.labels.index(label) for label in truth])
        for name, log_p in logs.items():
            for figure, value in contracts(np.exp(log_p), right, seed).items():
                found[name][figure].append(value)
        print(
            seed,
            {name: {k: round(v[-1], 3) for k, v in figures.items()} for name, figures in found.items()},
            flush=True,
        )
    figures: dict[str, Any] = {name: {k: mean_and_each(v) for k, v in each.items()} for name, each in found.items()}
    work = (
        "uci_youtube_spam, 100 rows; 300 rows fit the contract, 300 are labelled, 200 splits; "
        "target: error ≤ 5 % in ≥ 90 % of splits, coverage ≥ 50 %"
    )
    write_baseline("risk-contract", {"work": work, **figures}, options)


if __name__ == "__main__":
    main()
