"""What every peer script shares: the work in, the answers out. Only the standard library and numpy."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

Predict = Callable[[], Any]


def serve(learn: Callable[[dict[str, Any]], Predict], packages: Sequence[str]) -> None:
    """Read the work, learn, predict, write the answers.

    `learn` gives a function of no arguments that returns probabilities, shape [test rows, labels].
    """
    work = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    began = perf_counter()
    predict = learn(work)
    learned = perf_counter()
    probabilities = np.asarray(predict(), dtype=np.float64)
    answers = {
        # Seven digits of each, not seven decimals: log loss tells 1e-9 from 1e-30.
        "probabilities": [[float(f"{value:.7g}") for value in row] for row in probabilities],
        "fit_seconds": learned - began,
        "predict_seconds": perf_counter() - learned,
        "versions": {name: version(name) for name in packages},
    }
    Path(sys.argv[2]).write_text(json.dumps(answers), encoding="utf-8")


def logistic_regression(features: Any, work: dict[str, Any]) -> Callable[[Any], Any]:
    """scikit-learn's, with as much regularisation as cross-validation on the support rows likes best.

    The columns of what it returns are in the order of the work's labels.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    targets = np.array([work["labels"].index(row["label"]) for row in work["support"]])
    fold_count = min(5, int(np.bincount(targets).min()))
    folds = StratifiedKFold(fold_count, shuffle=True, random_state=work["seed"])
    search = GridSearchCV(
        LogisticRegression(max_iter=2000), {"C": [0.1, 1.0, 10.0, 100.0]}, cv=folds, scoring="neg_log_loss"
    )
    return search.fit(features, targets).predict_proba
