"""What stands in a saved folder: the table of its files, and `fewshot.json` as a checked record."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fewshot_llm.data.task import Task
from fewshot_llm.errors import ArtifactError, readable_record
from fewshot_llm.files import sha256_file
from fewshot_llm.models.trust import RecordedModel
from fewshot_llm.predictors.normalisation import NormalisationName
from fewshot_llm.prompting.defence import DefenceName
from fewshot_llm.stats.calibration import Calibration
from fewshot_llm.training.recipe import Recipe

__all__ = [
    "ADAPTER_FILES",
    "CARD",
    "DECISION",
    "FILES",
    "RECORD",
    "SUPPORT",
    "TEMPLATE",
    "ArtifactRecord",
    "BaseRecord",
    "CalibrationRecord",
    "PromptRecord",
    "TrainingRecord",
    "check_task",
    "installed_versions",
    "read_record",
]

RECORD, DECISION, SUPPORT, TEMPLATE, CARD = (
    "fewshot.json",
    "decision.json",
    "support.jsonl",
    "template.jinja",
    "README.md",
)
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")

FILES: Mapping[str, str] = {
    RECORD: "task, prompt, calibration, base model, policy, versions, and the SHA-256 of every other file",
    DECISION: "the ladder's decision with every number behind it, where a ladder was climbed",
    SUPPORT: "the support rows, where an answer still needs them",
    TEMPLATE: "the template's text",
    ADAPTER_FILES[0]: "peft's settings of a LoRA adapter, where there is one",
    ADAPTER_FILES[1]: "its weights",
    CARD: "a model card",
}
"""Everything that may stand in a saved folder: data only, never code, never pickle."""

FORMAT = 2
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
OLD_RECORD = "classifier.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseRecord(_Frozen):
    """The model that answers, without its adapter.

    Attributes:
        name: an embedded model's name, a folder or a hub id; empty for a scorer of the user's own.
        revision: of a hub id.
        sha256: of the weights.
        dtype: number format in which it ran.
        fingerprint: names a scorer that has no model in this process.
    """

    name: str = ""
    revision: str = ""
    sha256: str = ""
    dtype: str = ""
    fingerprint: str = ""


class PromptRecord(_Frozen):
    """How prompts are made, in training as in serving, and which score is read."""

    task: dict[str, Any]
    language: str
    template: str
    template_version: int
    layout: Literal["plain", "chat"]
    labels: tuple[str, ...]
    label_words: dict[str, str]
    shots: int
    selection: dict[str, Any]
    normalisation: NormalisationName
    seed: int
    cut_long_text: bool = False
    defence: DefenceName = "none"
    fingerprint: str


class CalibrationRecord(_Frozen):
    """A `Calibration` as JSON holds it."""

    bias: tuple[float, ...]
    temperature: float
    method: str

    @property
    def calibration(self) -> Calibration:
        """The calibration itself."""
        return Calibration(self.bias, self.temperature, self.method)


class TrainingRecord(_Frozen):
    """How the adapter came about.

    Attributes:
        recipe: LoRA settings.
        losses: training loss of each epoch, nats per row.
        support_fingerprint: SHA-256 of the rows it was trained on.
    """

    recipe: Recipe
    losses: tuple[float, ...]
    support_fingerprint: str


class ArtifactRecord(_Frozen):
    """What `fewshot.json` holds.

    Attributes:
        prompt: how prompts are made.
        classes: the labels as the user gave them, sorted.
        calibrations: one per draw of demonstrations.
        base: the model.
        adapter: SHA-256 of an adapter that came from elsewhere; empty for one that was trained here.
        training: how the adapter came about; None without one, or where nothing is known of it.
        support_fingerprint: SHA-256 of the support rows.
        support_rows: how many rows per label.
        policy: error contract, costs and out of scope as they were fitted; None without.
        files: SHA-256 of the other files.
        versions: of everything that may change a figure.
    """

    format: Literal[2] = 2
    prompt: PromptRecord
    classes: tuple[str | bool | int | float, ...]
    calibrations: tuple[CalibrationRecord, ...]
    base: BaseRecord
    adapter: str = ""
    training: TrainingRecord | None = None
    support_fingerprint: str
    support_rows: dict[str, int]
    policy: dict[str, Any] | None = None
    files: dict[str, str] = {}
    versions: dict[str, str] = {}

    def recorded_base(self, folder: Path, *, allow_download: bool = False) -> RecordedModel:
        """The base model that the record in `folder` names.

        Raises:
            ModelError: it names an address.
        """
        return RecordedModel(self.base.name, str(folder / RECORD), allow_download)

    @property
    def task(self) -> Task:
        """The task, with its labels and label words."""
        return Task(**self.prompt.task)


def installed_versions() -> dict[str, str]:
    """Versions of Python and the packages that may change a figure."""
    found = {"python": platform.python_version()}
    for package in ("fewshot-llm", "torch", "transformers", "peft", "accelerate", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def read_record(folder: Path) -> ArtifactRecord:
    """Read `fewshot.json` and check that the folder is whole.

    Raises:
        ArtifactError: no folder, one of an earlier format, a file missing or changed since it was written, or pickled
            weights.
    """
    if not folder.is_dir():
        raise ArtifactError(f"There is no folder {folder}. What was fitted is a folder; give its path.")
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise ArtifactError(
            f"The folder {folder} holds {', '.join(pickles)}: pickled weights can run code when they are read, so the "
            "folder is refused. Save the adapter as safetensors, or remove the file if it does not belong there."
        )
    if (folder / OLD_RECORD).is_file():
        raise ArtifactError(
            f"The folder {folder} has a {OLD_RECORD}: an earlier version of fewshot-llm wrote it. Fit again on the "
            "same rows and save."
        )
    if not (folder / RECORD).is_file():
        raise ArtifactError(
            f"The folder {folder} has no {RECORD}: it was not written by this toolkit, or only half. Fit again, or "
            "give the folder to peft or a server, which need less."
        )
    with readable_record(folder / RECORD, ArtifactError):
        told = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if told.get("format") == 1:
            raise ArtifactError(
                f"{folder / RECORD} was written by an earlier version of fewshot-llm. Fit again on the same rows."
            )
        record = ArtifactRecord.model_validate(told)
    for name, digest in record.files.items():
        if name not in FILES:
            raise ArtifactError(f"{folder / RECORD} names a file {name!r}, which has no place in such a folder.")
        if not (folder / name).is_file():
            raise ArtifactError(f"The folder {folder} has no {name}; copy it again as a whole.")
        if sha256_file(folder / name) != digest:
            raise ArtifactError(
                f"{folder / name} is not the file that was saved with {RECORD}: half copied, or changed since. Copy "
                "the whole folder again, or fit again."
            )
    return record


def check_task(record: ArtifactRecord, task: Task) -> None:
    """Refuse a task other than the one that was fitted.

    Raises:
        ArtifactError: another name or other labels.
    """
    fitted = record.task
    if task.name != fitted.name:
        raise ArtifactError(
            f"The folder was fitted for the task {fitted.name}, and {task.name} is asked for. Give the folder's own "
            "task, or fit one for this task."
        )
    if task.labels and task.labels != fitted.labels:
        raise ArtifactError(
            f"The folder tells apart {', '.join(fitted.labels)}; this task has the labels {', '.join(task.labels)}. "
            "Use the labels it was fitted for, or fit again."
        )
