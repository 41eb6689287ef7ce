"""Estimators of tables: fair scores, and an honest recommendation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fewshot_llm.errors import SupportError
from fewshot_llm.evaluation import out_of_fold_scores, recommend, table_estimators


def table(rows: int = 40) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(rows, 4))
    targets = (features[:, 0] + 0.3 * generator.normal(size=rows) > 0).astype(np.int64)
    features[::7, 1] = np.nan
    features[:, 3] = np.nan
    return features, targets


@pytest.mark.parametrize("name", list(table_estimators()))
def test_every_estimator_bears_missing_values_and_learns(name: str) -> None:
    features, targets = table()
    scores = out_of_fold_scores(table_estimators()[name], features, targets)
    assert roc_auc_score(targets, scores) > 0.75


def test_nothing_to_learn_gives_no_area() -> None:
    generator = np.random.default_rng(1)
    features, targets = generator.normal(size=(200, 3)), generator.integers(0, 2, 200)
    for estimator in table_estimators().values():
        assert 0.35 < roc_auc_score(targets, out_of_fold_scores(estimator, features, targets)) < 0.65


def test_best_is_recommended_with_the_reason_in_both_languages() -> None:
    targets = np.array([0, 0, 1, 1])
    scores = {"decision tree": np.array([0.0, 0.0, 1.0, 1.0]), "language model": np.array([0.0, 1.0, 0.0, 1.0])}
    advice = recommend(scores, targets)
    assert advice.name == "decision tree"
    assert advice.areas == {"decision tree": 1.0, "language model": 0.5}
    assert "decision tree 1.00, language model 0.50" in advice.english
    assert "decision tree" in advice.chinese


def test_simplest_of_equals() -> None:
    targets = np.array([0, 1])
    assert recommend({"a": np.array([0, 1.0]), "b": np.array([0, 1.0])}, targets).name == "a"


def test_class_with_one_row() -> None:
    with pytest.raises(SupportError, match="1 labelled rows"):
        out_of_fold_scores(table_estimators()["decision tree"], np.zeros((3, 1)), np.array([0, 0, 1]))
