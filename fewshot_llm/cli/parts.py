"""From option values to the library's objects: the one place where the command line's names become parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fewshot_llm.errors import DataFileError, SupportError, nearest
from fewshot_llm.files import Problem, columns_of, load_rows, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fewshot_llm.batch.sources import RowSource
    from fewshot_llm.cli.options import CalibrationName, SelectionName, WayName
    from fewshot_llm.data import Finding, SupportSet
    from fewshot_llm.data.task import Task
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.files import Note, Rows
    from fewshot_llm.models.load import LanguageModel
    from fewshot_llm.predictors.ranking import RankingPrompt
    from fewshot_llm.prompting.selection import Selection
    from fewshot_llm.scoring.remote.scorer import RemoteScorer
    from fewshot_llm.stats.calibration import CalibrationMethod

__all__ = [
    "ModelOptions",
    "Told",
    "make_classifier",
    "numbers",
    "say",
    "take_calibration",
    "take_selection",
    "take_way",
    "warn_of",
    "warn_unreadable",
]


def numbers(text: str, option: str) -> tuple[int, ...]:
    """`0,4,16` as numbers; whole, not negative, each once."""
    parts = [part.strip() for part in text.replace("，", ",").split(",")]
    if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise typer.BadParameter(
            f"{text!r} is not a list of different whole numbers such as 0,4,16.", param_hint=option
        )
    return tuple(map(int, parts))


class Told:
    """What the user says of the files of one call: columns, delimiter, encoding, whether spellings of a label are one.

    A column is read in the files that have it; in the others it is found by its name. `require_found` refuses one that
    is in no file.
    """

    def __init__(
        self,
        text_columns: Sequence[str] | None,
        label_columns: Sequence[str] | None,
        delimiter: str | None,
        encoding: str | None,
        merge_labels: bool = False,
    ) -> None:
        self._text, self._label = tuple(text_columns or ()), tuple(label_columns or ())
        self._delimiter, self._encoding, self._merge_labels = delimiter, encoding, merge_labels
        self._seen: dict[str, None] = {}

    def columns(self, task: Task, found: Iterable[str]) -> dict[str, str]:
        """Field (or `label`) → column of a file with these columns, as far as the user told it.

        `--text-column` is the task's main text, its last field.
        """
        found = list(found)
        self._seen.update(dict.fromkeys(map(str, found)))
        wanted = {task.fields[-1]: self._text, "label": self._label}
        return {field: there[0] for field, given in wanted.items() if (there := [c for c in given if c in found])}

    def labelled(self, path: Path) -> Rows:
        """The rows of a file, all of which must be readable."""
        return read_rows(path, delimiter=self._delimiter, encoding=self._encoding)

    def rows(self, path: Path) -> Rows:
        """The rows of a file; those that are not readable keep their place. What was noticed is on standard error."""
        rows = load_rows(path, delimiter=self._delimiter, encoding=self._encoding)
        say(rows.notes)
        return rows

    def source(self, paths: Sequence[str], limit: int | None, results: Path | None = None) -> RowSource:
        """The input of a batch job."""
        from fewshot_llm.batch.sources import open_source

        return open_source(paths, limit=limit, delimiter=self._delimiter, encoding=self._encoding, results=results)

    def support(self, task: str, path: Path) -> tuple[Task, SupportSet]:
        """The task and its labelled rows; the labels come from the rows where the task has none of its own."""
        from fewshot_llm.data.task import load_task

        described = load_task(task)
        support = self.labelled_set(described, path)
        return support.complete(described), support

    def labelled_set(self, task: Task, path: Path) -> SupportSet:
        """Labelled rows of a task."""
        from fewshot_llm.data import SupportSet

        rows = self.labelled(path)
        return SupportSet.from_read(rows, path, task, self.columns(task, columns_of(rows)), self._merge_labels)

    def fields(self, task: Task, found: Iterable[str]) -> dict[str, str]:
        """Field → column of a file whose rows are to be labelled; says where another column could be meant."""
        from fewshot_llm.data.columns import resolve_columns

        found = list(found)
        told = {field: column for field, column in self.columns(task, found).items() if field != "label"}
        where = resolve_columns(found, task.fields, task.optional_fields, told, labelled=False)
        for field, others in where.rivals.items():
            typer.echo(
                f"note: the column {where.names[field]!r} is read as {field!r}; {', '.join(map(repr, others))} could "
                "be meant too (--text-column).",
                err=True,
            )
        return dict(where.names)

    def unlabelled(self, task: Task, path: Path) -> tuple[Rows, dict[str, str]]:
        """The rows of a file that are to be labelled, and field → column.

        A text with NUL characters, and what is no text, is a row with a problem, as in a batch job.
        """
        from fewshot_llm.data.example import query_of

        rows = self.rows(path)
        if not rows:
            return rows, {}
        names = columns_of(rows)
        if not names:
            raise DataFileError(f"{path}: no row can be read. {next(iter(rows.problems.values())).reason}")
        columns = self.fields(task, names)
        for position, row in enumerate(rows):
            problem = query_of(row, columns, task.optional_fields)
            if isinstance(problem, Problem) and problem.kind in ("control-characters", "not-a-string"):
                rows.problems.setdefault(position, problem)
        return rows, columns

    def require_found(self) -> None:
        """Refuse a column that is in none of the files that were read.

        Raises:
            SupportError: there is one.
        """
        for option, given in (("--text-column", self._text), ("--label-column", self._label)):
            if missing := [column for column in given if column not in self._seen]:
                raise SupportError(
                    f"No file has the column {missing[0]!r} that {option} names. {nearest(missing[0], self._seen)}"
                )


def say(notes: Iterable[Note]) -> None:
    """How files were read, on standard error."""
    for note in notes:
        typer.echo(f"note: {note.english}", err=True)


def warn_unreadable(rows: Rows) -> None:
    """Which rows got no label because they could not be read, on standard error."""
    for position, problem in list(rows.problems.items())[:10]:
        line = rows.lines.get(position)
        place = f"row {position + 1}" + ("" if line is None else f" (line {line})")
        typer.echo(f"warning: {place} has no label: {problem.reason}", err=True)
    if len(rows.problems) > 10:
        typer.echo(f"warning: … and {len(rows.problems) - 10} rows more have no label.", err=True)


def warn_of(findings: Iterable[Finding]) -> None:
    """What cleaning left out, on standard error; what is merely good to know is left to `check`."""
    from fewshot_llm.data.finding import describe

    for line in describe(finding for finding in findings if finding.severity != "info"):
        typer.echo(line, err=True)


@dataclass(frozen=True)
class ModelOptions:
    """Which model the options name, and how it is to run.

    Attributes:
        name: of the model, its folder or hub id, a server's address, or `auto`.
        adapter: LoRA weights to put on it; beside an address, the folder that names the tokenizer's model.
        device: as the option of that name, like all that follow.
        dtype: likewise.
        threads: likewise.
        allow_download: likewise.
        insecure: likewise.
    """

    name: str
    adapter: Path | None = None
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    allow_download: bool = False
    insecure: bool = False

    def load(self, language: str, texts: Iterable[str]) -> LanguageModel:
        """The loaded model, fetched first where it has to be; `auto` takes one that has read the texts' language.

        Args:
            language: of the prompt.
            texts: some that the model will read. Where `auto` takes another model than usual for them, that is said.
        """
        from fewshot_llm.cli.progress import step_progress
        from fewshot_llm.data.language import language_name
        from fewshot_llm.models.load import load_model
        from fewshot_llm.models.registry import resolve_auto
        from fewshot_llm.predictors.build import text_language

        name = self.name
        if name == "auto":
            spoken = text_language(language, texts)
            name = resolve_auto(spoken)
            if spoken != language:
                typer.echo(
                    f"note: the texts look like {language_name(spoken)}; auto takes {name}, which has read it. The "
                    f"prompt is written in {language_name(language)}.",
                    err=True,
                )
        with step_progress(f"Loading {name}") as progress:
            return load_model(
                name,
                adapter=self.adapter,
                device=self.device,
                dtype=self.dtype,
                threads=self.threads,
                progress=progress,
            )

    def open(self, language: str, texts: Iterable[str]) -> LanguageModel | RemoteScorer:
        """As `load`; a scorer for the server where an address is given."""
        from fewshot_llm.models.trust import is_address
        from fewshot_llm.scoring.remote.scorer import connect

        if not is_address(self.name):
            return self.load(language, texts)
        folder = None if self.adapter is None else str(self.adapter)
        return connect(self.name, folder, allow_download=self.allow_download, insecure=self.insecure)


def make_classifier(
    described: Task,
    examples: SupportSet,
    model: ModelOptions,
    *,
    lang: str,
    selection: SelectionName,
    calibration: CalibrationName,
    **settings: Any,
) -> FewShotClassifier:
    """A classifier as the options describe it, its model loaded, not fitted.

    Args:
        described: the task.
        examples: the labelled rows; they tell the language where `lang` is `auto`.
        model: to ask; may be a server.
        lang: as the option of that name, like the two that follow.
        selection: likewise.
        calibration: likewise.
        **settings: any other parameter of `FewShotClassifier`.
    """
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.predictors.build import make_language

    language = make_language(lang, described, examples)
    loaded = model.open(language, (example.text for example in examples))
    return FewShotClassifier(
        described,
        loaded,
        language=language,
        selection=take_selection(selection, loaded),
        calibration=take_calibration(calibration),
        **settings,
    )


def take_selection(name: SelectionName, model: LanguageModel | RemoteScorer) -> Selection:
    """The selection of that name; one by hidden states uses the model's own."""
    from fewshot_llm.models.load import LanguageModel
    from fewshot_llm.prompting import Balanced, Diverse, Nearest, NearestHidden, RandomOrder
    from fewshot_llm.scoring.vectors import MeanHiddenState

    match name:
        case "balanced":
            return Balanced()
        case "random":
            return RandomOrder()
        case "nearest":
            return Nearest()
        case "nearest-hidden":
            if not isinstance(model, LanguageModel):
                raise typer.BadParameter("a server does not tell its hidden states", param_hint="--selection")
            return NearestHidden(MeanHiddenState(model))
        case "diverse":
            return Diverse()


def take_calibration(name: CalibrationName) -> CalibrationMethod:
    """The calibration method of that name."""
    from fewshot_llm.stats.calibration import Batch, Contextual, OutOfFold, Uncalibrated

    match name:
        case "out-of-fold":
            return OutOfFold()
        case "contextual":
            return Contextual()
        case "batch":
            return Batch()
        case "none":
            return Uncalibrated()


def take_way(name: WayName) -> RankingPrompt:
    """The ranking prompt of that name."""
    from fewshot_llm.predictors.ranking import LetterPrompt, PmiPrompt, TitlePrompt, YesNoPrompt

    match name:
        case "pmi":
            return PmiPrompt()
        case "title":
            return TitlePrompt()
        case "yes-no":
            return YesNoPrompt()
        case "letter":
            return LetterPrompt()
