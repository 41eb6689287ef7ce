"""Texts that belong to no label: how much a text looks like the labelled ones, and from where on it does not.

A classifier gives every text one of its labels, also a complaint about the weather. Four scores tell such texts, all
of them higher the more a text looks in scope:

- `label`: the highest label probability of the language model;
- `words`: the highest probability of a logistic regression on the words' pieces (TF-IDF of character n-grams);
- `nearest`: the cosine of these to the nearest labelled text;
- `agreement`: the chance that the first two name the same label, sum over labels of P(label) · P'(label).

Which one is used is decided on the labelled rows alone: classes are left out in turn, and the score that best tells
their rows from held-out rows of the others (AUROC) is taken. With two classes one would be left, so that only `nearest`
can be used. The threshold then is a conformal one (Vovk et al., "Algorithmic learning in a random world", 2005): of
texts that are drawn as the labelled ones were, at most the stated share is called out of scope.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from fewshot_llm.errors import CalibrationError
from fewshot_llm.types import FloatArray, IntArray

__all__ = [
    "LabelledTexts",
    "OutOfScopeDetector",
    "ScopeScore",
    "fit_scope",
    "leave_classes_out",
    "rows_for_alarms",
    "scope_scores",
]

ScopeScore: TypeAlias = Literal["label", "words", "nearest", "agreement"]

GROUPS = 5
"""Of classes that are left out together, and of rows that are held out."""


@dataclass(frozen=True, eq=False)
class LabelledTexts:
    """Labelled texts.

    Attributes:
        texts: the texts.
        targets: positions of their labels, shape [rows].
    """

    texts: tuple[str, ...]
    targets: IntArray

    def take(self, rows: npt.NDArray[Any]) -> LabelledTexts:
        """Some of the rows, by truth values or positions."""
        return LabelledTexts(tuple(np.array(self.texts, dtype=object)[rows]), self.targets[rows])


@dataclass(frozen=True)
class OutOfScopeDetector:
    """Tells texts that belong to no label.

    Attributes:
        score: which score is looked at.
        threshold: a text below it is out of scope.
        false_alarms: at most this share of texts that are in scope is called out of scope.
        areas: AUROC of each score where classes were left out; empty with two classes.
    """

    score: ScopeScore
    threshold: float
    false_alarms: float
    areas: Mapping[ScopeScore, float] = field(default_factory=dict, hash=False)

    @property
    def fingerprint(self) -> str:
        """Everything that may change a verdict, as one line."""
        return f"{self.score} below {self.threshold:.6f}"

    def outside(
        self, texts: Sequence[str], log_probabilities: FloatArray, known: LabelledTexts
    ) -> npt.NDArray[np.bool_]:
        """Whether each text belongs to no label, shape [texts].

        Args:
            texts: the texts.
            log_probabilities: log P(label | text) of the language model, nats, shape [texts, labels].
            known: the labelled rows that are served.
        """
        if not len(texts):
            return np.zeros(0, dtype=np.bool_)
        return scope_scores(self.score, texts, log_probabilities, known) < self.threshold


def rows_for_alarms(false_alarms: float) -> int:
    """The fewest labelled rows with which a share of false alarms can be promised and any text be out of scope.

    >>> rows_for_alarms(0.05)
    19
    """
    if not 0 < false_alarms < 1:
        raise CalibrationError(f"The share of false alarms is {false_alarms:g}; expected one between 0 and 1.")
    return math.ceil(round(1 / false_alarms, 9)) - 1


def fit_scope(known: LabelledTexts, log_probabilities: FloatArray, false_alarms: float) -> OutOfScopeDetector:
    """Choose the score and the threshold on labelled rows.

    Args:
        known: the labelled rows.
        log_probabilities: the language model's answers to them, by prompts and calibrations that did not see the row,
            nats, shape [rows, labels].
        false_alarms: the share of in-scope texts that may be called out of scope.

    Raises:
        CalibrationError: the share lies outside (0, 1), or there are too few rows for it; says how many are needed.
    """
    needed, rows = rows_for_alarms(false_alarms), len(known.texts)
    if rows < needed:
        raise CalibrationError(
            f"At most {false_alarms:.2%} false alarms cannot be promised from {rows} labelled rows: at least {needed} "
            "are needed. Label more rows, or allow more false alarms."
        )
    areas = leave_classes_out(known, log_probabilities)
    score: ScopeScore = max(areas, key=lambda name: areas[name]) if areas else "nearest"
    fold = _stratified_folds(known.targets)
    scores = np.empty(rows)
    for held in (fold == number for number in range(GROUPS)):
        if held.any():
            scores[held] = scope_scores(score, known.take(held).texts, log_probabilities[held], known.take(~held))
    rank = math.floor(round(false_alarms * (rows + 1), 9))
    return OutOfScopeDetector(score, float(np.sort(scores)[rank - 1]), false_alarms, areas)


def leave_classes_out(known: LabelledTexts, log_probabilities: FloatArray) -> dict[ScopeScore, float]:
    """AUROC of each score: rows of left-out classes against held-out rows of the others, mean over groups of classes.

    Args:
        known: labelled rows.
        log_probabilities: as for `fit_scope`; a left-out class loses its column.

    Returns:
        Empty with fewer than three classes.
    """
    classes = np.unique(known.targets)
    if len(classes) < 3:
        return {}
    groups = min(GROUPS, len(classes) // 2) if len(classes) > 3 else 3
    fold = _stratified_folds(known.targets)
    areas: dict[ScopeScore, list[float]] = {"label": [], "words": [], "nearest": [], "agreement": []}
    for number in range(groups):
        gone = np.isin(known.targets, classes[number::groups])
        held = ~gone & (fold == number)
        asked, left = gone | held, ~gone & ~held
        if len(np.unique(known.targets[left])) < 2 or not held.any():
            continue
        answers = log_probabilities[asked].copy()
        answers[:, classes[number::groups]] = -np.inf
        answers = log_softmax(answers, axis=1)
        for score, found in areas.items():
            values = scope_scores(score, known.take(asked).texts, answers, known.take(left))
            found.append(float(roc_auc_score(held[asked], values)))
    return {score: float(np.mean(found)) for score, found in areas.items() if found}


def scope_scores(
    score: ScopeScore, texts: Sequence[str], log_probabilities: FloatArray, known: LabelledTexts
) -> FloatArray:
    """One of the scores, higher for texts that look in scope, shape [texts].

    Args:
        score: which.
        texts: the texts.
        log_probabilities: log P(label | text) of the language model, nats, shape [texts, labels].
        known: the labelled rows to compare with.
    """
    if score == "label":
        best: FloatArray = np.exp(log_probabilities.max(axis=1))
        return best
    words = _words(known.texts, tuple(known.targets.tolist()))
    if score == "nearest":
        return words.nearest(texts)
    shares = words.shares(texts, log_probabilities.shape[1])
    result: FloatArray = shares.max(axis=1) if score == "words" else (shares * np.exp(log_probabilities)).sum(axis=1)
    return result


@dataclass(frozen=True, eq=False)
class _Words:
    vectorizer: Any
    rows: Any
    regression: Any

    def nearest(self, texts: Sequence[str]) -> FloatArray:
        result: FloatArray = np.asarray((self.vectorizer.transform(texts) @ self.rows.T).max(axis=1).todense()).ravel()
        return result

    def shares(self, texts: Sequence[str], labels: int) -> FloatArray:
        """P(label | words), zero for labels that no row has, shape [texts, labels]."""
        shares = np.zeros((len(texts), labels))
        shares[:, self.regression.classes_] = self.regression.predict_proba(self.vectorizer.transform(texts))
        return shares


@lru_cache(maxsize=2)
def _words(texts: tuple[str, ...], targets: tuple[int, ...]) -> _Words:
    """Fitted once for a batch job's many shards."""
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 5), sublinear_tf=True).fit(texts)
    rows = vectorizer.transform(texts)
    regression = LogisticRegression(C=30.0, max_iter=1000) if len(set(targets)) > 1 else None
    return _Words(vectorizer, rows, regression and regression.fit(rows, np.array(targets)))


def _stratified_folds(targets: IntArray) -> IntArray:
    """A fold for each row; each class is spread evenly over them; shape [rows]."""
    fold = np.empty(len(targets), dtype=np.int64)
    fold[np.argsort(targets, kind="stable")] = np.arange(len(targets)) % GROUPS
    return fold
