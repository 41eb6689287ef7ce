"""Sections about the answers: how often they are right, whether their probabilities hold, and rows worth reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewshot_llm.evaluation.figures import (
    Answered,
    Coverage,
    Reliability,
    class_figures,
    coverage_at,
    least_sure,
    mixups,
    reliability,
    risk_coverage,
    surest_mistakes,
    uncalibrated,
)
from fewshot_llm.evaluation.result import Evaluation
from fewshot_llm.ladder.evidence import Figure, LabelEvidence
from fewshot_llm.report import words as w
from fewshot_llm.report.charts import (
    CELLS_WITH_NUMBERS,
    coverage_chart,
    dots_chart,
    gauge_chart,
    matrix_chart,
    reliability_chart,
)
from fewshot_llm.report.document import (
    Block,
    Cell,
    Chart,
    Column,
    Explained,
    Hero,
    Hint,
    Paragraph,
    Quote,
    Section,
    Side,
    Table,
)
from fewshot_llm.report.words import ReportWords
from fewshot_llm.stats.intervals import NEW_DRAWS_FROM, Interval, rows_needed
from fewshot_llm.types import Text

__all__ = [
    "accuracy_section",
    "attacks_section",
    "confusion_section",
    "ladder_section",
    "probabilities_section",
    "rows_section",
    "verdict",
    "why_section",
]

WEAKEST = 15
"""Classes drawn where the matrix has no room for its numbers."""
SHARES = (1.0, 0.9, 0.75, 0.5, 0.25)
"""Coverages in the table."""
LONGEST = 600
"""Characters of a text that are shown."""


def accuracy_section(result: Evaluation, say: ReportWords) -> Section:
    """The accuracy with the most demonstrations, against the target."""
    headline = result.headline
    summary = next(one for one in result.summaries if one.shots == headline.shots)
    accuracy, draws = summary.accuracy, len(summary.seeds)
    sentence, good = verdict(accuracy, result.target, result.test.kept)
    target = say.percent(result.target)
    hero = Hero(
        value=say.percent(accuracy.value),
        interval=say(w.ACCURACY_INTERVAL, level=accuracy.level, bounds=say.between(accuracy)),
        verdict=say(sentence),
        good=good,
        chart=Chart(
            say(w.ACCURACY_CHART),
            gauge_chart(accuracy, result.target),
            Table(
                (Column(say(w.ACCURACY), True), Column(say(w.TARGET), True)),
                ((say.share(accuracy), target),),
            ),
        ),
    )
    measured = say(
        w.MEASURED_DRAWS if draws > 1 else w.MEASURED_ONCE,
        rows=result.test.kept,
        shots=headline.shots,
        draws=draws,
        target=target,
        about=_about(accuracy, draws),
    )
    blocks: list[Block] = [hero, Paragraph(measured)]
    test = result.test
    if test.leaked or test.unknown_label:
        template = w.LEAKED if not test.unknown_label else w.LEAKED_AND_UNKNOWN if test.leaked else w.UNKNOWN_LABEL
        blocks.append(Hint(say(template, given=test.given, leaked=test.leaked, unknown=test.unknown_label)))
    return Section("accuracy", say(w.ACCURACY_TITLE), blocks)


def verdict(accuracy: Interval, target: float, rows: int) -> tuple[Text, bool | None]:
    """One sentence about a target, and whether it is good news; None where the rows cannot tell.

    Args:
        accuracy: with its interval: it reaches or misses the target only where that lies on one side.
        target: the accuracy that is good enough.
        rows: test rows it was measured on.
    """
    goal = ReportWords("en").percent(target)
    if accuracy.low >= target:
        return w.REACHES.fill(goal=goal, level=accuracy.level), True
    if accuracy.high < target:
        return w.MISSES.fill(goal=goal, level=accuracy.level), False
    template = w.ABOVE_UNSURE if accuracy.value >= target else w.BELOW_UNSURE
    return template.fill(goal=goal, rows=rows, wanted=_wanted(accuracy, target, rows)), None


def _wanted(accuracy: Interval, target: float, rows: int) -> Text:
    """How many test rows would tell."""
    needed = rows_needed(accuracy.value, target, accuracy.level)
    if needed is None:
        return w.TOO_NEAR
    if accuracy.estimand == "rows and draws" and needed <= rows:
        return w.MORE_DRAWS
    return w.MORE_ROWS.fill(needed=max(needed, rows + 1))


def _about(accuracy: Interval, draws: int) -> Text:
    """What the interval is for."""
    if accuracy.estimand == "rows and draws":
        return w.FOR_NEW_DRAWS.fill(draws=draws)
    return (w.FOR_THIS_DRAW if draws == 1 else w.FOR_THESE_DRAWS).fill(draws=draws, least=NEW_DRAWS_FROM)


def ladder_section(result: Evaluation, say: ReportWords) -> Section:
    """The ladder's decision, its reason and what every rung measured."""
    decision = result.decision
    if decision is None:
        return Section("ladder", say(w.LADDER_TITLE), [Hint(say(w.NO_DECISION))])
    measured = [one for one in decision.evidence if isinstance(one, LabelEvidence)]
    corrected = "" if decision.corrected is None else say.share(_interval(decision.corrected))
    rows = tuple(
        (
            one.rung + (" ✓" if one.rung == decision.rung else ""),
            say.share(_interval(one.accuracy)),
            *((corrected if one.rung == decision.rung else "",) if corrected else ()),
            say.figure(_interval(one.log_loss)),
            "–" if one.seconds_per_1000 is None else say.seconds(one.seconds_per_1000),
            say.seconds(one.seconds),
        )
        for one in measured
    )
    columns = (
        Column(say(w.RUNG)),
        Column(say(w.OUT_OF_FOLD), True),
        *((Column(say(w.CORRECTED), True),) if corrected else ()),
        Column(say(w.LOG_LOSS), True),
        Column(say(w.TIME_FOR_1000), True),
        Column(say(w.TIME_TO_MEASURE), True),
    )
    dots = dots_chart([(one.rung, _interval(one.accuracy)) for one in measured], decision.target, say(w.OUT_OF_FOLD))
    chart = Chart(say(w.LADDER_CHART), dots, Table(columns, rows), beside=True)
    reason = Text(decision.reason, decision.reason_zh).say(say.language)
    return Section("ladder", say(w.LADDER_TITLE), [Paragraph(reason), Side((chart,))])


def confusion_section(result: Evaluation, say: ReportWords) -> Section:
    """Which labels are weak, and what they are taken for."""
    run, labels = result.headline, result.labels
    figures = class_figures(labels, run.figures.confusion)
    table = Table(
        (
            Column(say(w.LABEL)),
            Column(say(w.ROWS), True),
            Column(say(w.FOUND), True),
            Column(say(w.TRUSTWORTHY), True),
        ),
        tuple((one.label, str(one.rows), say.share(one.found), say.percent(one.trusted.value)) for one in figures),
        say(w.LABELS_CAPTION),
    )
    common = _mixups(result, say)
    if len(labels) <= CELLS_WITH_NUMBERS:
        blocks: list[Block] = [Side((_matrix(result, say), table))]
        blocks += [common] if common.rows and len(labels) > 2 else []
    else:
        weakest = [(one.label, one.found) for one in figures[:WEAKEST]]
        dots = dots_chart(weakest, result.target, say(w.FOUND_AXIS))
        title = say(w.WEAKEST_CHART, n=len(weakest))
        blocks = [Side((Chart(title, dots, table), common)), Side((_matrix(result, say),))]
    accuracy = say.share(run.figures.accuracy)
    about = w.ONLY_RUN if len(result.runs) == 1 else w.ONE_RUN
    blocks.insert(0, Paragraph(say(about, shots=run.shots, seed=run.seed, accuracy=accuracy)))
    return Section("labels", say(w.LABELS_TITLE), blocks)


def _mixups(result: Evaluation, say: ReportWords) -> Table:
    columns = (Column(say(w.TRUTH)), Column(say(w.TAKEN_FOR)), Column(say(w.ROWS), True))
    found = mixups(result.labels, result.headline.figures.confusion)
    rows = tuple((one.label, one.given, str(one.rows)) for one in found)
    return Table(columns, rows, say(w.MISTAKES_CAPTION))


def _matrix(result: Evaluation, say: ReportWords) -> Chart:
    labels, confusion = result.labels, result.headline.figures.confusion
    truth, given = say(w.TRUTH), say(w.ANSWER)
    numbered = len(labels) <= CELLS_WITH_NUMBERS
    if numbered:
        columns = (Column(f"{truth} \\ {given}"), *(Column(label, True) for label in labels))
        rows = tuple((label, *map(str, line)) for label, line in zip(labels, confusion, strict=True))
    else:
        columns = (Column(truth), Column(given), Column(say(w.ROWS), True))
        rows = tuple(
            (label, other, str(n))
            for label, line in zip(labels, confusion, strict=True)
            for other, n in zip(labels, line, strict=True)
            if n
        )
    chart = matrix_chart(labels, confusion, given, truth)
    return Chart(say(w.MATRIX_CHART), chart, Table(columns, rows), wide=not numbered)


def _interval(figure: Figure) -> Interval:
    return Interval(figure.value, figure.low, figure.high)


def probabilities_section(result: Evaluation, say: ReportWords) -> Section:
    """Reliability before and after calibration, and accuracy by coverage."""
    run = result.headline
    level = run.figures.accuracy.level
    probabilities, raw = np.exp(run.log_probabilities), uncalibrated(run)
    after = reliability(run.targets, probabilities, level)
    before = None if raw is None else reliability(run.targets, raw, level)
    curve = risk_coverage(run.targets, probabilities, level)
    if before is None:
        errors = say(w.ECE, now=say.share(after.error))
    else:
        errors = say(w.ECE_BEFORE, now=say.share(after.error), before=say.share(before.error))
    charts = Side((_reliability(before, after, say), _coverage(curve, result.target, say)))
    blocks: list[Block] = [Paragraph(errors), charts]
    if before is None:
        blocks.append(Hint(say(w.NOT_CALIBRATED if run.calibrations[0].method == "none" else w.AVERAGED)))
    blocks.append(Paragraph(_promise(coverage_at(curve, result.target), result.target, say)))
    return Section("probabilities", say(w.PROBABILITIES_TITLE), blocks)


def _reliability(before: Reliability | None, after: Reliability, say: ReportWords) -> Chart:
    series = [(say(w.AFTER_CALIBRATION), after)]
    if before is not None:
        series.insert(0, (say(w.BEFORE_CALIBRATION), before))
    probability, right = say(w.PROBABILITY), say(w.RIGHT)
    rows = tuple(
        (name, f"{one.low:.1f}–{one.high:.1f}", str(one.rows), say.percent(one.confidence), say.share(one.accuracy))
        for name, diagram in series
        for one in diagram.bins
    )
    columns = (
        Column(""),
        Column(probability),
        Column(say(w.ROWS), True),
        Column(say(w.MEAN_PROBABILITY), True),
        Column(right, True),
    )
    return Chart(say(w.RELIABILITY_CHART), reliability_chart(series, probability, right), Table(columns, rows))


def _coverage(curve: Sequence[Coverage], target: float, say: ReportWords) -> Chart:
    points = [next(point for point in curve if point.coverage >= share - 1e-9) for share in SHARES]
    answered, right = say(w.ANSWERED), say(w.ANSWERED_RIGHT)
    table = Table(
        (Column(answered, True), Column(say(w.AT_LEAST), True), Column(right, True)),
        tuple(
            (say.percent(point.coverage), say.probability(point.threshold), say.share(point.accuracy))
            for point in dict.fromkeys(points)
        ),
    )
    return Chart(say(w.COVERAGE_CHART), coverage_chart(curve, target, answered, right), table)


def _promise(point: Coverage | None, target: float, say: ReportWords) -> str:
    goal = say.percent(target)
    if point is None:
        return say(w.NO_THRESHOLD, goal=goal)
    return say(
        w.ALL_ANSWERED if point.coverage == 1 else w.THRESHOLD,
        goal=goal,
        threshold=say.probability(point.threshold),
        share=say.percent(point.coverage),
        accuracy=say.share(point.accuracy),
    )


def rows_section(result: Evaluation, say: ReportWords) -> Section:
    """The surest mistakes and the least sure answers."""
    run, rows, labels = result.headline, result.rows, result.labels
    mistakes, unsure = surest_mistakes(run, rows, labels), least_sure(run, rows, labels)
    blocks: list[Block] = []
    if not any(row.text for row in rows):
        blocks.append(Hint(say(w.NO_TEXTS)))
    blocks.append(_answers(mistakes, say(w.MISTAKES), say) if mistakes else Paragraph(say(w.NO_MISTAKE)))
    blocks.append(_answers(unsure, say(w.LEAST_SURE), say))
    return Section("rows", say(w.ROWS_TITLE), blocks)


def _answers(found: Sequence[Answered], caption: str, say: ReportWords) -> Table:
    columns = (
        Column(say(w.ROW), True),
        Column(say(w.TEXT)),
        Column(say(w.TRUTH)),
        Column(say(w.ANSWER)),
        Column(say(w.PROBABILITY), True),
        Column(say(w.SECOND)),
        Column(say(w.PROBABILITY), True),
    )
    rows = tuple(
        (
            str(one.number),
            _quote(one.text),
            one.label,
            one.given + ("" if one.right else "\u00a0✗"),
            say.probability(one.probability),
            one.runner_up,
            say.probability(one.runner_up_probability),
        )
        for one in found
    )
    return Table(columns, rows, caption)


def why_section(result: Evaluation, say: ReportWords) -> Section:
    """Highlighted texts of the surest mistakes and the least sure rows."""
    if not result.explanations:
        return Section("why", say(w.WHY_TITLE), [Hint(say(w.NOT_EXPLAINED))])
    blocks: list[Block] = [Paragraph(say(w.EXPLAINED))]
    for one in result.explanations:
        truth = result.rows[one.number - 1].label
        template = w.EXPLAINED_RIGHT if truth == one.explanation.label else w.EXPLAINED_WRONG
        blocks += [Paragraph(say(template, number=one.number, label=truth)), Explained(one.explanation)]
    return Section("why", say(w.WHY_TITLE), blocks)


def attacks_section(result: Evaluation, say: ReportWords) -> Section:
    """What changed texts did to the answers."""
    if not result.attacks:
        return Section("attacks", say(w.ATTACKS_TITLE), [Hint(say(w.NOT_ATTACKED))])
    columns = (
        Column(say(w.ATTACK)),
        Column(say(w.ROWS), True),
        Column(say(w.ANSWERS_CHANGED), True),
        Column(say(w.ACCURACY_BEFORE), True),
        Column(say(w.AFTER), True),
    )
    rows = tuple(
        (
            one.name,
            str(one.rows),
            say.percent(one.flipped / max(one.rows, 1)),
            say.percent(one.accuracy_before),
            say.percent(one.accuracy_after),
        )
        for one in result.attacks
    )
    blocks: list[Block] = [Table(columns, rows)]
    shown: tuple[tuple[Cell, ...], ...] = tuple(
        (one.name, _quote(one.before), _quote(one.after)) for one in result.attacks if one.after
    )
    if shown:
        names = (Column(say(w.ATTACK)), Column(say(w.ORIGINAL)), Column(say(w.CHANGED)))
        blocks.append(Table(names, shown, say(w.ATTACKS_CAPTION)))
    return Section("attacks", say(w.ATTACKS_TITLE), blocks)


def _quote(text: str) -> Quote:
    return Quote(text if len(text) <= LONGEST else text[:LONGEST] + " …")
