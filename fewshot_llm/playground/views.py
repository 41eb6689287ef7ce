"""What the page shows, as plain values: tables, messages, the lines of a training."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from fewshot_llm.errors import FewshotError
from fewshot_llm.files import write_rows
from fewshot_llm.playground.words import Words

if TYPE_CHECKING:
    from fewshot_llm.escalation import Measured
    from fewshot_llm.estimators.prediction import Prediction
    from fewshot_llm.evidence import Rung
    from fewshot_llm.ladder import Watch
    from fewshot_llm.playground.session import Session
    from fewshot_llm.tuning.crossfit import FoldReport
    from fewshot_llm.tuning.trainer import EpochReport

__all__ = [
    "history_rows",
    "pasted_texts",
    "prediction_rows",
    "predictions_file",
    "status_line",
    "support_rows",
    "training_log",
]


def pasted_texts(pasted: str) -> list[str]:
    r"""The texts of a paste: one a line, empty lines and repetitions left out.

    >>> pasted_texts("good\n\n  bad\ngood ")
    ['good', 'bad']
    """
    return list(dict.fromkeys(line.strip() for line in pasted.splitlines() if line.strip()))


def prediction_rows(texts: Sequence[str], predictions: Sequence[Prediction]) -> list[list[str]]:
    """Text, label and probability of each."""
    return [
        [text, prediction.label or "", f"{prediction.probability:.3f}"]
        for text, prediction in zip(texts, predictions, strict=True)
    ]


def predictions_file(rows: Sequence[Sequence[str]], words: Words) -> str:
    """The path of a CSV file with these rows, for a spreadsheet, in a new temporary folder."""
    path = Path(tempfile.mkdtemp(prefix="fewshot-llm-")) / "predictions.csv"
    write_rows(path, [dict(zip(words.columns, row, strict=True)) for row in rows], excel=True)
    return str(path)


def support_rows(session: Session) -> list[list[str]]:
    """Row (from 1), label and text of each labelled row, the newest first."""
    rows = [[str(row + 1), str(example.label), example.text] for row, example in enumerate(session.classifier.support_)]
    return rows[::-1]


def history_rows(session: Session, words: Words) -> list[list[str]]:
    """Rows, accuracy out of fold and on the test file after each change, the newest first."""
    return [
        [str(state.rows), words.figure(state.out_of_fold), words.figure(state.test)]
        for state in reversed(session.history)
    ]


def status_line(session: Session, words: Words) -> str:
    """Task, model, labelled rows and accuracy, as Markdown."""
    return words.status.format(
        task=session.file.task.name,
        model=session.model_name,
        rows=len(session.classifier.support_),
        accuracy=words.accuracy(session.history[-1]) if session.history else words.unknown,
    )


def training_log(session: Session, target: float, words: Words) -> Iterator[str]:
    """Tunes in another thread; yields the whole log each time a line was added to it."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def work() -> None:
        try:
            summary = session.tune(target, _watch(lines.put, words))
            reason = summary["reason_zh" if words.language == "zh" else "reason"]
            lines.put(words.tuned.format(reason=reason, folder=summary["folder"]))
        except FewshotError as error:
            lines.put(str(error))
        finally:
            lines.put(None)

    Thread(target=work, daemon=True).start()
    log: list[str] = []
    while (line := lines.get()) is not None:
        log.append(line)
        yield "\n".join(log)


def _watch(say: Callable[[str], Any], words: Words) -> Watch:
    from fewshot_llm.evidence import RungEvidence
    from fewshot_llm.ladder import Watch

    def measured(rung: Rung, found: Measured) -> None:
        if isinstance(found, RungEvidence):
            say(words.rung_done.format(rung=rung, accuracy=found.accuracy, seconds=found.seconds))
        else:
            say(words.rung_skipped.format(rung=rung, why=found.chinese if words.language == "zh" else found.english))

    def fold(report: FoldReport) -> None:
        epoch = report.epoch
        say(
            words.fold.format(
                fold=report.fold,
                folds=report.folds,
                epoch=epoch.epoch,
                epochs=epoch.epochs,
                loss=epoch.loss,
                left=report.seconds_left,
            )
        )

    def epoch(report: EpochReport) -> None:
        say(words.epoch.format(epoch=report.epoch, epochs=report.epochs, loss=report.loss, left=report.seconds_left))

    return Watch(rung=lambda rung: say(words.rung.format(rung=rung)), measured=measured, fold=fold, epoch=epoch)
