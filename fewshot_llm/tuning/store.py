"""Adapter folders: peft's own two files, and everything else that an answer depends on.

adapter_config.json         peft's settings
adapter_model.safetensors   the weights; never a pickle
fewshot.json                task, template, label words, calibration, base model, evidence, versions: `AdapterRecord`
support.jsonl               the support rows, where prompts show demonstrations
README.md                   a model card

peft, transformers, vLLM and others read the first two and ignore the rest.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fewshot_llm.calibration import Calibration
from fewshot_llm.errors import AdapterError, readable_record
from fewshot_llm.files import atomic_write, atomic_write_json, atomic_write_text, sha256_file, write_rows
from fewshot_llm.models.adapter import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.models.trust import RecordedModel
from fewshot_llm.prompting.defence import DefenceName
from fewshot_llm.support import SupportSet
from fewshot_llm.task import Task
from fewshot_llm.tuning.card import model_card
from fewshot_llm.tuning.folder import whole_folder
from fewshot_llm.tuning.lora import Adapter
from fewshot_llm.tuning.recipe import Recipe

__all__ = [
    "RECORD",
    "SUPPORT",
    "AdapterRecord",
    "BaseRecord",
    "PromptRecord",
    "check_base",
    "check_task",
    "installed_versions",
    "read_adapter_folder",
    "save_adapter_folder",
]

RECORD, SUPPORT, CARD = "fewshot.json", "support.jsonl", "README.md"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaseRecord(_Frozen):
    """The base model an adapter was trained on."""

    name: str
    revision: str
    sha256: str
    dtype: str


class PromptRecord(_Frozen):
    """How prompts are made, in training as in serving."""

    task: dict[str, Any]
    language: str
    template: str
    template_version: int
    template_source: str
    layout: Literal["plain", "chat"]
    labels: tuple[str, ...]
    label_words: dict[str, str]
    demonstrations: int
    selection: dict[str, Any]
    seed: int
    defence: DefenceName = "none"
    fingerprint: str


class AdapterRecord(_Frozen):
    """What `fewshot.json` holds.

    Attributes:
        prompt: how prompts are made.
        calibration: bias per label, temperature and method.
        base: the base model.
        support_fingerprint: SHA-256 of the support rows it was trained on.
        support_rows: how many rows per label.
        recipe: LoRA settings.
        losses: training loss of each epoch, nats per row.
        decision: why there is an adapter at all; None where it was trained without asking.
        files: SHA-256 of the other files.
        versions: of everything that may change a figure.
    """

    format: Literal[1] = 1
    prompt: PromptRecord
    calibration: dict[str, Any]
    base: BaseRecord
    support_fingerprint: str
    support_rows: dict[str, int]
    recipe: Recipe
    losses: tuple[float, ...]
    decision: dict[str, Any] | None = None
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

    @property
    def calibrated(self) -> Calibration:
        """The calibration."""
        return Calibration(tuple(self.calibration["bias"]), self.calibration["temperature"], self.calibration["method"])


def installed_versions() -> dict[str, str]:
    """Versions of Python and the packages that may change a figure."""
    found = {"python": platform.python_version()}
    for package in ("fewshot-llm", "torch", "transformers", "peft", "accelerate", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def save_adapter_folder(
    folder: Path, adapter: Adapter, record: AdapterRecord, support: SupportSet, *, overwrite: bool = False
) -> AdapterRecord:
    """Write an adapter folder, all of it or nothing.

    Args:
        folder: where to.
        adapter: the weights.
        record: what belongs to them; `files` and `versions` are filled in here.
        support: the support rows; they are written only where prompts show demonstrations.
        overwrite: replace an adapter folder that is there.

    Returns:
        The record as written.

    Raises:
        AdapterError: the folder is in use.
        OSError: the disk is full, or there is no permission; nothing is left behind.
    """
    from safetensors.torch import save_file

    with whole_folder(folder, owned=RECORD, overwrite=overwrite) as partial:
        with atomic_write(partial / ADAPTER_WEIGHTS) as path:
            save_file(dict(adapter.weights), path, metadata={"format": "pt"})
        atomic_write_json(partial / ADAPTER_CONFIG, _peft_config(adapter.config, record.base))
        names = [ADAPTER_CONFIG, ADAPTER_WEIGHTS]
        if record.prompt.demonstrations:
            write_rows(partial / SUPPORT, [{**row.fields, "label": row.label} for row in support])
            names.append(SUPPORT)
        written = record.model_copy(
            update={
                "files": {name: sha256_file(partial / name) for name in names},
                "versions": installed_versions(),
            }
        )
        atomic_write_text(partial / CARD, model_card(written.model_dump(mode="json")))
        atomic_write_json(partial / RECORD, written.model_dump(mode="json"))
    return written


def _peft_config(config: Mapping[str, Any], base: BaseRecord) -> dict[str, Any]:
    from peft import LoraConfig

    settings = LoraConfig(
        **config, base_model_name_or_path=base.name, revision=base.revision or None, inference_mode=True
    ).to_dict()
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=lambda value: sorted(map(str, value))))
    return plain


def read_adapter_folder(folder: Path) -> AdapterRecord:
    """Read `fewshot.json` and check that the folder is whole.

    Raises:
        AdapterError: no folder, a file missing or changed since it was written, or pickled weights.
    """
    if not folder.is_dir():
        raise AdapterError(f"There is no adapter folder {folder}. A trained adapter is a folder; give its path.")
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise AdapterError(
            f"The folder {folder} holds {', '.join(pickles)}: pickled weights can run code when they are read, so the "
            "folder is refused. Save the adapter as safetensors, or remove the file if it does not belong there."
        )
    if not (folder / RECORD).is_file():
        raise AdapterError(
            f"The folder {folder} has no {RECORD}: it was not written by this toolkit, or only half. Train again, or "
            "give the folder to peft or a server, which need less."
        )
    with readable_record(folder / RECORD, AdapterError):
        record = AdapterRecord.model_validate_json((folder / RECORD).read_text(encoding="utf-8"))
        if len(record.calibrated.bias) != len(record.task.labels):
            raise ValueError("the calibration needs a bias for each label")
    for name, digest in record.files.items():
        if not (folder / name).is_file():
            raise AdapterError(f"The adapter folder {folder} has no {name}; copy it again as a whole.")
        if sha256_file(folder / name) != digest:
            raise AdapterError(
                f"{folder / name} is not the file that was saved with {RECORD}: half copied, or changed since. Copy "
                "the whole folder again, or train again."
            )
    return record


def check_base(record: AdapterRecord, model: LanguageModel, *, allow_mismatch: bool = False) -> None:
    """Refuse a base model other than the one the adapter was trained on.

    Raises:
        AdapterError: its weights have another SHA-256.
    """
    if allow_mismatch or record.base.sha256 == model.sha256:
        return
    raise AdapterError(
        f"The adapter was trained on {record.base.name} (weights {record.base.sha256[:12] or 'unknown'}), and this is "
        f"{model.name} (weights {model.sha256[:12] or 'unknown'}): its weights and its calibration do not fit. Use the "
        "recorded base model, train again on this one, or allow it with --allow-base-mismatch."
    )


def check_task(record: AdapterRecord, task: Task) -> None:
    """Refuse a task other than the one the adapter was trained for.

    Raises:
        AdapterError: another name or other labels.
    """
    trained = record.task
    if task.name != trained.name:
        raise AdapterError(
            f"The adapter was trained for the task {trained.name}, and {task.name} is asked for. Give the adapter's "
            "own task, or train one for this task."
        )
    if task.labels and task.labels != trained.labels:
        raise AdapterError(
            f"The adapter tells apart {', '.join(trained.labels)}; this task has the labels {', '.join(task.labels)}. "
            "Use the labels it was trained for, or train again."
        )
