"""Scores of the support rows under prompts that do not show them: what calibration and the ladder learn from.

The prompt should be as close as possible to the one that will be served, because a model's bias depends on
its demonstrations more than on anything else; and many rows should share it, because a shared prefix is
computed once. Where the selection does not depend on the query:

- a row that the served prompt does not show is scored under exactly that prompt;
- the rows that it does show are split into folds that hold one row of each class, and a fold's demonstrations
  come from all rows outside it. Leave-one-out would be more expensive and worse: the held row's class would be the
  only one that is short of a demonstration, which biases the model against the right answer.

A selection that depends on the query is asked once per row, with that row (and its copies) taken away. A row
whose class nothing else shows is left out.

What a calibration method does not ask for is not scored (`DrawEvidence`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fewshot_llm.data import Example, SupportSet, folds
from fewshot_llm.data.language import normalise_text
from fewshot_llm.predictors.prompted import Inference, Question
from fewshot_llm.stats.calibration import Calibration, CalibrationMethod
from fewshot_llm.types import FloatArray, IntArray, Progress

__all__ = ["DrawEvidence", "Fold", "HeldOut", "calibrate", "plan_folds", "score_held_out"]

MOST_FOLDS = 10
"""Each fold costs one more prefix."""


@dataclass(frozen=True)
class Fold:
    """Support rows that are scored with the same rows to choose demonstrations from.

    Attributes:
        support: what demonstrations are chosen from.
        rows: positions in the whole support set of the rows that are scored.
        served: whether they are scored under the very prompt that will be served.
    """

    support: SupportSet
    rows: tuple[int, ...]
    served: bool


@dataclass(frozen=True)
class HeldOut:
    """Support rows scored out of fold.

    Attributes:
        rows: their positions in the support set, ascending, shape [n]. Rows that are not here could not be
            held out.
        scores: label scores in nats, shape [n, labels].
        targets: the right labels' positions, shape [n].
        served: whether a row was scored under the very prompt that will be served, shape [n].
    """

    rows: IntArray
    scores: FloatArray
    targets: IntArray
    served: npt.NDArray[np.bool_]


def plan_folds(inference: Inference, draw: int = 0) -> list[Fold]:
    """Which rows are scored with which others to choose from; see the module's text."""
    support, builder = inference.support, inference.builder
    copies: dict[str, list[int]] = defaultdict(list)
    for position, example in enumerate(support.examples):
        copies[normalise_text(example.text)].append(position)
    if builder.shots and builder.selection.depends_on_query:
        return [fold for group in copies.values() if (fold := _held(support, group)).rows]

    prompt = builder.build(inference.query("…"), support, draw)
    shown = sorted({copy for group in copies.values() if set(prompt.demonstrations) & set(group) for copy in group})
    spare = tuple(position for position in range(len(support)) if position not in set(shown))
    plan = [Fold(support, spare, served=True)] if spare else []
    demonstrations = support.subset(shown)
    per_class = Counter(example.label for example in demonstrations)
    texts = len({normalise_text(example.text) for example in demonstrations})
    if texts < 2:
        groups = [tuple(shown)]
    else:
        n_splits = min(MOST_FOLDS, texts, max(2, min(per_class.values())))
        groups = [tuple(shown[i] for i in held) for _, held in folds(demonstrations, n_splits, builder.seed)]
    return plan + [fold for group in groups if (fold := _held(support, group)).rows]


def _held(support: SupportSet, group: Iterable[int]) -> Fold:
    others = support.without(group)
    classes = {example.label for example in others}
    return Fold(others, tuple(row for row in group if support[row].label in classes), served=False)


def score_held_out(inference: Inference, draw: int = 0, progress: Progress | None = None) -> HeldOut:
    """Score every support row that can be held out, under demonstrations from other rows.

    Args:
        inference: what will be served.
        draw: which draw of demonstrations.
        progress: called with prompts finished and prompts in all.
    """
    support, labels = inference.support, inference.builder.labels
    plan = plan_folds(inference, draw)
    questions = [Question(fold.support, tuple(Example(support[row].fields) for row in fold.rows)) for fold in plan]
    tables = inference.ask(questions, draw, progress)
    rows = np.array([row for fold in plan for row in fold.rows], dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    return HeldOut(
        rows=rows[order],
        scores=np.concatenate([*tables, np.empty((0, len(labels)))])[order],
        targets=np.array([labels.index(str(support[int(row)].label)) for row in rows[order]], dtype=np.int64),
        served=np.array([fold.served for fold in plan for _ in fold.rows], dtype=bool)[order],
    )


@dataclass(frozen=True)
class DrawEvidence:
    """The `CalibrationEvidence` of one draw of demonstrations.

    Attributes:
        inference: what will be served.
        draw: which draw.
    """

    inference: Inference
    draw: int = 0

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return len(self.inference.builder.labels)

    def held_out(self) -> tuple[FloatArray, IntArray]:
        """See `CalibrationEvidence.held_out`."""
        found = score_held_out(self.inference, self.draw)
        return found.scores, found.targets

    def unlabelled(self, texts: Sequence[str]) -> FloatArray:
        """See `CalibrationEvidence.unlabelled`."""
        queries = [self.inference.query(text) for text in texts]
        return self.inference.score_prompts(self.inference.prompts(queries, self.draw), self.draw)


def calibrate(
    inference: Inference, method: CalibrationMethod, draws: int, recorded: Calibration | None = None
) -> tuple[Calibration, ...]:
    """One calibration per draw of demonstrations.

    Args:
        inference: what will be served.
        method: how it is estimated.
        draws: how many draws are averaged.
        recorded: the calibration that an adapter's training measured out of fold, where it was trained on these very
            support rows: they are no evidence any more.
    """
    if recorded is not None:
        return (recorded,) * draws
    return tuple(method.fit(DrawEvidence(inference, draw)) for draw in range(draws))
