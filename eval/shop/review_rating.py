"""Few-shot regression: the mean rating (−4 … 4) of sentences of product reviews from 32 rated ones.

    python -m eval.shop.review_rating [--model gemma3-270m] [--seeds 3] [--write]

Support and test come from different reviews. Floors: the support rows' mean, and a ridge regression on TF-IDF.
The grid is fixed beforehand: five stars over the scale; nothing is chosen by test rows.
"""

from __future__ import annotations

import random
import time

import numpy as np
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline

from eval.shop.common import arguments, data_folder, mean_and_each, open_model, write_baseline
from fewshot_llm.estimators import FewShotRegressor
from fewshot_llm.predictors import Grid

ROWS = 32
STARS = Grid((-4.0, -2.0, 0.0, 2.0, 4.0), ("1", "2", "3", "4", "5"))


def read() -> list[tuple[str, float, str]]:
    """(review, rating, sentence) of every row."""
    file = data_folder("vader_amazon") / "amazonReviewSnippets_GroundTruth.txt"
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    return [(row[0].split("_")[0], float(row[1]), row[2]) for row in rows if len(row) == 3]


def split(
    rows: list[tuple[str, float, str]], seed: int, test_rows: int
) -> tuple[list[tuple[str, float, str]], list[tuple[str, float, str]]]:
    """Support and test rows from different reviews."""
    chance = random.Random(seed)
    reviews = sorted({row[0] for row in rows})
    chance.shuffle(reviews)
    known = set(reviews[: len(reviews) // 2])
    return (
        chance.sample([row for row in rows if row[0] in known], ROWS),
        chance.sample([row for row in rows if row[0] not in known], test_rows),
    )


def main() -> None:
    """Measure, print, write."""
    parser = arguments(__doc__ or "")
    options = parser.parse_args()
    rows, model = read(), open_model(options.model)
    found: dict[str, list[float]] = {}

    def note(**figures: float) -> None:
        for name, value in figures.items():
            found.setdefault(name, []).append(float(value))

    for seed in range(options.seeds):
        support, test = split(rows, seed, options.test_rows)
        texts, targets = [row[2] for row in support], np.array([row[1] for row in support])
        asked, truth = [row[2] for row in test], np.array([row[1] for row in test])
        started = time.perf_counter()
        regressor = FewShotRegressor("review-rating", model, grid=STARS, seed=seed).fit(texts, targets)
        answers = regressor.predict(asked)
        seconds = time.perf_counter() - started
        low, high = regressor.predict_interval(asked, level=0.9)
        ridge = make_pipeline(TfidfVectorizer(), RidgeCV(np.logspace(-2, 3, 11))).fit(texts, targets).predict(asked)
        note(
            mae=np.abs(answers - truth).mean(),
            spearman=spearmanr(answers, truth)[0],
            cross_validated_mae=regressor.cross_validated_error(),
            interval_coverage=((low <= truth) & (truth <= high)).mean(),
            interval_width=(high - low).mean(),
            seconds=seconds,
            mean_mae=np.abs(targets.mean() - truth).mean(),
            tfidf_ridge_mae=np.abs(ridge - truth).mean(),
            tfidf_ridge_spearman=spearmanr(ridge, truth)[0],
        )
        print(seed, {name: round(values[-1], 3) for name, values in found.items()}, flush=True)
    result = {"work": "vader_amazon, 32 rows, split by review; target: MAE ≤ 1.10, Spearman ≥ 0.60"}
    write_baseline("review-rating", {**result, **{k: mean_and_each(v) for k, v in found.items()}}, options)


if __name__ == "__main__":
    main()
