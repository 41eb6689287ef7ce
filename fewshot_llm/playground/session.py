"""`PlaygroundSession`: what a person does with one task, one support file and one model. No page, no framework.

The labelled rows stay on disk: `SupportFile` corrects them one at a time, with undo.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.columns import LABEL, resolve_columns
from fewshot_llm.data.language import normalise_text
from fewshot_llm.data.problem import only_text
from fewshot_llm.data.task import Task
from fewshot_llm.errors import FewshotError, SupportError, nearest
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.explaining import Explanation
from fewshot_llm.files import Rows, atomic_write, columns_of, read_rows, write_rows
from fewshot_llm.files.atomic import sole_writer
from fewshot_llm.predictors.build import assemble, make_problem, resources_of
from fewshot_llm.predictors.prompted import prompted_in
from fewshot_llm.prompting.template import Template
from fewshot_llm.scoring.base import local_model
from fewshot_llm.stats.calibration import Calibration, CalibrationEvidence, calibrated_out_of_fold, fit_bias_temperature
from fewshot_llm.stats.intervals import Interval, proportion
from fewshot_llm.types import FloatArray, IntArray

if TYPE_CHECKING:
    from fewshot_llm.ladder.base import LadderCallbacks
    from fewshot_llm.predictors.base import Prediction

__all__ = ["Accuracy", "PlaygroundSession", "SupportFile"]

WAIT = 10.0
"""Seconds to wait for another process that is writing the file."""


@dataclass(frozen=True)
class _Change:
    before: bytes
    after: bytes


@dataclass(frozen=True)
class SupportFile:
    """A support file that people correct. Every change is on disk, whole, when the method returns.

    Attributes:
        path: a file that rows can be read from and written to.
        task: its fields and labels.
        columns: field (or `label`) → column, where the file names a column otherwise.
        delimiter: between the cells of a text table, before the first change.
        encoding: of a text file, likewise.
        merge_labels: take spellings of one label as the most frequent of them.
    """

    path: Path
    task: Task
    columns: Mapping[str, str] = field(default_factory=dict)
    delimiter: str | None = None
    encoding: str | None = None
    merge_labels: bool = False
    _changes: list[_Change] = field(default_factory=list, init=False, repr=False)

    @property
    def changes(self) -> int:
        """How many changes `undo` can take back."""
        return len(self._changes)

    def read(self) -> SupportSet:
        """The rows, cleaned.

        Raises:
            DataFileError: the file cannot be read.
            SupportError: no usable rows.
        """
        return SupportSet.from_read(self._rows(), self.path, self.task, self.columns, self.merge_labels)

    def put(self, example: Example, label: str) -> None:
        """Give a text its label: rows that hold it already are changed, else a row is added at the end.

        Args:
            example: the text.
            label: one of the task's labels.

        Raises:
            SupportError: an empty text, or no such label.
            DataFileError: the file cannot be read or written, or another process has been writing it for long.
        """
        text = normalise_text(example.text)
        if not text:
            raise SupportError("There is no text to label. Type or paste one.")
        if label not in self.task.labels:
            raise SupportError(f"The task {self.task.name} has no label {label!r}. {nearest(label, self.task.labels)}")
        with self._alone():
            self._put(text, example, label)

    def _put(self, text: str, example: Example, label: str) -> None:
        before, rows = self.path.read_bytes(), self._rows()
        names = columns_of(rows)
        task = self.task
        where = resolve_columns(names, task, self.columns)
        changed, found = [], False
        for row in rows:
            same = normalise_text(Example(where.fields(row)).text) == text
            found |= same
            changed.append({**row, where.names[LABEL]: label} if same else row)
        if not found:
            fields = {where.names[name]: value for name, value in example.fields.items() if name in where.names}
            changed.append({**fields, where.names[LABEL]: label})
        write_rows(self.path, changed, overwrite=True)
        self._changes.append(_Change(before, self.path.read_bytes()))

    def _rows(self) -> Rows:
        """What is there; what is written here is UTF-8 with the usual delimiter."""
        if self._changes:
            return read_rows(self.path)
        return read_rows(self.path, delimiter=self.delimiter, encoding=self.encoding)

    def undo(self) -> bool:
        """Put the file back as it was before the last change; False where there is none to take back.

        Raises:
            SupportError: somebody else has changed the file since, and their work would be lost.
        """
        if not self._changes:
            return False
        change = self._changes[-1]
        with self._alone():
            if self.path.read_bytes() != change.after:
                raise SupportError(
                    f"{self.path.name} was changed by another program since the last correction; taking it back would "
                    "lose that. Edit the file by hand."
                )
            with atomic_write(self.path) as temporary:
                temporary.write_bytes(change.before)
            self._changes.pop()
        return True

    def _alone(self) -> AbstractContextManager[None]:
        """Two pages may correct one file: each reads it and writes it before the other does."""
        return sole_writer(self.path.with_name(f".{self.path.name}.lock"), f"the file {self.path.name}", wait=WAIT)


FOLDS = 5
"""Of the accuracy on scores that are out of fold already; costs no model time."""


@dataclass(frozen=True)
class Accuracy:
    """How good a state of the support set is.

    Attributes:
        rows: labelled rows.
        out_of_fold: share of the labelled rows that are right when their own prompt does not show them.
        test: share of the test rows that are right, once it was asked for; None without test rows.
    """

    rows: int
    out_of_fold: Interval
    test: Interval | None = None


@dataclass
class _OutOfFold:
    """The default calibration; it keeps the scores it was fitted on, which say how good the classifier is for free."""

    seen: list[tuple[FloatArray, IntArray]] = field(default_factory=list)

    def fit(self, evidence: CalibrationEvidence) -> Calibration:
        self.seen.append(evidence.held_out())
        return fit_bias_temperature(*self.seen[-1])

    def accuracy(self) -> Interval:
        """Of the first draw; each row is calibrated on other rows than itself."""
        if not self.seen:
            return proportion(0, 0)
        scores, targets = self.seen[0]
        order = np.argsort(targets, kind="stable")
        held = [order[start::FOLDS].tolist() for start in range(min(FOLDS, len(order)))]
        folds = [([row for row in order.tolist() if row not in rows], rows) for rows in held]
        if not folds:
            return proportion(0, 0)
        right = calibrated_out_of_fold(scores, targets, folds).argmax(axis=1) == targets
        return proportion(int(right.sum()), len(targets))


def _right_out_of_fold(classifier: FewShotClassifier) -> npt.NDArray[np.bool_] | None:
    """Whether the ladder's choice was right of each row that it had not seen; None where none was climbed."""
    if not hasattr(classifier, "decision_"):
        return None
    rows = list(classifier.decision_.kept.rows)
    right: npt.NDArray[np.bool_] = classifier.out_of_fold_.argmax(axis=1) == classifier.problem_.targets[rows]
    return right


class PlaygroundSession:
    """A fitted classifier that is fitted again whenever its support file or its template changes.

    Methods may be called from several threads: they wait for each other. Only for a training they do not wait; they
    raise an error that says so.

    Args:
        file: the support file.
        model: a loaded model or a scorer.
        settings: further parameters of `FewShotClassifier`; a prompt's calibration is always the one out of fold.
        test: labelled rows that are only measured on.
        tuned: the folder that `tune` writes.

    Raises:
        FewshotError: the classifier cannot be fitted.
    """

    def __init__(
        self,
        file: SupportFile,
        model: Any,
        *,
        settings: Mapping[str, Any] | None = None,
        test: SupportSet | None = None,
        tuned: Path = Path("tuned"),
    ) -> None:
        self.file, self.model, self.test, self.tuned = file, model, test, tuned
        self._given = self._settings = dict(settings or {})
        self.history: list[Accuracy] = []
        self._lock, self._training = threading.Lock(), False
        self._fit(self._settings)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels to choose among."""
        return self.classifier.labels_

    @property
    def model_name(self) -> str:
        """Of a model from a folder, the folder's name."""
        model = local_model(self.model) or self.model
        return Path(getattr(model, "name", type(model).__name__)).name

    @property
    def language(self) -> str:
        """The language that the task is asked in."""
        return self.classifier.problem_.language

    @property
    def template(self) -> Template | None:
        """The template in use; None where no prompt is asked."""
        asked = prompted_in(self.classifier.predictor_)
        return None if asked is None else asked.inference.builder.template

    def label(self, texts: Sequence[str]) -> list[Prediction]:
        """Predictions for texts, in order; empty ones are not allowed."""
        with self._alone():
            return self.classifier.predictions([self._query(text) for text in texts])

    def explain(self, text: str) -> Explanation:
        """Why a text gets its label."""
        with self._alone():
            return self.classifier.explain(self._query(text))

    def correct(self, text: str, label: str) -> None:
        """Write a text's right label into the support file, and fit again.

        Raises:
            FewshotError: nothing was changed; the message says why.
        """
        with self._alone():
            self.file.put(self._query(text), label)
            try:
                self._fit(self._settings)
            except FewshotError:
                self.file.undo()
                raise

    def undo(self) -> bool:
        """Take back the last correction, and fit again; False where there is none."""
        with self._alone():
            undone = self.file.undo()
            if undone:
                self._fit(self._settings)
            return undone

    def measure(self) -> Accuracy:
        """The accuracy of the present state, on the test rows too where there are some; `history` ends in it."""
        with self._alone():
            if self.test is not None:
                predicted = self.classifier.predictions([Example(row.fields) for row in self.test])
                right = sum(p.label == row.label for p, row in zip(predicted, self.test, strict=True))
                self.history[-1] = replace(self.history[-1], test=proportion(right, len(self.test)))
            return self.history[-1]

    def prompt(self, text: str, source: str | None = None) -> str:
        """The exact prompt of a text, with the template in use or with another one's source.

        Raises:
            TemplateError: the source is not a usable template.
            FewshotError: no prompt is asked, and no source was given.
        """
        asked, template = prompted_in(self.classifier.predictor_), self.template
        if asked is None and not source:
            raise FewshotError(
                "No prompt is asked: other predictors answered the labelled rows better. Write a template to ask one."
            )
        inference = assemble(self.classifier, self.classifier.support_) if asked is None else asked.inference
        builder = inference.builder
        if source is not None and (template is None or source != template.source):
            builder = replace(builder, template=Template.from_source(source, self.language, "edited"))
        return builder.build(self._query(text), inference.support).text

    def use_template(self, source: str | None) -> None:
        """Fit again with an edited template, or with the one of the beginning (None).

        Raises:
            FewshotError: it cannot be used; the old one stays.
        """
        with self._alone():
            edited = {} if source is None else {"template": Template.from_source(source, self.language, "edited")}
            settings = self._given | edited
            self._fit(settings)
            self._settings = settings

    def tune(self, target: float, callbacks: LadderCallbacks) -> dict[str, Any]:
        """Climb the ladder on the support file as it is now, and write the folder `tuned`.

        Args:
            target: the accuracy that is good enough.
            callbacks: told what happens.

        Returns:
            What `workflows.tune.tune_to_folder` sums up.
        """
        from fewshot_llm.ladder.base import Ladder
        from fewshot_llm.workflows.tune import tune_to_folder

        ladder = Ladder(target=target, seed=self.classifier.seed)
        with self._alone():
            self._training = True
            try:
                resources = resources_of(self.classifier, self.classifier.support_)
                return tune_to_folder(resources, ladder, self.tuned, overwrite=True, callbacks=callbacks)
            finally:
                self._training = False

    def _query(self, text: str) -> Example:
        return only_text(self.classifier.task_, text)

    def _fit(self, settings: Mapping[str, Any]) -> None:
        calibration, support = _OutOfFold(), self.file.read()
        classifier = FewShotClassifier(self.file.task, self.model, **settings)
        if classifier.ladder_for(make_problem(classifier, support)) is None:
            classifier.set_params(calibration=calibration)
        classifier.fit_support(support)
        self.classifier = classifier
        right = _right_out_of_fold(classifier)
        accuracy = calibration.accuracy() if right is None else proportion(int(right.sum()), len(right))
        self.history.append(Accuracy(len(classifier.support_), accuracy))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        while not self._lock.acquire(timeout=0.2):
            if self._training:
                raise FewshotError("A training is running; it needs the model alone. Wait until it has ended.")
        try:
            yield
        finally:
            self._lock.release()
