"""Out of scope: customer messages whose intent is none of the 67 that are known, 10 intents having been left out.

    python -m eval.shop.out_of_scope [--model smollm2-135m] [--seeds 3] [--write]

Two support sets: 40 messages per known intent, and the first 10 of them. Half of the test messages have a known intent.
As 67 labels for every message are dear on one core, the language model's part here is a logistic regression on its mean
hidden states (`label`). Which score is used is chosen on the support rows by leaving classes out; the AUROC of every
score on the test messages stands beside it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from eval.shop.common import arguments, data_folder, mean_and_each, open_model, write_baseline
from fewshot_llm.files import read_rows
from fewshot_llm.scoring import MeanHiddenState
from fewshot_llm.selective import LabelledTexts, ScopeScore, fit_scope, scope_scores
from fewshot_llm.types import FloatArray

LEFT_OUT, PER_INTENT, FALSE_ALARMS = 10, (10, 40), 0.05


def by_intent(name: str) -> dict[str, list[str]]:
    """Intent → its messages."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in read_rows(data_folder("banking77") / name):
        found[str(row["category"])].append(str(row["text"]))
    return dict(sorted(found.items()))


def measure(
    known: LabelledTexts, asked: Sequence[str], strange: FloatArray, vectors: tuple[FloatArray, FloatArray]
) -> dict[str, float]:
    """AUROC of each score, of the chosen one, and what its threshold does."""
    regression = make_pipeline(StandardScaler(), Normalizer(), LogisticRegression(C=10.0, max_iter=300))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    held_out = cross_val_predict(regression, vectors[0], known.targets, cv=folds, method="predict_log_proba")
    answers = regression.fit(vectors[0], known.targets).predict_log_proba(vectors[1])
    names: tuple[ScopeScore, ...] = get_args(ScopeScore)
    areas = {name: float(roc_auc_score(strange, -scope_scores(name, asked, answers, known))) for name in names}
    scope = fit_scope(known, held_out, FALSE_ALARMS)
    found = scope.outside(asked, answers, known)
    return {
        **{str(name): area for name, area in areas.items()},
        "chosen": areas[scope.score],
        "chosen where classes were left out": scope.areas[scope.score],
        "false alarms": float(found[strange == 0].mean()),
        "found": float(found[strange == 1].mean()),
    }


def embedder(model: str) -> Callable[[Sequence[str]], FloatArray]:
    """Mean hidden states of texts."""
    return MeanHiddenState(open_model(model))


def main() -> None:
    """Measure, print, write."""
    options = arguments(__doc__ or "", model="smollm2-135m").parse_args()
    train, test, embed = by_intent("train.csv"), by_intent("test.csv"), embedder(options.model)
    figures: dict[int, dict[str, list[float]]] = {rows: defaultdict(list) for rows in PER_INTENT}
    for seed in range(options.seeds):
        chance = random.Random(seed)
        out = set(chance.sample(sorted(train), LEFT_OUT))
        intents = [intent for intent in train if intent not in out]
        drawn = [chance.sample(train[intent], min(max(PER_INTENT), len(train[intent]))) for intent in intents]
        sides = [[text for intent in part for text in test[intent]] for part in (intents, sorted(out))]
        half = min(options.test_rows, len(sides[1]))
        asked = [text for side in sides for text in chance.sample(side, half)]
        strange = np.repeat([0.0, 1.0], half)
        texts = [text for row in drawn for text in row]
        targets = np.repeat(np.arange(len(intents)), [len(row) for row in drawn])
        place = np.concatenate([np.arange(len(row)) for row in drawn])
        vectors, asked_vectors = embed(texts), embed(asked)
        for rows, found in figures.items():
            kept = place < rows
            known = LabelledTexts(tuple(texts), targets).take(kept)
            for name, value in measure(known, asked, strange, (vectors[kept], asked_vectors)).items():
                found[name].append(value)
            print(seed, rows, {name: round(values[-1], 3) for name, values in found.items()}, flush=True)
    result = {
        "work": "banking77, 10 intents left out, 300 known and 300 unknown messages; target: AUROC ≥ 0.85",
        **{f"{rows} rows per intent": {k: mean_and_each(v) for k, v in f.items()} for rows, f in figures.items()},
    }
    write_baseline("out-of-scope", result, options)


if __name__ == "__main__":
    main()
