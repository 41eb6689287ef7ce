"""A fitted classifier as a folder: what was decided, never code and never the base model's weights.

classifier.json   parameters, task, calibrations, model, versions; written last, with the other files' SHA-256
support.jsonl     the support rows, in order
template.jinja    the template's text
adapter/          the LoRA adapter, where there is one
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from fewshot_llm.calibration import Calibration
from fewshot_llm.errors import ModelError
from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.estimators.assemble import ModelLike, make_builder, make_scorer
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.estimators.parts import layout_record, model_record, restore_selection, selection_record
from fewshot_llm.files import atomic_write_json, atomic_write_text, read_rows, sha256_file, write_rows
from fewshot_llm.normalisation import NormalisationName, as_normalisation
from fewshot_llm.prompting.template import Template
from fewshot_llm.support import Example, SupportSet
from fewshot_llm.task import Task

if TYPE_CHECKING:
    from fewshot_llm.estimators.classifier import FewShotClassifier

__all__ = ["load_classifier", "save_classifier", "versions"]

RECORD, SUPPORT, TEMPLATE, ADAPTER = "classifier.json", "support.jsonl", "template.jinja", "adapter"


class _Record(BaseModel):
    """What `classifier.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    task: dict[str, Any]
    labels: tuple[str, ...]
    classes: tuple[str | int | float | bool, ...]
    language: str
    template: str
    shots: int
    selection: dict[str, Any]
    normalisation: NormalisationName
    layout: Literal["plain", "chat"]
    seed: int
    cut_long_text: bool
    calibrations: tuple[dict[str, Any], ...]
    model: dict[str, str]
    prompt_fingerprint: str
    support_fingerprint: str
    files: dict[str, str]
    versions: dict[str, str]


def versions() -> dict[str, str]:
    """Versions of everything that may change a figure."""
    found = {"python": platform.python_version()}
    for package in ("fewshot-llm", "torch", "transformers", "peft", "scikit-learn", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def save_classifier(classifier: FewShotClassifier, folder: Path, overwrite: bool) -> None:
    """Write a fitted classifier's folder, all of it or nothing.

    Raises:
        ModelError: the folder holds something else, or a classifier while `overwrite` is false; or a part of the
            classifier is an object that cannot be named in JSON.
    """
    _require_free(folder, overwrite)
    inference = classifier.answerer_.inference
    builder = inference.builder
    if not isinstance(classifier.normalisation, str):
        raise ModelError("Only the normalisations sum, mean and pmi can be saved by name; this one is an object.")
    temporary = _beside(folder)
    temporary.mkdir(parents=True)
    try:
        write_rows(temporary / SUPPORT, [{**row.fields, "label": row.label} for row in inference.support])
        atomic_write_text(temporary / TEMPLATE, builder.template.source)
        if classifier.adapter is not None:
            shutil.copytree(classifier.adapter, temporary / ADAPTER)
        record = _Record(
            task=builder.task.model_dump(mode="json", exclude={"folder"}),
            labels=builder.labels,
            classes=tuple(classifier.classes_.tolist()),
            language=builder.language,
            template=builder.template.name,
            shots=builder.shots,
            selection=selection_record(builder.selection),
            normalisation=classifier.normalisation,
            layout=layout_record(builder.layout),
            seed=builder.seed,
            cut_long_text=builder.cut_long_text,
            calibrations=tuple(asdict(calibration) for calibration in classifier.calibrations_),
            model=model_record(inference.scorer),
            prompt_fingerprint=builder.fingerprint,
            support_fingerprint=inference.support.fingerprint,
            files={name: sha256_file(temporary / name) for name in (SUPPORT, TEMPLATE)},
            versions=versions(),
        )
        atomic_write_json(temporary / RECORD, record.model_dump(mode="json"))
        _swap(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_classifier(
    kind: type[FewShotClassifier],
    folder: Path,
    model: ModelLike | None,
    device: str | None,
    dtype: str | None,
    allow_base_mismatch: bool,
) -> FewShotClassifier:
    """Read what `save_classifier` wrote; see `FewShotClassifier.load`."""
    record = _read(folder)
    if model is None and "name" not in record.model:
        raise ModelError(
            f"The classifier in {folder} was fitted with a scorer of your own. Give it to load(…, model=scorer)."
        )
    adapter = folder / ADAPTER if model is None and (folder / ADAPTER).is_dir() else None
    chosen = record.model["name"] if model is None else model
    scorer = make_scorer(chosen, record.language, adapter=adapter, device=device, dtype=dtype)
    if not allow_base_mismatch:
        _require_same_model(folder, record.model, model_record(scorer))

    language, _, number = record.template.rpartition(".v")
    template = Template(
        name=record.template,
        language=record.language,
        version=int(number) if language and number.isdigit() else 1,
        source=(folder / TEMPLATE).read_text(encoding="utf-8"),
    )
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
        adapter=adapter,
        device=device,
        dtype=dtype,
        cut_long_text=record.cut_long_text,
    )
    rows = [dict(row) for row in read_rows(folder / SUPPORT)]
    support = SupportSet(tuple(Example(row, row.pop("label")) for row in rows), record.labels)
    inference = Inference(
        make_builder(
            task,
            record.language,
            scorer,
            template=template,
            selection=classifier.selection,
            shots=record.shots,
            seed=record.seed,
            layout=record.layout,
            cut_long_text=record.cut_long_text,
        ),
        scorer,
        support,
        as_normalisation(record.normalisation),
    )
    calibrations = tuple(
        Calibration(tuple(saved["bias"]), saved["temperature"], saved["method"]) for saved in record.calibrations
    )
    classifier.answerer_ = Answerer(inference, calibrations)
    classifier.classes_ = np.array(record.classes)
    return classifier


def _read(folder: Path) -> _Record:
    if not (folder / RECORD).is_file():
        raise ModelError(f"There is no classifier in {folder}: it has no {RECORD}. Give a folder that save() wrote.")
    try:
        record = _Record.model_validate_json((folder / RECORD).read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise ModelError(f"{folder / RECORD} is damaged or of another version: {error}.") from error
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


def _require_free(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    known = {RECORD, SUPPORT, TEMPLATE, ADAPTER}
    if not folder.is_dir() or not (folder / RECORD).is_file() or {entry.name for entry in folder.iterdir()} - known:
        raise ModelError(f"{folder} holds something other than a saved classifier. Choose another folder.")
    if not overwrite:
        raise ModelError(f"{folder} already holds a classifier. Choose another folder, or pass overwrite=True.")


def _swap(new: Path, folder: Path) -> None:
    """Put the new folder in the old one's place; a failure leaves one of them whole."""
    old = _beside(folder)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def _beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
