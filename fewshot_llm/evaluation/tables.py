"""Would an estimator of tables do better? Asked on the very rows that a classifier was fitted with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.estimators.out_of_fold import score_held_out
from fewshot_llm.evaluation.rivals import Recommendation, out_of_fold_scores, recommend, table_estimators
from fewshot_llm.support import SupportSet
from fewshot_llm.tabular import Facts

__all__ = ["LANGUAGE_MODEL", "recommend_for_file", "recommend_for_table"]

LANGUAGE_MODEL = "language model"


def recommend_for_table(
    classifier: FewShotClassifier, rows: Sequence[Mapping[str, Any]], facts: Facts, seed: int = 0
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
    held = score_held_out(classifier.answerer_.inference)
    features = facts.matrix([rows[position] for position in kept])
    targets = np.array([labels.index(str(example.label)) for example in support], dtype=np.int64)
    scores = {
        name: out_of_fold_scores(estimator, features, targets, seed)[held.rows]
        for name, estimator in table_estimators(seed).items()
    }
    scores[LANGUAGE_MODEL] = held.scores[:, 1] - held.scores[:, 0]
    return recommend(scores, targets[held.rows])


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
    return recommend_for_table(classifier.fit_support(support), rows, Facts.fit(rows, columns), classifier.seed)
