"""From option values to the library's objects: the one place where the command line's names become parts."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import typer

from fewshot_llm.errors import (
    AdapterError,
    DataFileError,
    ModelError,
    PullError,
    SupportError,
    TaskError,
    nearest,
)
from fewshot_llm.files import RowProblem, columns_of, load_rows, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fewshot_llm.batch.sources import RowSource
    from fewshot_llm.cli.options import (
        CalibrationName,
        ClassifierPrompt,
        ModelOptions,
        PolicyOptions,
        RankingPromptName,
        ReadingOptions,
        RedactionOptions,
        SelectionName,
    )
    from fewshot_llm.data import Finding, SupportSet
    from fewshot_llm.data.redaction import Redactor
    from fewshot_llm.data.task import Task
    from fewshot_llm.estimators.base import TextEstimator
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.files import Note, Rows
    from fewshot_llm.ladder.base import Ladder, Prefer
    from fewshot_llm.models.load import LanguageModel
    from fewshot_llm.predictors.build import ModelLike
    from fewshot_llm.predictors.ranking import RankingPrompt
    from fewshot_llm.prompting.selection import Selection
    from fewshot_llm.scoring.remote.scorer import RemoteScorer
    from fewshot_llm.selective.policy import SelectivePolicy
    from fewshot_llm.stats.calibration import CalibrationMethod

__all__ = [
    "Opened",
    "Told",
    "fit_policy",
    "load_chosen",
    "make_classifier",
    "make_redactor",
    "numbers",
    "open_chosen",
    "open_classifier",
    "open_saved",
    "say",
    "settings_of",
    "take_calibration",
    "take_ladder",
    "take_ranking_prompt",
    "take_selection",
    "warn_of",
    "warn_unreadable",
]

Saved = TypeVar("Saved", bound="TextEstimator")


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

    def __init__(self, reading: ReadingOptions) -> None:
        self._text, self._label = tuple(reading.text_column or ()), tuple(reading.label_column or ())
        self._delimiter, self._encoding, self._merge_labels = reading.delimiter, reading.encoding, reading.merge_labels
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

    def support(self, task: str | Task, path: Path) -> tuple[Task, SupportSet]:
        """The task and its labelled rows; the labels come from the rows where the task has none of its own."""
        from fewshot_llm.data.task import load_task

        described = load_task(task) if isinstance(task, str) else task
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
        where = resolve_columns(found, task, told, labelled=False)
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
            if isinstance(problem, RowProblem) and problem.kind in ("control-characters", "not-a-string"):
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
    from fewshot_llm.data.cleaning import describe

    for line in describe(finding for finding in findings if finding.severity != "info"):
        typer.echo(line, err=True)


def load_chosen(options: ModelOptions, language: str, texts: Iterable[str]) -> LanguageModel:
    """The loaded model, fetched first where it has to be; `auto` takes one that has read the texts' language.

    Args:
        options: the model's.
        language: of the prompt.
        texts: some that the model will read. Where `auto` takes another model than usual for them, that is said.
    """
    from fewshot_llm.artifacts.folder import is_artifact
    from fewshot_llm.artifacts.record import ADAPTER_FILES
    from fewshot_llm.cli.output import step_progress
    from fewshot_llm.data.language import language_name
    from fewshot_llm.models.load import load_model
    from fewshot_llm.models.registry import resolve_auto
    from fewshot_llm.predictors.build import text_language

    name, folder = options.model, options.adapter
    if folder is not None and is_artifact(folder) and not (folder / ADAPTER_FILES[0]).is_file():
        raise AdapterError(
            f"The folder {folder} holds what was fitted without training: there are no LoRA weights to put on a model. "
            "Leave out --support to answer as it was saved, or leave out --adapter to fit on the labelled rows."
        )
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
            adapter=folder,
            device=options.device,
            dtype=options.dtype,
            threads=options.threads,
            progress=progress,
        )


def open_chosen(options: ModelOptions, language: str, texts: Iterable[str]) -> LanguageModel | RemoteScorer:
    """As `load_chosen`; a scorer for the server where an address is given."""
    from fewshot_llm.models.trust import is_address
    from fewshot_llm.scoring.remote.scorer import connect

    if not is_address(options.model):
        return load_chosen(options, language, texts)
    folder = None if options.adapter is None else str(options.adapter)
    trust = options.trust
    return connect(options.model, folder, allow_download=trust.allow_download, insecure=trust.insecure)


def settings_of(options: Any, model: ModelLike) -> dict[str, Any]:
    """An option group as keywords of an estimator: what is chosen by name becomes the object of that name.

    Args:
        options: a group whose fields are an estimator's settings.
        model: which a selection may ask.
    """
    settings = {one.name: getattr(options, one.name) for one in fields(options)}
    if settings.get("selection") is not None:
        settings["selection"] = take_selection(settings["selection"], model)
    if settings.get("calibration") is not None:
        settings["calibration"] = take_calibration(settings["calibration"])
    if "only" in settings:
        settings["ladder"] = take_ladder(settings.pop("only"), settings.pop("prefer"), settings["seed"])
    if "prompt" in settings:
        settings["prompt"] = take_ranking_prompt(settings["prompt"])
    return settings


def make_classifier(
    described: Task,
    examples: SupportSet,
    prompt: ClassifierPrompt,
    model: ModelOptions,
    texts: Sequence[str] = (),
    **settings: Any,
) -> FewShotClassifier:
    """A classifier as the options describe it, its model loaded, not fitted.

    Args:
        described: the task.
        examples: the labelled rows; they tell the language where the prompt's is `auto`.
        prompt: what is asked, and how.
        model: to ask; may be a server.
        texts: to label; without labelled rows they tell which language a model has to have read.
        **settings: any other parameter of `FewShotClassifier`.
    """
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.predictors.build import make_language

    language = make_language(prompt.language, described, examples)
    loaded: ModelLike
    try:
        loaded = open_chosen(model, language, [example.text for example in examples] or texts)
    except (ModelError, PullError):
        named = model.model != "auto" or model.adapter is not None
        if named or prompt.selection == "nearest-hidden" or not examples.examples:
            raise
        loaded = "auto"  # nobody named it: a ladder goes on without it and says why
    asked = settings_of(replace(prompt, language=language), loaded)
    return FewShotClassifier(described, loaded, **{**asked, **settings})


@dataclass(frozen=True)
class Opened:
    """A classifier that was made or read, and what belongs to it.

    Attributes:
        task: what it labels.
        classifier: fitted where it was read from a folder.
        policy: what is to be kept back; not fitted.
        examples: the labelled rows that the classifier is to be fitted on; `None` where it is.
    """

    task: Task
    classifier: FewShotClassifier
    policy: SelectivePolicy | None
    examples: SupportSet | None


def open_classifier(
    task: str,
    support: Path | None,
    told: Told,
    prompt: ClassifierPrompt,
    model: ModelOptions,
    policy: PolicyOptions,
    labels: Path | None = None,
    texts: Callable[[], Sequence[str]] = tuple,
    **settings: Any,
) -> Opened:
    """The classifier for labelled rows, not fitted, or the one that was saved; all columns that were told are there.

    Args:
        task: as the user named it.
        support: labelled rows; `None` for what the adapter's folder records, or where there are only labels.
        told: how they are read.
        prompt: what is asked, and how.
        model: to ask; may be a server.
        policy: what is kept back.
        labels: a file of labels in place of the task's.
        texts: some of those to label; see `make_classifier`.
        **settings: as of `make_classifier`.

    Raises:
        typer.BadParameter: labels for a saved folder, which has its own, or a policy without labelled rows.
        FewshotError: a file is unusable.
    """
    from fewshot_llm.data import SupportSet, load_task, with_label_file
    from fewshot_llm.estimators.classifier import FewShotClassifier

    if support is None and labels is not None:
        if model.adapter is not None:
            raise typer.BadParameter("the saved folder (--adapter) has its own labels", param_hint="--labels")
        if any(given is not None for given in (policy.max_error, policy.costs, policy.out_of_scope)):
            raise typer.BadParameter("what is kept back is fitted on labelled rows; give --support FILE")
        named, nothing = with_label_file(load_task(task), labels), SupportSet((), ())
        told.require_found()
        return Opened(named, make_classifier(named, nothing, prompt, model, texts(), **settings), None, nothing)
    if support is not None:
        known = load_task(task)
        described, examples = told.support(known if labels is None else with_label_file(known, labels), support)
        warn_of(examples.report.findings)
        kept_back = _take_policy(policy, described, told, examples, model.adapter)
        told.require_found()
        return Opened(described, make_classifier(described, examples, prompt, model, **settings), kept_back, examples)
    described, classifier = open_saved(FewShotClassifier, task, model)
    kept_back = _take_policy(policy, described, told, classifier.support_, model.adapter)
    told.require_found()
    return Opened(described, classifier, kept_back, None)


def open_saved(estimator: type[Saved], task: str, options: ModelOptions) -> tuple[Task, Saved]:
    """The recorded task and what answers as the adapter's or saved estimator's folder says.

    Args:
        estimator: the class of what was saved.
        task: as the user named it.
        options: the folder is their adapter; another model than `auto` is taken in place of the recorded one.

    Raises:
        typer.BadParameter: no folder was given.
        ArtifactError: the folder is not whole, or holds what another estimator fitted.
        TaskError: it was made for another task.
    """
    from fewshot_llm.cli.output import waiting
    from fewshot_llm.data.task import Task, load_task
    from fewshot_llm.models.device import limit_threads

    folder = options.adapter
    if folder is None:
        raise typer.BadParameter("Give labelled rows (--support FILE) or a saved folder (--adapter DIR).")
    with waiting(f"Loading {folder.name}"):
        limit_threads(options.threads)
        opened = estimator.load(
            folder,
            model=None if options.model == "auto" else options.model,
            device=options.device,
            dtype=options.dtype,
            allow_download=options.trust.allow_download,
            insecure=options.trust.insecure,
        )
    recorded = opened.task
    assert isinstance(recorded, Task)  # `load` takes it from the folder
    if recorded.name != (wanted := load_task(task).name):
        raise TaskError(f"{folder} was made for the task {recorded.name}, not {wanted}. Name the task it was made for.")
    return recorded, opened


def _take_policy(
    options: PolicyOptions, described: Task, told: Told, examples: SupportSet, adapter: Path | None
) -> SelectivePolicy | None:
    """The policy that the options ask for; `None` where they ask for nothing. Refuses what cannot be fitted.

    Args:
        options: what is kept back.
        described: the task.
        told: how the rows of the policy's own are read.
        examples: the labelled rows that the classifier is fitted on.
        adapter: the folder of one that may have been trained on them.

    Raises:
        typer.BadParameter: options that contradict each other, or no share where one is due.
        FewshotError: a file is unusable, or the adapter has seen the rows that the policy would be fitted on.
    """
    from fewshot_llm.artifacts.folder import trained_on
    from fewshot_llm.selective.policy import SelectivePolicy, require_unseen

    error, costs, scope = options.max_error, options.costs, options.out_of_scope
    if error is None and options.calibration_rows is not None:
        raise typer.BadParameter("only --max-error is fitted on rows of their own", param_hint="--calibration-rows")
    for option, share in (("--max-error", error), ("--confidence", options.confidence), ("--out-of-scope", scope)):
        if share is not None and not 0 < share < 1:
            raise typer.BadParameter(f"{share:g} is no share between 0 and 1", param_hint=option)
    if error is None and costs is None and scope is None:
        return None
    own = options.calibration_rows
    rows = None if own is None else told.labelled_set(described, own)
    if rows is None:
        require_unseen(trained_on(adapter), examples)
    return SelectivePolicy(error, options.confidence, costs, scope, rows)


def fit_policy(classifier: FewShotClassifier, policy: SelectivePolicy, *, quiet: bool) -> None:
    """Fit the policy of a fitted classifier, and say on standard error what was found unless `quiet`."""
    from fewshot_llm.cli.output import say_policy, waiting

    with waiting("Fitting what is kept back"):
        classifier.set_policy(policy)
    if not quiet:
        say_policy(classifier.policy_)


def make_redactor(options: RedactionOptions) -> Redactor | None:
    """What the options ask for; `None` where no redaction is asked for."""
    if not (options.redact or options.redact_orders):
        if options.regions is not None:
            raise typer.BadParameter("say --redact as well", param_hint="--regions")
        return None
    from fewshot_llm.data.redaction import DEFAULT_REGIONS, PERSONAL, Kind, Redactor

    regions = DEFAULT_REGIONS
    if options.regions is not None:
        regions = tuple(code.strip().upper() for code in options.regions.split(",") if code.strip())
    return Redactor(kinds=PERSONAL | {Kind.ORDER} if options.redact_orders else PERSONAL, regions=regions)


def take_ladder(only: str | None, prefer: Prefer, seed: int) -> Ladder | Literal["auto"]:
    """The ladder of one rung where one is named; else the usual choice."""
    from fewshot_llm.ladder.rungs.defaults import one_rung, quick_ladder

    if only is not None:
        return one_rung(only, seed)
    return "auto" if prefer == "accuracy" else replace(quick_ladder(seed), prefer=prefer)


def take_selection(name: SelectionName, model: ModelLike) -> Selection:
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


def take_ranking_prompt(name: RankingPromptName) -> RankingPrompt:
    """The way of asking about candidates that has this name."""
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
