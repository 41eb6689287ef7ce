"""What was fitted or trained before: an adapter's or a saved classifier's folder in place of labelled rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from fewshot_llm.cli.options import DATA, MODEL

if TYPE_CHECKING:
    from fewshot_llm.cli.parts import ModelOptions
    from fewshot_llm.data.task import Task
    from fewshot_llm.estimators.classifier import FewShotClassifier

__all__ = ["AdapterFolder", "SupportFile", "open_saved"]

SupportFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--support",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="The few labelled rows: JSONL, JSON, CSV, TSV, Excel or Parquet by ending. Not needed with --adapter, "
        "whose folder records them.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
AdapterFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--adapter",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="A trained adapter's or a saved classifier's folder; with --support, LoRA weights to put on the model.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]


def open_saved(
    task: str,
    folder: Path | None,
    model: ModelOptions,
) -> tuple[Task, FewShotClassifier]:
    """The recorded task and the classifier that answers as the folder says.

    Args:
        task: as the user named it.
        folder: of the adapter or classifier.
        model: in place of the recorded one; `auto` takes the recorded, and the folder is its adapter in any case.

    Raises:
        typer.BadParameter: no folder was given.
        TaskError: it was made for another task.
    """
    from fewshot_llm.cli.progress import waiting
    from fewshot_llm.data.task import load_task
    from fewshot_llm.errors import TaskError
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.models.device import limit_threads

    if folder is None:
        raise typer.BadParameter("Give labelled rows (--support FILE) or a trained --adapter DIR.")
    with waiting(f"Loading {folder.name}"):
        limit_threads(model.threads)
        classifier = FewShotClassifier.load(
            folder,
            model=None if model.name == "auto" else model.name,
            device=model.device,
            dtype=model.dtype,
            allow_download=model.allow_download,
            insecure=model.insecure,
        )
    recorded = classifier.predictor_.inference.builder.task
    if recorded.name != (wanted := load_task(task).name):
        raise TaskError(f"{folder} was made for the task {recorded.name}, not {wanted}. Name the task it was made for.")
    return recorded, classifier
