"""From option values to the library's objects: the one place where the command line's names become parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fewshot_llm.calibration import CalibrationMethod
    from fewshot_llm.cli.options import CalibrationName, SelectionName, WayName
    from fewshot_llm.estimators.choice_ways import Way
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.models.language_model import LanguageModel
    from fewshot_llm.prompting.selection import Selection
    from fewshot_llm.scoring.remote import RemoteScorer
    from fewshot_llm.support import Finding, SupportSet
    from fewshot_llm.task import Task

__all__ = [
    "column_names",
    "make_classifier",
    "numbers",
    "open_model",
    "open_model_or_server",
    "read_support",
    "take_calibration",
    "take_selection",
    "take_way",
    "warn_of",
]


def numbers(text: str, option: str) -> tuple[int, ...]:
    """`0,4,16` as numbers; whole, not negative, each once."""
    parts = [part.strip() for part in text.replace("，", ",").split(",")]
    if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise typer.BadParameter(
            f"{text!r} is not a list of different whole numbers such as 0,4,16.", param_hint=option
        )
    return tuple(map(int, parts))


def column_names(task: Task, text_column: str | None, label_column: str | None = None) -> dict[str, str]:
    """Field → column, as the user told it; `--text-column` is the task's main text, its last field."""
    told = {task.fields[-1]: text_column, "label": label_column}
    return {field: column for field, column in told.items() if column is not None}


def read_support(task: str, path: Path, text_column: str | None, label_column: str | None) -> tuple[Task, SupportSet]:
    """The task and its labelled rows; the labels come from the rows where the task has none of its own."""
    from fewshot_llm.support import SupportSet
    from fewshot_llm.task import load_task

    described = load_task(task)
    support = SupportSet.from_file(path, described, column_names(described, text_column, label_column))
    return support.complete(described), support


def warn_of(findings: Iterable[Finding]) -> None:
    """What cleaning left out, on standard error; what is merely good to know is left to `check`."""
    from fewshot_llm.support.finding import describe

    for line in describe(finding for finding in findings if finding.severity != "info"):
        typer.echo(line, err=True)


def open_model(
    name: str, language: str, *, adapter: Path | None, device: str | None, dtype: str | None, threads: int | None
) -> LanguageModel:
    """The loaded model, fetched first where it has to be; `auto` goes by the prompt's language."""
    from fewshot_llm.cli.progress import step_progress
    from fewshot_llm.models.load import load_model
    from fewshot_llm.models.registry import resolve_auto

    if name == "auto":
        name = resolve_auto(language)
    with step_progress(f"Loading {name}") as progress:
        return load_model(name, adapter=adapter, device=device, dtype=dtype, threads=threads, progress=progress)


def open_model_or_server(
    name: str,
    language: str,
    *,
    adapter: Path | None,
    device: str | None,
    dtype: str | None,
    threads: int | None,
    allow_download: bool = False,
    insecure: bool = False,
) -> LanguageModel | RemoteScorer:
    """The loaded model, or a scorer for the server at an address; `--adapter` then names the tokenizer's model."""
    from fewshot_llm.models.trust import is_address
    from fewshot_llm.scoring.remote import connect

    if is_address(name):
        folder = None if adapter is None else str(adapter)
        return connect(name, folder, allow_download=allow_download, insecure=insecure)
    return open_model(name, language, adapter=adapter, device=device, dtype=dtype, threads=threads)


def make_classifier(
    described: Task,
    examples: SupportSet,
    *,
    lang: str,
    model: str,
    adapter: Path | None,
    device: str | None,
    dtype: str | None,
    threads: int | None,
    selection: SelectionName,
    calibration: CalibrationName,
    allow_download: bool = False,
    insecure: bool = False,
    **settings: Any,
) -> FewShotClassifier:
    """A classifier as the options describe it, its model loaded, not fitted.

    Args:
        described: the task.
        examples: the labelled rows; they tell the language where `lang` is `auto`.
        lang: as the option of that name, like all that follow.
        model: likewise; may be a server's address.
        adapter: likewise.
        device: likewise.
        dtype: likewise.
        threads: likewise.
        selection: likewise.
        calibration: likewise.
        allow_download: likewise.
        insecure: likewise.
        **settings: any other parameter of `FewShotClassifier`.
    """
    from fewshot_llm.estimators.assemble import make_language
    from fewshot_llm.estimators.classifier import FewShotClassifier

    language = make_language(lang, described, examples)
    loaded = open_model_or_server(
        model,
        language,
        adapter=adapter,
        device=device,
        dtype=dtype,
        threads=threads,
        allow_download=allow_download,
        insecure=insecure,
    )
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
    from fewshot_llm.models.embedding import MeanHiddenState
    from fewshot_llm.models.language_model import LanguageModel
    from fewshot_llm.prompting import Balanced, Diverse, Nearest, NearestHidden, RandomOrder

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
    from fewshot_llm.calibration import Batch, Contextual, OutOfFold, Uncalibrated

    match name:
        case "out-of-fold":
            return OutOfFold()
        case "contextual":
            return Contextual()
        case "batch":
            return Batch()
        case "none":
            return Uncalibrated()


def take_way(name: WayName) -> Way:
    """The way of asking about candidates of that name."""
    from fewshot_llm.estimators.choice_ways import ByLetter, ByPmi, ByTitle, ByYesNo

    match name:
        case "pmi":
            return ByPmi()
        case "title":
            return ByTitle()
        case "yes-no":
            return ByYesNo()
        case "letter":
            return ByLetter()
