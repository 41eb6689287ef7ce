"""The report of one `Evaluation`, with its sections about what went in, what it cost and what more rows would bring."""

from __future__ import annotations

from dataclasses import replace

from fewshot_llm.data.cleaning import grave_first
from fewshot_llm.data.diagnosis import NOTHING_FOUND
from fewshot_llm.evaluation.figures import FARTHEST, MORE, Extrapolation, Worth, extrapolate, sizes
from fewshot_llm.evaluation.result import Evaluation
from fewshot_llm.ladder.decision import Decision
from fewshot_llm.ladder.evidence import Evidence
from fewshot_llm.report import words as w
from fewshot_llm.report.charts import curve_chart
from fewshot_llm.report.document import Block, Chart, Code, Column, Document, Hint, Paragraph, Section, Side, Table
from fewshot_llm.report.sections import (
    accuracy_section,
    attacks_section,
    confusion_section,
    ladder_section,
    probabilities_section,
    rows_section,
    why_section,
)
from fewshot_llm.report.words import ReportWords
from fewshot_llm.types import Text, listed

__all__ = [
    "evaluation_document",
]

WORTHS = 8
"""Classes whose gain is listed."""


def _curve_section(result: Evaluation, say: ReportWords) -> Section:
    """Accuracy by labelled rows, and what more of them would be worth."""
    found = extrapolate(result)
    per_class = sizes(result)
    table = Table(
        (
            Column(say(w.SHOTS), True),
            Column(say(w.PER_CLASS), True),
            Column(say(w.ACCURACY), True),
            Column(say(w.LOG_LOSS), True),
        ),
        tuple(
            (
                str(one.shots),
                f"{per_class[one.shots]:.4g}",
                say.share(one.accuracy),
                f"{one.log_loss.value:.3f}",
            )
            for one in result.summaries
        ),
    )
    blocks: list[Block] = []
    by_rows = len(set(per_class.values())) > 1 or len(per_class) == 1
    if len(result.summaries) > 1:
        points = [(per_class[one.shots] if by_rows else float(one.shots), one.accuracy) for one in result.summaries]
        fitted = found if isinstance(found, Extrapolation) else None
        axis = say(w.PER_CLASS if by_rows else w.DEMONSTRATIONS)
        chart = curve_chart(points, fitted, result.target, axis, say(w.ACCURACY))
        blocks.append(Side((Chart(say(w.CURVE_CHART), chart, table, beside=True),)))
    else:
        blocks.append(table)
    if isinstance(found, Extrapolation):
        blocks += _worth(found, say)
    else:
        blocks.append(Hint(say(w.OBSTACLES[found], more=MORE, farthest=FARTHEST)))
    return Section("curve", say(w.CURVE_TITLE), blocks)


def _worth(found: Extrapolation, say: ReportWords) -> list[Block]:
    gain = found.overall.gain
    worth = w.WORTH[found.overall.sure].fill(
        more=found.more, rows=found.rows, then=found.rows + found.more, gain=say.points(gain)
    )
    text = w.POWER_LAW[gain.estimand].fill(worth=worth, level=gain.level)
    if not found.close:
        text = w.POOR_FIT.fill(text=text)
    columns = (
        Column(say(w.MORE_ROWS_OF, more=found.more)),
        Column(say(w.SHARE_OF_TEST), True),
        Column(say(w.WORTH_POINTS), True),
        Column(say(w.READING)),
    )
    rows = tuple(
        (one.label or "", say.percent(one.share), say.points(one.gain), say(_reading(one)))
        for one in found.by_class[:WORTHS]
    )
    caption = w.ONE_CLASS_OF_MANY if len(found.by_class) > WORTHS else w.ONE_CLASS
    return [
        Paragraph(text.say(say.language)),
        Table(columns, rows, say(caption, shown=WORTHS, classes=len(found.by_class))),
    ]


def _reading(worth: Worth) -> Text:
    if worth.sure:
        return w.WORTH_LABELLING
    return w.LESS_THAN_NOTHING if worth.gain.high < 0 else w.CANNOT_TELL


THOUSAND = 1000


def _support_section(result: Evaluation, say: ReportWords) -> Section:
    """The doctor's report."""
    doctor = result.doctor
    if doctor is None:
        return Section("support", say(w.SUPPORT_TITLE), [Hint(say(w.NOT_EXAMINED))])
    blocks: list[Block] = [Paragraph(doctor.summary(say.language))]
    if doctor.findings:
        rows = tuple(
            (say(w.SEVERITY[finding.severity]), finding.with_rows(say.language))
            for finding in grave_first(doctor.findings)
        )
        blocks.append(Table((Column(""), Column(say(w.FINDING))), rows))
    else:
        blocks.append(Paragraph(say(NOTHING_FOUND)))
    return Section("support", say(w.SUPPORT_TITLE), blocks)


def _with_words(section: Section, result: Evaluation, say: ReportWords) -> Section:
    """The section about accuracy, and what word counts alone reach on the same rows."""
    headline = result.headline
    words = next(one for one in result.summaries if one.shots == headline.shots).words
    about = Hint(say(w.NO_WORDS)) if words is None else Paragraph(say(w.WORDS_ALONE, accuracy=say.share(words)))
    return replace(section, blocks=[*section.blocks, about])


def _prompt_section(result: Evaluation, say: ReportWords) -> Section:
    """What answers where that is no prompt alone, and the exact prompt of one row where one is asked."""
    prompt, headline = result.prompt, result.headline
    blocks: list[Block] = []
    if result.decision is not None and headline.rung == result.decision.rung:
        blocks += _answering(result.decision, headline.demonstrations is not None, say)
    if prompt is None and (headline.demonstrations is not None or not blocks):
        blocks.append(Hint(say(w.NO_PROMPT)))
    if prompt is not None:
        answers = listed(f"“{answer}”" for answer in prompt.answers)
        about = say(w.PROMPT, template=prompt.template, demonstrations=prompt.demonstrations, answers=answers)
        blocks += [Paragraph(about), Code(prompt.text)]
    return Section("prompt", say(w.PROMPT_TITLE), blocks)


def _answering(decision: Decision, asks: bool, say: ReportWords) -> list[Block]:
    """Which rung answers, with which encoder or which members; nothing where that is a prompt alone."""
    weights: dict[str, float] = decision.kept.settings.get("weights", {})
    by_rung = {found.rung: found for found in decision.evidence}
    if weights:
        members = (w.MEMBER.fill(rung=_named(by_rung[rung]), weight=weight) for rung, weight in weights.items())
        return [Paragraph(say(w.ANSWERS_TOGETHER, members=listed(members)))]
    return [] if asks else [Paragraph(say(w.ANSWERS_ALONE, rung=_named(decision.kept)))]


def _named(evidence: Evidence) -> Text:
    title = evidence.title or Text(evidence.rung, evidence.rung)
    encoder = evidence.settings.get("encoder")
    return title if encoder is None else w.RUNG_WITH.fill(rung=title, encoder=encoder)


def _cost_section(result: Evaluation, say: ReportWords, price: float | None = None) -> Section:
    """Time, tokens and, at a price, money.

    Args:
        result: what was measured.
        say: the language.
        price: of a million tokens, in any currency.
    """
    columns = [w.SHOTS, w.TIME_TO_LEARN, w.ROWS_PER_SECOND, w.TIME_FOR_1000, w.TOKENS, w.COMPUTED]
    if price is not None:
        columns.append(w.PRICE)
    rows = []
    for summary in result.summaries:
        runs = [run for run in result.runs if run.shots == summary.shots]
        measured = sum(run.figures.n for run in runs)
        asked = sum(run.tokens_asked for run in runs) / measured
        ran = sum(run.tokens_computed for run in runs) / measured
        row = [
            str(summary.shots),
            say.seconds(sum(run.fit_seconds for run in runs) / len(runs)),
            f"{summary.rows_per_second:.1f}",
            say.seconds(THOUSAND / summary.rows_per_second) if summary.rows_per_second else "–",
            f"{asked:,.0f}" if asked else "–",
            f"{ran:,.0f}" if ran else "–",
        ]
        if price is not None:
            row.append(f"{ran * THOUSAND * price / 1e6:,.4f}" if ran else "–")
        rows.append(tuple(row))
    blocks: list[Block] = [Table(tuple(Column(say(title), True) for title in columns), tuple(rows))]
    blocks.append(Paragraph(say(_machine(result))))
    if price is None:
        blocks.append(Hint(say(w.NO_PRICE)))
    return Section("cost", say(w.COST_TITLE), blocks)


def _machine(result: Evaluation) -> Text:
    machine = result.machine
    device = machine.get("gpu") or machine.get("processor") or w.UNKNOWN_MACHINE
    counted = machine.get("threads") and not machine.get("gpu")
    template = w.MEASURED_ON_THREADS if counted else w.MEASURED_ON
    measured = template.fill(device=device, threads=machine.get("threads"))
    shared = any(0 < run.tokens_computed < run.tokens_asked for run in result.runs)
    return w.SHARED_PREFIXES.fill(machine=measured) if shared else measured


def evaluation_document(result: Evaluation, language: str | None = None, price: float | None = None) -> Document:
    """Everything a result says, for people.

    Args:
        result: what was measured.
        language: `zh` or `en`; by default that of the prompt.
        price: of a million tokens, in any currency.
    """
    say = ReportWords(language or result.language)
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return Document(
        title=say(w.PAGE_TITLE, task=result.task),
        subtitle=say(
            w.PAGE_ABOUT, model=result.model.get("name", ""), labels=len(result.labels), rows=result.test.kept
        ),
        language=say.language,
        sections=[
            _with_words(accuracy_section(result, say), result, say),
            ladder_section(result, say),
            confusion_section(result, say),
            _curve_section(result, say),
            probabilities_section(result, say),
            rows_section(result, say),
            why_section(result, say),
            attacks_section(result, say),
            _support_section(result, say),
            _prompt_section(result, say),
            _cost_section(result, say, price),
        ],
        footer=say(
            w.PAGE_FOOTER,
            versions=versions,
            test=result.test.fingerprint[:12],
            support=result.support_fingerprint[:12],
            model=result.model.get("sha256", "")[:12],
        ),
    )
