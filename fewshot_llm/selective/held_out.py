"""Calibrated answers to labelled rows that the model has not seen: what thresholds and contracts are fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from fewshot_llm.data import Example, SupportSet, folds
from fewshot_llm.data.language import normalise_text
from fewshot_llm.errors import CalibrationError, nearest
from fewshot_llm.predictors.out_of_fold import score_held_out
from fewshot_llm.predictors.prompted import PromptedPredictor
from fewshot_llm.stats.calibration import Calibration, calibrated_out_of_fold
from fewshot_llm.types import FloatArray, IntArray

__all__ = ["OutOfFoldPredictions", "answers_of_folds", "answers_out_of_fold", "answers_to_others", "require_unseen"]

FOLDS = 10
"""Of the calibration, which is fitted on the same rows; costs no model time."""


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Answers to labelled rows.

    Attributes:
        examples: the rows, without their labels.
        log_probabilities: calibrated log P(label | text), nats, shape [rows, labels].
        targets: positions of the right labels, shape [rows].
    """

    examples: tuple[Example, ...]
    log_probabilities: FloatArray
    targets: IntArray


def answers_out_of_fold(predictor: PromptedPredictor) -> OutOfFoldPredictions:
    """Answers to the support rows, each by demonstrations and a calibration that come from other rows.

    Args:
        predictor: what will be served.

    Raises:
        CalibrationError: no row can be held out.
    """
    support = predictor.inference.support
    draws = [score_held_out(predictor.inference, draw) for draw in range(len(predictor.calibrations))]
    rows = sorted(set.intersection(*(set(draw.rows.tolist()) for draw in draws)))
    if not rows:
        raise CalibrationError(
            "No labelled row can be held out: each is the only one of its class. Add rows, or give labelled rows of "
            "their own to fit on (--calibration-rows FILE)."
        )
    held = support.subset(rows)
    total = np.zeros((len(rows), len(predictor.inference.builder.labels)))
    for draw, calibration in zip(draws, predictor.calibrations, strict=True):
        here = np.searchsorted(draw.rows, rows)
        targets = draw.targets[here]
        total += _calibrate_others(draw.scores[here], held, targets, calibration)
    return OutOfFoldPredictions(
        tuple(Example(row.fields) for row in held), log_softmax(total / len(draws), axis=1), targets
    )


def answers_of_folds(predictor: PromptedPredictor, scores: FloatArray) -> OutOfFoldPredictions:
    """Answers to the support rows by the adapters of a cross-fit, none of which was trained on the row.

    Args:
        predictor: what is served: the adapter trained on all rows, with its calibration.
        scores: label scores of the folds' adapters, nats, shape [support rows, labels].
    """
    support, labels = predictor.inference.support, predictor.inference.builder.labels
    targets = np.array([labels.index(str(row.label)) for row in support], dtype=np.int64)
    answers = _calibrate_others(scores, support, targets, predictor.calibrations[0])
    return OutOfFoldPredictions(tuple(Example(row.fields) for row in support), answers, targets)


def _calibrate_others(scores: FloatArray, held: SupportSet, targets: IntArray, served: Calibration) -> FloatArray:
    """Log-probabilities by the served kind of calibration, fitted without the row's fold where it learns from labels.

    Args:
        scores: out-of-fold label scores, nats, shape [rows, labels].
        held: the scored rows.
        targets: their labels' positions, shape [rows].
        served: the calibration that is served; only `out-of-fold` learns from labels.
    """
    splits = min(FOLDS, len({normalise_text(example.text) for example in held}))
    if served.method != "out-of-fold" or splits < 2:
        return served.log_probabilities(scores)
    return calibrated_out_of_fold(scores, targets, folds(held, splits))


def answers_to_others(predictor: PromptedPredictor, rows: SupportSet) -> OutOfFoldPredictions:
    """Answers to labelled rows that are not in the support set.

    Raises:
        CalibrationError: a row is in the support set, or has a label that the classifier does not know.
    """
    leaks = predictor.inference.support.leak_check(rows)
    if leaks:
        raise CalibrationError(
            f"{len(leaks)} of the calibration rows are in the support set (the first: {leaks[0].text[:60]!r}), so that "
            "they show nothing of what the model does with new ones. Leave them out."
        )
    labels = predictor.inference.builder.labels
    unknown = sorted({str(row.label) for row in rows} - set(labels))
    if unknown:
        raise CalibrationError(
            f"The calibration rows have the label {unknown[0]!r}, which the classifier does not give. "
            f"{nearest(unknown[0], labels)}"
        )
    asked = tuple(Example(row.fields) for row in rows)
    targets = np.array([labels.index(str(row.label)) for row in rows], dtype=np.int64)
    return OutOfFoldPredictions(asked, predictor.answer(asked).log_probabilities, targets)


def require_unseen(trained_on: str | None, support: SupportSet) -> None:
    """Refuse to fit on rows that an adapter was trained on.

    Args:
        trained_on: fingerprint of the adapter's support set; None without an adapter, or where its folder does not say.
        support: the rows.

    Raises:
        CalibrationError: the adapter has seen these rows, or rows it does not show.
    """
    if trained_on is not None and (not len(support) or trained_on == support.fingerprint):
        raise CalibrationError(
            "The adapter was trained on the labelled rows, so that its answers to them show nothing of what it does "
            "with new ones. Give labelled rows of their own (--calibration-rows FILE)."
        )
