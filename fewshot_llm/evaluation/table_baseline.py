"""Would an estimator of tables do better? Asked on the very rows that a classifier was fitted with.

Where rows are fields and not texts, a decision tree or a logistic regression may know more after 32 rows than a
language model. Then that is the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from fewshot_llm.data import SupportSet
from fewshot_llm.data.tabular import TableVerbalizer
from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.predictors.out_of_fold import score_held_out
from fewshot_llm.predictors.prompted import PromptedPredictor
from fewshot_llm.types import FloatArray, IntArray, Text, listed

__all__ = [
    "LANGUAGE_MODEL",
    "Recommendation",
    "out_of_fold_scores",
    "recommend",
    "recommend_for_file",
    "recommend_for_table",
    "table_estimators",
]


def table_estimators(seed: int = 0) -> dict[str, Pipeline]:
    """Unfitted estimators of tables by name, the simplest first; they take `TableVerbalizer.matrix` and two classes.

    Args:
        seed: their only source of chance.
    """
    models: dict[str, Any] = {
        "decision tree": DecisionTreeClassifier(max_depth=3, min_samples_leaf=2, random_state=seed),
        "logistic regression": LogisticRegression(max_iter=1000),
        "gradient boosting": GradientBoostingClassifier(n_estimators=50, max_depth=2, random_state=seed),
        "random forest": RandomForestClassifier(200, min_samples_leaf=2, random_state=seed),
    }
    return {
        name: make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), model)
        for name, model in models.items()
    }


def out_of_fold_scores(estimator: Any, features: FloatArray, targets: IntArray, seed: int = 0) -> FloatArray:
    """P(class 1) of each labelled row from a fit without its fold, shape [rows].

    Args:
        estimator: with `predict_proba`.
        features: shape [rows, features].
        targets: 0 or 1, shape [rows].
        seed: deals rows into at most 5 folds.

    Raises:
        SupportError: a class has fewer than two rows.
    """
    rarest = int(np.bincount(targets, minlength=2).min())
    if rarest < 2:
        raise SupportError(f"One class has {rarest} labelled rows; comparing out of fold needs 2 of each. Label more.")
    split = StratifiedKFold(min(5, rarest), shuffle=True, random_state=seed)
    result: FloatArray = cross_val_predict(estimator, features, targets, cv=split, method="predict_proba")[:, 1]
    return result


RECOMMENDED = Text(
    "Use the {best}: its AUC out of fold on the {rows} labelled rows is the largest ({areas}).",
    "建议使用 {best}：在 {rows} 个已标注样本上的折外 AUC 最高（{areas}）。",
)


@dataclass(frozen=True)
class Recommendation:
    """Which way of answering did best on rows it had not seen.

    Attributes:
        name: the way.
        areas: AUC out of fold of each way.
        english: the reason.
        chinese: the same in Chinese.
    """

    name: str
    areas: Mapping[str, float]
    english: str
    chinese: str


def recommend(scores: Mapping[str, FloatArray], targets: IntArray) -> Recommendation:
    """The way with the largest area under the ROC curve out of fold; the first of equals.

    Args:
        scores: way → a score of each labelled row out of fold, higher for class 1, shape [rows]; the simplest first.
        targets: 0 or 1, shape [rows].

    >>> best = recommend({"tree": np.array([0.1, 0.9]), "model": np.array([0.9, 0.1])}, np.array([0, 1]))
    >>> best.name
    'tree'
    """
    areas = {name: float(roc_auc_score(targets, values)) for name, values in scores.items()}
    best = max(areas, key=lambda name: areas[name])
    areas_listed = listed(f"{name} {area:.2f}" for name, area in areas.items())
    reason = RECOMMENDED.fill(best=best, rows=len(targets), areas=areas_listed)
    return Recommendation(best, areas, reason.en, reason.zh)


LANGUAGE_MODEL = "language model"
TEXTS = "ladder on the texts"


def recommend_for_table(
    classifier: FewShotClassifier, rows: Sequence[Mapping[str, Any]], facts: TableVerbalizer, seed: int = 0
) -> Recommendation:
    """Which way to take for rows of fields: the language model, or an estimator that reads the fields as a table.

    Every way scores each labelled row without having seen it; the largest area under the ROC curve wins.

    Args:
        classifier: fitted on texts that were made of the rows, in the rows' order.
        rows: the labelled rows as they came, those included that the classifier's cleaning left out.
        facts: the columns that make the table, learned from the rows.
        seed: deals rows into folds, and is the estimators' only source of chance.

    Raises:
        SupportError: there are not two classes, fewer than two rows of one, or rows that do not fit the classifier.
    """
    support, labels = classifier.support_, classifier.labels_
    if len(labels) != 2:
        raise SupportError(
            f"Tables are compared by the area under the ROC curve, which needs two labels; there are {len(labels)}. "
            "Compare two of them at a time."
        )
    kept = support.report.kept
    if len(kept) != len(support) or (kept and max(kept) >= len(rows)):
        raise SupportError(
            f"The classifier was fitted on {len(support)} rows that are not among these {len(rows)}. Give the rows of "
            "its support set, all of them and in their order."
        )
    name, held, log_odds = _texts_out_of_fold(classifier)
    features = facts.matrix([rows[position] for position in kept])
    targets = np.array([labels.index(str(example.label)) for example in support], dtype=np.int64)
    scores = {
        estimator_name: out_of_fold_scores(estimator, features, targets, seed)[held]
        for estimator_name, estimator in table_estimators(seed).items()
    }
    scores[name] = log_odds
    return recommend(scores, targets[held])


def _texts_out_of_fold(classifier: FewShotClassifier) -> tuple[str, IntArray, FloatArray]:
    """What reads the texts, the support rows that it answered without having seen them, and their log-odds.

    Raises:
        SupportError: what answers is no prompt, and its answers to the rows were not kept.
    """
    decision = getattr(classifier, "decision_", None)
    if decision is not None and hasattr(classifier, "out_of_fold_"):
        log_p = classifier.out_of_fold_
        return TEXTS, np.array(decision.kept.rows, dtype=np.int64), log_p[:, 1] - log_p[:, 0]
    if not isinstance(classifier.predictor_, PromptedPredictor):
        raise SupportError(
            "The classifier's answers to its labelled rows, by predictors that had not seen them, are not kept. Fit it "
            "again, or with ladder=None."
        )
    held = score_held_out(classifier.predictor_.inference)
    return LANGUAGE_MODEL, held.rows, held.scores[:, 1] - held.scores[:, 0]


def recommend_for_file(
    classifier: FewShotClassifier, support: SupportSet, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> Recommendation:
    """As `recommend_for_table`, for labelled rows in a file whose texts were made of some of its columns.

    Args:
        classifier: not fitted yet.
        support: as it was read from the file.
        rows: of the file.
        columns: those that make the table.

    Raises:
        SupportError: an unknown column, and as for `recommend_for_table`.
    """
    return recommend_for_table(
        classifier.fit_support(support), rows, TableVerbalizer.fit(rows, columns), classifier.seed
    )
