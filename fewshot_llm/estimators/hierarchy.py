"""Labels in two levels, `category/intent`: P(category) first, then P(intent | category), by one scorer.

With hundreds of intents a prompt cannot show them all. Here one prompt shows the categories and one for each category
its own intents, and P(category/intent | text) is the product. The products of a text sum to one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.task import Task
from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.base import as_examples
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.predictors.prediction import Prediction
from fewshot_llm.types import FloatArray, Progress

__all__ = ["SEPARATOR", "LevelwiseClassifier", "by_category", "fit_levels"]

SEPARATOR = "/"


def by_category(labels: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Category → its labels, whole. A label without a separator is a category of its own.

    >>> by_category(["order/cancel", "order/track", "thanks"])
    {'order': ('order/cancel', 'order/track'), 'thanks': ('thanks',)}
    """
    found: dict[str, list[str]] = {}
    for label in labels:
        found.setdefault(label.partition(SEPARATOR)[0], []).append(label)
    return {category: tuple(members) for category, members in found.items()}


@dataclass(frozen=True, eq=False)
class LevelwiseClassifier:
    """A classifier of categories, and one of intents for each category that has several.

    Attributes:
        labels: the whole labels, category by category: columns of the probabilities.
        top: gives the category.
        inner: category → what gives the intent within it.
    """

    labels: tuple[str, ...]
    top: FewShotClassifier
    inner: Mapping[str, FewShotClassifier]

    def log_probabilities(self, queries: Sequence[Example], progress: Progress | None = None) -> FloatArray:
        """Log P(category | text) + log P(intent | category, text), nats, shape [queries, labels].

        Args:
            queries: the texts.
            progress: called with queries finished and queries in all; a level counts for its share.
        """
        return self._answer(queries, progress)[0]

    def predictions(self, X: object, progress: Progress | None = None) -> list[Prediction]:
        """Label, probabilities and margin of each text, as `FewShotClassifier.predictions` gives them."""
        queries = as_examples(X, self.top.predictor_.inference.builder.task)
        log_probabilities, fingerprints = self._answer(queries, progress)
        return [
            Prediction.from_log_probabilities(self.labels, row, fingerprint)
            for row, fingerprint in zip(log_probabilities, fingerprints, strict=True)
        ]

    def _answer(self, queries: Sequence[Example], progress: Progress | None) -> tuple[FloatArray, list[str]]:
        asked = [self.top, *self.inner.values()]
        answers = [
            classifier.predictor_.answer(queries, progress and partial(_share, progress, number, len(asked)))
            for number, classifier in enumerate(asked)
        ]
        first = dict(zip(self.top.labels_, answers[0].log_probabilities.T, strict=True))
        within = {
            (category, intent): column
            for (category, classifier), answer in zip(self.inner.items(), answers[1:], strict=True)
            for intent, column in zip(classifier.labels_, answer.log_probabilities.T, strict=True)
        }
        columns = []
        for label in self.labels:
            category, _, intent = label.partition(SEPARATOR)
            columns.append(first[category] + within.get((category, intent), 0.0))
        parts = zip(*(answer.fingerprints for answer in answers), strict=True)
        fingerprints = [hashlib.sha256("".join(part).encode()).hexdigest() for part in parts]
        return np.stack(columns, axis=1), fingerprints


def _share(progress: Progress, number: int, parts: int, done: int, total: int) -> None:
    progress((number * total + done) // parts, total)


def fit_levels(task: Task, support: SupportSet, make: Callable[[Task], FewShotClassifier]) -> LevelwiseClassifier:
    """Fit both levels on the same rows.

    Args:
        task: whose words are used for whole labels where it has some.
        support: rows with labels such as `order/cancel`.
        make: gives an unfitted classifier for a task; all of them with the same model.

    Raises:
        SupportError: there is one category only, or a category's own name is a label beside its intents.

    Example:
        >>> from fewshot_llm.scoring.tree_scorer import choose_scorer
        >>> scorer = choose_scorer(model)  # doctest: +SKIP
        >>> fit_levels(task, support, lambda level: FewShotClassifier(level, scorer))  # doctest: +SKIP
    """
    categories = by_category(support.labels)
    if len(categories) < 2:
        raise SupportError(
            f"Labels level by level need at least two categories, and the labels have {len(categories)} "
            f"({', '.join(categories)}). Write labels as category{SEPARATOR}intent, or classify in one step."
        )
    for category, members in categories.items():
        if len(members) > 1 and category in members:
            raise SupportError(
                f"{category!r} is a label and the category of others ({members[0]!r} …). Give it an intent of its own, "
                f"for instance {category + SEPARATOR + 'other'!r}."
            )
    top = _fit(
        task, support, range(len(support)), {label: label.partition(SEPARATOR)[0] for label in support.labels}, make
    )
    inner = {}
    for category, members in categories.items():
        if len(members) > 1:
            rows = [row for row, example in enumerate(support) if example.label in members]
            inner[category] = _fit(task, support, rows, {m: m.partition(SEPARATOR)[2] for m in members}, make)
    return LevelwiseClassifier(tuple(m for members in categories.values() for m in members), top, inner)


def _fit(
    task: Task,
    support: SupportSet,
    rows: Iterable[int],
    names: Mapping[str, str],
    make: Callable[[Task], FewShotClassifier],
) -> FewShotClassifier:
    """A level's classifier; `names` gives each whole label's name on that level."""
    labels = tuple(dict.fromkeys(names.values()))
    examples = tuple(Example(support[row].fields, names[str(support[row].label)]) for row in rows)
    # Words belong to whole labels; a category shares its name with several and keeps its own.
    words = {names[label]: word for label, word in support.label_words.items() if label in names}
    level = task.with_labels(labels, words if len(labels) == len(names) else None)
    return make(level).fit_support(SupportSet(examples, labels))
