"""The error contract on real comments: at most 5 % errors among labelled rows, with 90 % confidence.

    python -m eval.shop.risk_contract [--model smollm2-135m] [--seeds 3] [--write]

32 labelled comments are the support set; 600 others are scored once, by a LoRA adapter that was trained on the 32, by
demonstrations with calibration, and by logistic regression on TF-IDF. Then the 600 are split at random 200 times: one
half fits the contract, the other is labelled under it. The contract holds in a split if at most 5 % of the rows that
get a label are wrong; labelling nothing is no error, but counts as no coverage.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from eval.shop.common import arguments, data_folder, mean_and_each, open_model, write_baseline
from fewshot_llm import FewShotClassifier
from fewshot_llm.escalation import Escalation
from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.estimators.assemble import assemble
from fewshot_llm.files import read_rows
from fewshot_llm.ladder import force_lora
from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.risk_contract import fit_contract
from fewshot_llm.scoring.base import FloatArray
from fewshot_llm.support import Example, SupportSet
from fewshot_llm.task import load_task

PER_CLASS, ROWS, SPLITS = 16, 600, 200
MAX_ERROR, CONFIDENCE = 0.05, 0.9
WORDS = {"genuine": "normal", "spam": "spam"}
"""The file's labels → the family's."""


def read() -> list[tuple[str, str]]:
    """Each comment once, with its label."""
    file = data_folder("uci_youtube_spam") / "comments.csv"
    return list(
        {
            str(row["text"]): (str(row["text"]), WORDS.get(row["label"], row["label"])) for row in read_rows(file)
        }.values()
    )


def answerers(model: LanguageModel, support: SupportSet, seed: int) -> dict[str, Answerer]:
    """The ways to answer, by name."""
    classifier = FewShotClassifier("risk-flag", model, labels=support.labels, language="en", shots=4, seed=seed)
    calibrated = classifier.fit_support(support).answerer_
    adapted = force_lora(assemble(classifier, support), Escalation(seed=seed)).answerer
    return {"LoRA": adapted, "demonstrations": calibrated}


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
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in range(options.seeds):
        chance = random.Random(seed)
        chance.shuffle(rows)
        known = [row for label in WORDS.values() for row in [r for r in rows if r[1] == label][:PER_CLASS]]
        others = [row for row in rows if row not in known][:ROWS]
        task = load_task("risk-flag").with_labels(WORDS.values())
        support = SupportSet.from_lists(*zip(*known, strict=True), task)
        asked = [Example({"text": text}) for text, _ in others]
        truth = np.array([task.labels.index(label) for _, label in others])
        tables = {
            name: np.exp(answerer.answer(asked).log_probabilities)
            for name, answerer in answerers(model, support, seed).items()
        }
        peer = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)), LogisticRegression(C=30))
        texts, labels = zip(*known, strict=True)
        peer.fit(texts, [task.labels.index(label) for label in labels])
        tables["TF-IDF"] = peer.predict_proba([text for text, _ in others])
        for name, p in tables.items():
            for figure, value in contracts(p, truth, seed).items():
                found[name][figure].append(value)
        print(
            seed,
            {name: {k: round(v[-1], 3) for k, v in figures.items()} for name, figures in found.items()},
            flush=True,
        )
    figures: dict[str, Any] = {name: {k: mean_and_each(v) for k, v in each.items()} for name, each in found.items()}
    work = (
        "uci_youtube_spam, 32 rows; 300 rows fit the contract, 300 are labelled, 200 splits; "
        "target: error ≤ 5 % in ≥ 90 % of splits, coverage ≥ 50 %"
    )
    write_baseline("risk-contract", {"work": work, **figures}, options)


if __name__ == "__main__":
    main()
