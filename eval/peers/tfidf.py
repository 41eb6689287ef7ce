"""TF-IDF of words and of character n-grams + logistic regression: what takes an afternoon without any model."""

from __future__ import annotations

from typing import Any

from protocol import Predict, logistic_regression, serve
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_union


def learn(work: dict[str, Any]) -> Predict:
    # Character n-grams also stand in for words where these are not separated by spaces.
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True),
    )
    known = features.fit_transform([row["text"] for row in work["support"]])
    predict = logistic_regression(known, work)
    return lambda: predict(features.transform(work["test"]))


if __name__ == "__main__":
    serve(learn, ["scikit-learn"])
