"""A fitted classifier as a folder: what was decided, never code and never the base model's weights.

classifier.json   parameters, task, calibrations, model, versions; written last, with the other files' SHA-256
support.jsonl     the support rows, in order
template.jinja    the template's text
adapter/          the LoRA adapter, where there is one
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter

from fewshot_llm.calibration import Calibration
from fewshot_llm.errors import ModelError, readable_record
from fewshot_llm.estimators.adapter_folder import is_adapter_folder, load_tuned
from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.estimators.assemble import ModelLike, assemble, make_scorer
from fewshot_llm.estimators.inputs import label_name
from fewshot_llm.estimators.parts import (
    defence_record,
    layout_record,
    model_record,
    restore_selection,
    selection_record,
)
from fewshot_llm.files import atomic_write_json, atomic_write_text, read_rows, sha256_file, write_rows
from fewshot_llm.models.trust import RecordedModel
from fewshot_llm.normalisation import NormalisationName
from fewshot_llm.prompting.defence import DefenceName
from fewshot_llm.prompting.template import Template
from fewshot_llm.risk_guard import FittedGuard
from fewshot_llm.scoring.base import Scorer
from fewshot_llm.support import Example, SupportSet
from fewshot_llm.task import Task
from fewshot_llm.tuning.folder import whole_folder
from fewshot_llm.tuning.store import installed_versions

if TYPE_CHECKING:
    from fewshot_llm.estimators.classifier import FewShotClassifier

__all__ = ["RECORD", "load_any", "load_classifier", "save_any", "save_classifier"]

RECORD, SUPPORT, TEMPLATE, ADAPTER = "classifier.json", "support.jsonl", "template.jinja", "adapter"
DECISION = "decision.json"


class _Record(BaseModel):
    """What `classifier.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    task: dict[str, Any]
    labels: tuple[str, ...]
    classes: tuple[str | int | float | bool, ...]
    language: str
    template: str
    template_version: int
    shots: int
    selection: dict[str, Any]
    normalisation: NormalisationName
    layout: Literal["plain", "chat"]
    seed: int
    cut_long_text: bool
    defence: DefenceName = "none"
    calibrations: tuple[dict[str, Any], ...]
    model: dict[str, str]
    prompt_fingerprint: str
    support_fingerprint: str
    guard: dict[str, Any] | None = None
    files: dict[str, str]
    versions: dict[str, str]


def save_classifier(classifier: FewShotClassifier, folder: Path, overwrite: bool) -> None:
    """Write a fitted classifier's folder, all of it or nothing.

    Raises:
        ModelError: the folder holds something else, or a classifier while `overwrite` is false; or a part of the
            classifier is an object that cannot be named in JSON.
    """
    _require_known_files(folder)
    inference = classifier.answerer_.inference
    builder = inference.builder
    if not isinstance(classifier.normalisation, str):
        raise ModelError("Only the normalisations sum, mean and pmi can be saved by name; this one is an object.")
    with whole_folder(folder, owned=RECORD, overwrite=overwrite) as partial:
        write_rows(partial / SUPPORT, [{**row.fields, "label": row.label} for row in inference.support])
        atomic_write_text(partial / TEMPLATE, builder.template.source)
        if classifier.adapter is not None:
            shutil.copytree(classifier.adapter, partial / ADAPTER)
        record = _Record(
            task=builder.task.model_dump(mode="json", exclude={"folder"}),
            labels=builder.labels,
            classes=tuple(classifier.classes_.tolist()),
            language=builder.language,
            template=builder.template.name,
            template_version=builder.template.version,
            shots=builder.shots,
            selection=selection_record(builder.selection),
            normalisation=classifier.normalisation,
            layout=layout_record(builder.layout),
            seed=builder.seed,
            cut_long_text=builder.cut_long_text,
            defence=defence_record(builder.defence),
            calibrations=tuple(asdict(calibration) for calibration in classifier.calibrations_),
            model=model_record(inference.scorer),
            prompt_fingerprint=builder.fingerprint,
            support_fingerprint=inference.support.fingerprint,
            guard=asdict(classifier.guard_) if hasattr(classifier, "guard_") else None,
            files={name: sha256_file(partial / name) for name in (SUPPORT, TEMPLATE)},
            versions=installed_versions(),
        )
        atomic_write_json(partial / RECORD, record.model_dump(mode="json"))


def save_any(classifier: FewShotClassifier, folder: Path, overwrite: bool) -> None:
    """Write a classifier's folder, or, where an escalation chose LoRA, an adapter's; see `FewShotClassifier.save`."""
    if hasattr(classifier, "climbed_"):
        if hasattr(classifier, "guard_"):
            raise ModelError(
                "What an escalation decided is saved without the guard. Remove it (guard=None) before saving, and put "
                "it on again after loading: guard_classifier(classifier, Guard(…, calibration=rows))."
            )
        from fewshot_llm.tuning.tune import save_climbed

        save_climbed(classifier.climbed_, folder, overwrite=overwrite)
    else:
        save_classifier(classifier, folder, overwrite)


def load_any(
    kind: type[FewShotClassifier],
    folder: Path,
    model: ModelLike | None,
    device: str | None,
    dtype: str | None,
    allow_base_mismatch: bool,
    allow_download: bool = False,
    insecure: bool = False,
) -> FewShotClassifier:
    """Read a classifier's or an adapter's folder, with the decision that led to it where there is one."""
    load = load_tuned if is_adapter_folder(folder) else load_classifier
    classifier = load(kind, folder, model, device, dtype, allow_base_mismatch, allow_download, insecure)
    if (folder / DECISION).is_file():
        from fewshot_llm.escalation import Decision

        with readable_record(folder / DECISION, ModelError):
            classifier.decision_ = Decision.model_validate_json((folder / DECISION).read_text(encoding="utf-8"))
    return classifier


def load_classifier(
    kind: type[FewShotClassifier],
    folder: Path,
    model: ModelLike | None,
    device: str | None,
    dtype: str | None,
    allow_base_mismatch: bool,
    allow_download: bool = False,
    insecure: bool = False,
) -> FewShotClassifier:
    """Read what `save_classifier` wrote; see `FewShotClassifier.load`."""
    record = _read(folder)
    chosen: ModelLike
    if model is not None:
        chosen = model
    elif "name" in record.model:
        chosen = RecordedModel(record.model["name"], str(folder / RECORD), allow_download)
    else:
        raise ModelError(
            f"The classifier in {folder} was fitted with a server or a scorer of your own. Give it again: "
            "--model ADDRESS, or load(…, model=address or scorer)."
        )
    named = isinstance(chosen, str | os.PathLike | RecordedModel)
    adapter = folder / ADAPTER if named and (folder / ADAPTER).is_dir() else None
    scorer = make_scorer(
        chosen,
        record.language,
        adapter=adapter,
        device=device,
        dtype=dtype,
        allow_download=allow_download,
        insecure=insecure,
    )
    if not allow_base_mismatch:
        _require_same_model(folder, record.model, model_record(scorer))

    with readable_record(folder / RECORD, ModelError):
        return _restored(kind, folder, record, chosen, scorer, {"adapter": adapter, "device": device, "dtype": dtype})


def _restored(
    kind: type[FewShotClassifier],
    folder: Path,
    record: _Record,
    chosen: ModelLike,
    scorer: Scorer,
    running: dict[str, Any],
) -> FewShotClassifier:
    """The classifier that a record describes, on a scorer that is loaded."""
    source = (folder / TEMPLATE).read_text(encoding="utf-8")
    template = Template(record.template, record.language, record.template_version, source)
    task = Task(**record.task)
    classifier = kind(
        task,
        chosen,
        shots=record.shots,
        selection=restore_selection(record.selection, scorer),
        normalisation=record.normalisation,
        language=record.language,
        template=template,
        layout=record.layout,
        permutations=len(record.calibrations),
        seed=record.seed,
        cut_long_text=record.cut_long_text,
        defence=record.defence,
        **running,
    )
    rows = [dict(row) for row in read_rows(folder / SUPPORT)]
    support = SupportSet(tuple(Example(row, row.pop("label")) for row in rows), record.labels)
    calibrations = tuple(
        Calibration(tuple(saved["bias"]), saved["temperature"], saved["method"]) for saved in record.calibrations
    )
    _require_label_each(record, calibrations)
    classifier.answerer_ = Answerer(assemble(classifier, support, scorer), calibrations)
    classifier.classes_ = np.array(record.classes)
    if record.guard is not None:
        classifier.guard_ = TypeAdapter(FittedGuard).validate_python(record.guard)
    return classifier


def _require_label_each(record: _Record, calibrations: Sequence[Calibration]) -> None:
    if not calibrations or any(len(one.bias) != len(record.labels) for one in calibrations):
        raise ValueError("a calibration needs a bias for each label")
    if sorted(map(label_name, record.classes)) != sorted(record.labels):
        raise ValueError("the classes are not the labels")


def _read(folder: Path) -> _Record:
    if not (folder / RECORD).is_file():
        raise ModelError(f"There is no classifier in {folder}: it has no {RECORD}. Give a folder that save() wrote.")
    with readable_record(folder / RECORD, ModelError):
        record = _Record.model_validate_json((folder / RECORD).read_text(encoding="utf-8"))
    for name, digest in record.files.items():
        if not (folder / name).is_file() or sha256_file(folder / name) != digest:
            raise ModelError(
                f"{folder / name} is not the file that was saved with {RECORD}. Save the classifier again."
            )
    return record


def _require_same_model(folder: Path, saved: dict[str, str], loaded: dict[str, str]) -> None:
    # Another number format is another device's choice; other weights are another model.
    for key in ("sha256", "adapter", "fingerprint"):
        if saved.get(key, "") != loaded.get(key, ""):
            raise ModelError(
                f"The classifier in {folder} was fitted with {saved}, and this model is {loaded}: its calibration does "
                "not fit. Give the recorded model, fit again, or allow it (allow_base_mismatch=True)."
            )


def _require_known_files(folder: Path) -> None:
    """A folder that is replaced is removed, so it may hold nothing of the user's."""
    foreign = (
        {entry.name for entry in folder.iterdir()} - {RECORD, SUPPORT, TEMPLATE, ADAPTER, DECISION}
        if folder.is_dir()
        else ()
    )
    if foreign:
        raise ModelError(f"{folder} holds {', '.join(sorted(foreign))} besides a classifier. Choose another folder.")
