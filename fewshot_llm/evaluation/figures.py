"""What is read off a result: classes, rows worth reading, reliability, coverage, what more labelled rows are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from fewshot_llm.evaluation.result import SEED, Evaluation, Row, Run, Summary
from fewshot_llm.stats.calibration import Calibration
from fewshot_llm.stats.intervals import Estimand, Interval, estimand, proportion
from fewshot_llm.stats.metrics import expected_calibration_error
from fewshot_llm.types import FloatArray, IntArray

__all__ = [
    "Answered",
    "Bin",
    "ClassFigures",
    "Coverage",
    "Extrapolation",
    "Mixup",
    "Obstacle",
    "Reliability",
    "Worth",
    "class_figures",
    "coverage_at",
    "extrapolate",
    "least_sure",
    "mixups",
    "power_law",
    "power_law_value",
    "reliability",
    "risk_coverage",
    "sizes",
    "surest_mistakes",
    "uncalibrated",
]


MORE = 20
"""Rows that are added."""
DRAWS = 1000
FARTHEST = 5
"""An extrapolation goes to at most so many times the largest size that was measured."""

Obstacle: TypeAlias = Literal["same rows", "too few sizes", "too far"]
"""Why nothing is said: all runs had as many rows; fewer than three sizes; the largest is too small."""


@dataclass(frozen=True)
class Worth:
    """What more labelled rows are worth.

    Attributes:
        label: the class that gets them; None for every class.
        share: its share of the test rows; 1 for every class.
        gain: accuracy over all test rows that is gained, with its interval.
    """

    label: str | None
    share: float
    gain: Interval

    @property
    def sure(self) -> bool:
        """Whether the interval lies above zero."""
        return self.gain.low > 0


@dataclass(frozen=True)
class Extrapolation:
    """A power law through the learning curve.

    Attributes:
        rows: labelled rows per class at the right end of what was measured.
        more: rows that are added to it.
        overall: they are added to every class.
        by_class: they are added to one class; the most useful first.
        sizes: rows per class along the fitted curve, the last of them `rows + more`.
        accuracies: the fitted accuracy at each, with its interval.
        close: whether the curve passes through the interval of every measured accuracy. Where it does not, the law is
            not this one, and the gains are a guess.
    """

    rows: int
    more: int
    overall: Worth
    by_class: tuple[Worth, ...]
    sizes: tuple[float, ...]
    accuracies: tuple[Interval, ...]
    close: bool


def sizes(result: Evaluation) -> dict[int, float]:
    """Number of shots → labelled rows per class that its runs learned from, on average."""
    labels = len(result.labels)
    found: dict[int, list[int]] = {}
    for run in result.runs:
        found.setdefault(run.shots, []).append(run.support_rows)
    return {shots: float(np.mean(rows)) / labels for shots, rows in found.items()}


def extrapolate(result: Evaluation, more: int = MORE, draws: int = DRAWS) -> Extrapolation | Obstacle:
    """What `more` labelled rows would be worth, were the learning curve a power law.

    error(n) = a · n^(−b), the curve that learning is usually seen to follow (Hestness et al. 2017), fitted by weighted
    least squares to the measured sizes and read beyond them (Figueroa et al. 2012, BMC Medical Informatics 12:8).
    Zero-shot has no place on it. Intervals: test rows are resampled, from five seeds on the seeds as well, and the fit
    is made again for each resample, with the half error that it adds drawn too (so that sizes without any error do
    not make a certainty) and without the smallest sizes: none of them, one, … all but two, in equal parts.
    So a curve that flattens at its end widens the interval. That it flattens only later is not covered.

    For a class, its own share of errors is extrapolated, and weighed with its share of the test rows. All classes grew
    together in what was measured, so this supposes that a class gains as much when it grows alone.

    Args:
        result: with runs at several numbers of shots.
        more: rows to add.
        draws: resamples.

    Returns:
        The extrapolation, or what stands against one.
    """
    per_class = {shots: rows for shots, rows in sizes(result).items() if shots and rows}
    distinct = sorted(set(per_class.values()))
    if len({run.support_rows for run in result.runs}) == 1 and len(per_class) > 1:
        return "same rows"
    if len(distinct) < 3:
        return "too few sizes"
    largest = distinct[-1]
    if largest + more > FARTHEST * largest:
        return "too far"
    measured = [summary for summary in result.summaries if summary.shots in per_class]
    measured = sorted(measured, key=lambda summary: per_class[summary.shots])
    x = np.array([per_class[summary.shots] for summary in measured])
    wrong = _wrong(result, measured)
    targets = result.runs[0].targets
    members = np.stack([np.ones(len(targets)), *(targets == label for label in range(len(result.labels)))])
    shares = members.mean(axis=1)

    rates, counts = _resampled(wrong, members, draws)
    fits = _fits(x, _with_drawn_halves(rates, counts), counts)
    now, then = power_law_value(fits, largest), power_law_value(fits, largest + more)
    gains = (now - then) * shares  # the first row is the data themselves
    level, about = result.summaries[0].accuracy.level, estimand(wrong.shape[1])
    worths = [Worth(None, 1.0, _interval(gains[:, 0], level, about))]
    for position, label in enumerate(result.labels, start=1):
        if counts[position]:
            worths.append(Worth(label, float(shares[position]), _interval(gains[:, position], level, about)))
    at_measured = [1 - float(power_law_value(fits[0, 0], size)) for size in x]
    along = np.geomspace(x[0], largest + more, 25)
    curve = 1 - np.stack([power_law_value(fits[:, 0], float(size)) for size in along], axis=1)
    return Extrapolation(
        rows=round(largest),
        more=more,
        overall=worths[0],
        by_class=tuple(sorted(worths[1:], key=lambda worth: -worth.gain.value)),
        sizes=tuple(along.tolist()),
        accuracies=tuple(_interval(curve[:, position], level, about) for position in range(len(along))),
        close=all(
            one.accuracy.low <= value <= one.accuracy.high for one, value in zip(measured, at_measured, strict=True)
        ),
    )


def power_law(x: FloatArray, rates: FloatArray, counts: FloatArray) -> FloatArray:
    """Fit log error = log a − b · log n.

    Each point weighs as much as its count of errors: about the inverse of its logarithm's variance. Half an error is
    added to each, so that none is infinite.

    Args:
        x: sizes n, shape [sizes].
        rates: shares of errors, shape […, sizes].
        counts: how many rows each share is of; its shape broadcasts to […, 1].

    Returns:
        (log a, b), shape […, 2].

    >>> fit = power_law(np.array([4.0, 16.0]), np.array([0.4, 0.2]), np.array([1e9]))
    >>> (np.exp(fit[0]).round(3), fit[1].round(3))
    (np.float64(0.8), np.float64(0.5))
    """
    counts = np.asarray(counts, dtype=np.float64)[..., np.newaxis] if np.ndim(counts) < np.ndim(rates) else counts
    weights = rates * counts + 0.5
    y, z = np.log(weights / (counts + 1)), np.log(x)
    total = weights.sum(axis=-1)
    y_mean, z_mean = (weights * y).sum(axis=-1) / total, (weights * z).sum(axis=-1) / total
    dy, dz = y - y_mean[..., np.newaxis], z - z_mean[..., np.newaxis]
    slope = (weights * dy * dz).sum(axis=-1) / (weights * dz * dz).sum(axis=-1)
    return np.stack([y_mean - slope * z_mean, -slope], axis=-1)


def power_law_value(fits: FloatArray, size: float) -> FloatArray:
    """The share of errors at a size, at most 1; fits of shape […, 2] give shape […]."""
    value: FloatArray = np.minimum(np.exp(fits[..., 0] - fits[..., 1] * np.log(size)), 1.0)
    return value


def _fits(x: FloatArray, rates: FloatArray, counts: FloatArray) -> FloatArray:
    """A fit for the data, on all sizes, and one for each resample; see `extrapolate`. Shape [1 + draws, groups, 2]."""
    fits = power_law(x, rates, counts)
    ways = [dropped for dropped in range(len(x)) if len(set(x[dropped:])) >= 2]
    for dropped in ways[1:]:
        draws = slice(1 + dropped, None, len(ways))
        fits[draws] = power_law(x[dropped:], rates[draws, :, dropped:], counts)
    return fits


def _wrong(result: Evaluation, measured: Sequence[Summary]) -> FloatArray:
    """1.0 for each wrong answer, shape [sizes, seeds, rows]."""
    runs: dict[tuple[int, int], Run] = {(run.shots, run.seed): run for run in result.runs}
    return np.stack([np.stack([1 - runs[one.shots, seed].right for seed in one.seeds]) for one in measured])


def _resampled(wrong: FloatArray, members: FloatArray, draws: int) -> tuple[FloatArray, FloatArray]:
    """Shares of errors of each group, [1 + draws, groups, sizes], the data first; and each group's answers, [groups].

    Rows, and seeds where there are enough of them, are drawn with replacement, the same ones for every size: the runs
    are paired.
    """
    _, seeds, rows = wrong.shape
    generator = np.random.default_rng(SEED)
    seed_weights = np.ones((1 + draws, seeds))
    if estimand(seeds) == "rows and draws":
        seed_weights[1:] = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws)
    row_weights = np.vstack([np.ones(rows), generator.multinomial(rows, np.full(rows, 1 / rows), size=draws)])
    by_row = np.einsum("ds,ksr->dkr", seed_weights / seeds, wrong, optimize=True) * row_weights[:, np.newaxis]
    drawn = row_weights @ members.T
    counts = members.sum(axis=1)
    plain = wrong.mean(axis=1) @ members.T / np.maximum(counts, 1)
    errors = np.einsum("dkr,gr->dgk", by_row, members, optimize=True) / np.maximum(drawn, 1)[..., np.newaxis]
    # A class that a resample does not hold says nothing there: it keeps what the data say.
    return np.where(drawn[..., np.newaxis] > 0, errors, plain.T[np.newaxis]), counts * seeds


def _with_drawn_halves(rates: FloatArray, counts: FloatArray) -> FloatArray:
    """Shares of errors of which resamples differ by what the half error of `power_law` may be: Gamma(½), its mean ½."""
    halves = np.random.default_rng(SEED + 1).gamma(0.5, size=rates.shape) - 0.5
    halves[0] = 0.0
    return rates + halves / np.maximum(counts, 1)[:, np.newaxis]


def _interval(values: FloatArray, level: float, about: Estimand) -> Interval:
    low, high = np.quantile(values[1:], [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(values[0]), float(low), float(high), level, about)


BINS = 10


@dataclass(frozen=True)
class Bin:
    """Rows whose answer was given about the same probability.

    Attributes:
        low: smallest probability of the bin.
        high: largest.
        rows: how many rows.
        confidence: their mean probability.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: Interval


@dataclass(frozen=True)
class Reliability:
    """Probabilities against the share that is right.

    Attributes:
        bins: those that hold a row.
        error: expected calibration error.
    """

    bins: tuple[Bin, ...]
    error: Interval


@dataclass(frozen=True)
class Coverage:
    """What is gained by leaving unsure rows to a person.

    Attributes:
        threshold: rows whose probability is at least this are answered.
        coverage: their share of all rows.
        accuracy: the share of them that is right.
    """

    threshold: float
    coverage: float
    accuracy: Interval


def reliability(targets: IntArray, probabilities: FloatArray, level: float = 0.95) -> Reliability:
    """Ten bins of equal width and the expected calibration error.

    Args:
        targets: the right labels' positions, shape [rows].
        probabilities: shape [rows, labels].
        level: of every interval.
    """
    confidence, right = _top(targets, probabilities)
    where = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    bins = []
    for number in np.unique(where):
        rows = where == number
        share = proportion(int(right[rows].sum()), int(rows.sum()), level)
        bins.append(
            Bin(float(number) / BINS, float(number + 1) / BINS, int(rows.sum()), float(confidence[rows].mean()), share)
        )
    return Reliability(tuple(bins), expected_calibration_error(targets, probabilities, seed=SEED, level=level))


def uncalibrated(run: Run) -> FloatArray | None:
    """The probabilities that the scores alone would give, shape [rows, labels].

    A calibration is an affine map and can be undone: scores are (log P − bias) · temperature, up to a constant per row.

    Returns:
        None where nothing was calibrated, or where several draws of demonstrations were averaged.
    """
    if len(run.calibrations) != 1 or run.calibrations[0].method == "none":
        return None
    calibration = run.calibrations[0]
    scores = (run.log_probabilities - np.asarray(calibration.bias)) * calibration.temperature
    return Calibration((0.0,) * scores.shape[1]).probabilities(scores)


def risk_coverage(targets: IntArray, probabilities: FloatArray, level: float = 0.95) -> tuple[Coverage, ...]:
    """Accuracy of the surest rows, for every threshold that tells rows apart; the whole set last.

    (El-Yaniv and Wiener 2010; risk is 1 − accuracy.) Rows with the same probability are answered together.
    """
    confidence, right = _top(targets, probabilities)
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, correct = confidence[order], np.cumsum(right[order])
    last = np.flatnonzero(np.append(np.diff(sorted_confidence) != 0, True))
    return tuple(
        Coverage(
            threshold=float(sorted_confidence[row]),
            coverage=float(row + 1) / len(targets),
            accuracy=proportion(int(correct[row]), int(row) + 1, level),
        )
        for row in last
    )


def coverage_at(curve: Sequence[Coverage], accuracy: float) -> Coverage | None:
    """The point that answers most rows with at least this accuracy; None where no point has it."""
    return max((point for point in curve if point.accuracy.value >= accuracy), key=lambda p: p.coverage, default=None)


def _top(targets: IntArray, probabilities: FloatArray) -> tuple[FloatArray, FloatArray]:
    right: FloatArray = (probabilities.argmax(axis=1) == targets).astype(np.float64)
    return probabilities.max(axis=1), right


@dataclass(frozen=True)
class ClassFigures:
    """One class.

    Attributes:
        label: its name.
        rows: test rows of it.
        found: the share of them that was given this label (recall).
        trusted: the share of the rows given this label that belong to it (precision); NaN where there are none.
    """

    label: str
    rows: int
    found: Interval
    trusted: Interval


@dataclass(frozen=True)
class Mixup:
    """Rows of one class that were given another's label."""

    label: str
    given: str
    rows: int


def class_figures(labels: Sequence[str], confusion: Sequence[Sequence[int]], level: float = 0.95) -> list[ClassFigures]:
    """Figures of each class that occurs in the test rows, the weakest first.

    >>> [one.label for one in class_figures(["a", "b"], [[3, 1], [2, 2]])]
    ['b', 'a']
    """
    table = np.array(confusion)
    found = [
        ClassFigures(
            label,
            int(table[position].sum()),
            proportion(int(table[position, position]), int(table[position].sum()), level),
            proportion(int(table[position, position]), int(table[:, position].sum()), level),
        )
        for position, label in enumerate(labels)
        if table[position].sum()
    ]
    return sorted(found, key=lambda one: one.found.value)


def mixups(labels: Sequence[str], confusion: Sequence[Sequence[int]], most: int = 10) -> list[Mixup]:
    """The commonest mistakes, at most so many kinds."""
    found = [
        Mixup(label, given, confusion[row][column])
        for row, label in enumerate(labels)
        for column, given in enumerate(labels)
        if row != column and confusion[row][column]
    ]
    return sorted(found, key=lambda one: -one.rows)[:most]


MOST = 8


@dataclass(frozen=True)
class Answered:
    """A test row with its answer.

    Attributes:
        number: the row's place among the measured rows, from 1.
        text: its text; empty where texts are kept out of the result.
        label: the right label.
        given: the answer.
        probability: of the answer.
        runner_up: the second best label.
        runner_up_probability: its probability.
    """

    number: int
    text: str
    label: str
    given: str
    probability: float
    runner_up: str
    runner_up_probability: float

    @property
    def right(self) -> bool:
        """Whether the answer is right."""
        return self.given == self.label


def surest_mistakes(run: Run, rows: Sequence[Row], labels: Sequence[str], most: int = MOST) -> list[Answered]:
    """The wrong answers with the highest probability, the surest first."""
    wrong = [answer for answer in _answered(run, rows, labels) if not answer.right]
    return sorted(wrong, key=lambda answer: -answer.probability)[:most]


def least_sure(run: Run, rows: Sequence[Row], labels: Sequence[str], most: int = MOST) -> list[Answered]:
    """The answers whose best two labels lie closest together, the closest first."""
    found = _answered(run, rows, labels)
    return sorted(found, key=lambda answer: answer.probability - answer.runner_up_probability)[:most]


def _answered(run: Run, rows: Sequence[Row], labels: Sequence[str]) -> list[Answered]:
    probabilities = np.exp(run.log_probabilities)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return [
        Answered(
            number=number + 1,
            text=row.text,
            label=row.label,
            given=labels[top[0]],
            probability=float(p[top[0]]),
            runner_up=labels[top[-1]],
            runner_up_probability=float(p[top[-1]]),
        )
        for number, (row, p, top) in enumerate(zip(rows, probabilities, best, strict=True))
    ]
