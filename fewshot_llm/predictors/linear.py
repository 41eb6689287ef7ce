"""A linear head: texts as rows of numbers, a weight of each number for each label, and a calibration.

Where the numbers come from is a `Features`: counts of words and character n-grams, an encoder's vectors, a language
model's hidden states. The head is logistic regression; what it says is calibrated on rows that it did not see.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import scipy.sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from fewshot_llm.data.example import Example
from fewshot_llm.models.encoder import Encoder
from fewshot_llm.predictors.base import LabelProbabilities, Predictor, fingerprints_of
from fewshot_llm.scoring.vectors import OneWordState
from fewshot_llm.stats.calibration import Calibration
from fewshot_llm.types import FloatArray, IntArray, Progress

__all__ = [
    "CountedTerms",
    "EncoderFeatures",
    "Features",
    "HiddenFeatures",
    "LinearHead",
    "LinearPredictor",
    "WordFeatures",
    "fit_head",
]

Matrix: TypeAlias = FloatArray | scipy.sparse.csr_matrix
Analyzer: TypeAlias = Literal["word", "char", "char_wb"]

ABSENT = -10.0
"""Score of a label that no row teaches: below every other one's, and finite."""


class Features(ABC):
    """Texts as rows of numbers, each by itself: a row does not depend on the others."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that may change a number."""

    @abstractmethod
    def matrix(self, queries: Sequence[Example], progress: Progress | None = None) -> Matrix:
        """The numbers, shape [queries, width].

        Args:
            queries: the texts.
            progress: called with queries finished and queries in all.
        """


@dataclass(frozen=True)
class CountedTerms:
    """TF-IDF of one kind of terms, with sublinear counts and rows of length 1.

    Attributes:
        analyzer: what terms are made of: words, or characters.
        ngrams: the shortest and the longest run of them.
        terms: all that count, sorted.
        idf: weight of each, shape [terms].
    """

    analyzer: Analyzer
    ngrams: tuple[int, int]
    terms: tuple[str, ...] = field(repr=False)
    idf: FloatArray = field(repr=False, compare=False)

    @classmethod
    def fit(cls, analyzer: Analyzer, ngrams: tuple[int, int], texts: Sequence[str]) -> Self:
        """The terms of some texts; none where no text has one."""
        vectorizer = TfidfVectorizer(**_options(analyzer, ngrams))
        try:
            vectorizer.fit(texts)
        except ValueError:  # not a single term: texts of signs only
            return cls(analyzer, ngrams, (), np.empty(0))
        return cls(analyzer, ngrams, tuple(vectorizer.get_feature_names_out().tolist()), vectorizer.idf_)

    @cached_property
    def _vectorizer(self) -> TfidfVectorizer:
        vectorizer = TfidfVectorizer(**_options(self.analyzer, self.ngrams), vocabulary=list(self.terms))
        vectorizer.idf_ = self.idf
        return vectorizer

    def matrix(self, texts: Sequence[str]) -> scipy.sparse.csr_matrix:
        """Shape [texts, terms]."""
        if not self.terms:
            return scipy.sparse.csr_matrix((len(texts), 0))
        return self._vectorizer.transform(texts)


def _options(analyzer: Analyzer, ngrams: tuple[int, int]) -> dict[str, Any]:
    # A word of one letter or sign counts too: "a 5 star", and every Chinese character that stands alone.
    pattern = r"(?u)\b\w+\b" if analyzer == "word" else None
    return {"analyzer": analyzer, "ngram_range": ngrams, "sublinear_tf": True, "token_pattern": pattern}


@dataclass(frozen=True)
class WordFeatures(Features):
    """Words and character n-grams, side by side.

    Attributes:
        parts: the kinds of terms.
    """

    parts: tuple[CountedTerms, ...]

    @classmethod
    def fit(cls, kinds: Sequence[tuple[Analyzer, tuple[int, int]]], queries: Sequence[Example]) -> Self:
        """The terms of some texts."""
        texts = [query.text for query in queries]
        return cls(tuple(CountedTerms.fit(analyzer, ngrams, texts) for analyzer, ngrams in kinds))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the terms and their weights."""
        digest = hashlib.sha256()
        for part in self.parts:
            digest.update(f"{part.analyzer} {part.ngrams}\n".encode() + "\0".join(part.terms).encode())
            digest.update(part.idf.tobytes())
        return digest.hexdigest()

    def matrix(self, queries: Sequence[Example], progress: Progress | None = None) -> Matrix:
        """Shape [queries, terms], sparse."""
        texts = [query.text for query in queries]
        found = scipy.sparse.hstack([part.matrix(texts) for part in self.parts], format="csr")
        if progress is not None:
            progress(len(queries), len(queries))
        return found


@dataclass(frozen=True)
class EncoderFeatures(Features):
    """An encoder's vectors, seen from the middle of the labelled rows' vectors.

    All texts of a shop point in much the same direction; what is left when that is taken away tells them apart.

    Attributes:
        encoder: gives the vectors.
        mean: of the labelled rows' vectors, which is taken away, shape [width].
    """

    encoder: Encoder
    mean: FloatArray = field(repr=False, compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the encoder and the mean."""
        return hashlib.sha256(self.encoder.fingerprint.encode() + self.mean.tobytes()).hexdigest()

    def matrix(self, queries: Sequence[Example], progress: Progress | None = None) -> Matrix:
        """Vectors of length 1, shape [queries, width]."""
        return self.centred(self.encoder.vectors([query.text for query in queries], progress))

    def centred(self, vectors: FloatArray) -> FloatArray:
        """Vectors as the head reads them, of length 1, shape [texts, width]."""
        return _unit(vectors - self.mean)


@dataclass(frozen=True)
class HiddenFeatures(Features):
    """A language model's own hidden state after "… means in one word:".

    Attributes:
        state: the model, the words around a text, and the layer.
        mean: of the labelled rows' states, which is taken away, shape [width].
        spread: standard deviation of each of their numbers, by which it is divided, shape [width].
    """

    state: OneWordState
    mean: FloatArray = field(repr=False, compare=False)
    spread: FloatArray = field(repr=False, compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the state and the scaling."""
        return hashlib.sha256(self.state.fingerprint.encode() + self.mean.tobytes() + self.spread.tobytes()).hexdigest()

    def matrix(self, queries: Sequence[Example], progress: Progress | None = None) -> Matrix:
        """Shape [queries, width]."""
        return self.scaled(self.state([query.text for query in queries], progress))

    def scaled(self, states: FloatArray) -> FloatArray:
        """States as the head reads them, of length 1, shape [texts, width]."""
        return _unit((states - self.mean) / self.spread)


def _unit(rows: FloatArray) -> FloatArray:
    found: FloatArray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return found


@dataclass(frozen=True)
class LinearHead:
    """Weights of logistic regression.

    Attributes:
        weights: shape [labels, width].
        intercepts: shape [labels].
    """

    weights: FloatArray = field(repr=False)
    intercepts: FloatArray = field(repr=False)

    def scores(self, matrix: Matrix) -> FloatArray:
        """A score of each label in nats, shape [rows, labels]."""
        found: FloatArray = np.asarray(matrix @ self.weights.T) + self.intercepts
        return found


def fit_head(
    matrix: Matrix, targets: IntArray, labels: int, strength: float, row_weights: FloatArray | None = None
) -> LinearHead:
    """Logistic regression, every class counting alike however many rows it has.

    Args:
        matrix: shape [rows, width].
        targets: label positions, shape [rows].
        labels: how many labels there are, whether a row has them or not.
        strength: the inverse of the penalty on large weights (scikit-learn's `C`).
        row_weights: how much each row counts, shape [rows]; all alike by default.

    >>> head = fit_head(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 2]), 3, 1.0)
    >>> head.scores(np.array([[1.0, 0.0]])).argmax(axis=1).tolist()
    [0]
    """
    seen = np.unique(targets)
    weights, intercepts = np.zeros((labels, matrix.shape[1])), np.full(labels, ABSENT)
    if len(seen) == 1 or matrix.shape[1] == 0:
        intercepts[seen] = 0.0
        return LinearHead(weights, intercepts)
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
    # Small products: threads would wait for each other longer than they work.
    with threadpool_limits(1):
        model.fit(matrix, targets, sample_weight=row_weights)
    # For two classes scikit-learn keeps the difference of both alone.
    both = len(seen) == 2
    weights[seen] = np.concatenate([-model.coef_, model.coef_]) / 2 if both else model.coef_
    intercepts[seen] = np.concatenate([-model.intercept_, model.intercept_]) / 2 if both else model.intercept_
    return LinearHead(weights, intercepts)


@dataclass(frozen=True)
class LinearPredictor(Predictor):
    """Features, a linear head and a calibration.

    Attributes:
        names: the labels, in the order of the head's rows.
        features: texts as rows of numbers.
        head: weights of the numbers.
        calibration: of the head's scores.
    """

    names: tuple[str, ...]
    features: Features
    head: LinearHead
    calibration: Calibration

    @property
    def labels(self) -> tuple[str, ...]:
        """What it tells apart."""
        return self.names

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the labels, the features, the weights and the calibration."""
        digest = hashlib.sha256(f"{self.names}\n{self.features.fingerprint}\n{self.calibration}".encode())
        digest.update(self.head.weights.tobytes() + self.head.intercepts.tobytes())
        return digest.hexdigest()

    def answer(self, queries: Sequence[Example], progress: Progress | None = None) -> LabelProbabilities:
        """Log-probabilities of every label.

        Args:
            queries: the texts.
            progress: called with queries finished and queries in all.
        """
        if not queries:
            return LabelProbabilities(np.empty((0, len(self.names))), ())
        found = self.calibration.log_probabilities(self.head.scores(self.features.matrix(queries, progress)))
        return LabelProbabilities(found, fingerprints_of(self, queries))
