"""What was fitted, as a folder, and back: one writer and one loader for every predictor.

`record.FILES` says what may stand in it. Nothing in it is code, the base model is only named, and nothing that is
recorded there makes the program contact anybody.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from fewshot_llm.artifacts.card import model_card
from fewshot_llm.artifacts.parts import (
    defence_record,
    layout_record,
    model_record,
    normalisation_name,
    restore_selection,
    selection_record,
)
from fewshot_llm.artifacts.record import (
    ADAPTER_FILES,
    CARD,
    DECISION,
    FILES,
    RECORD,
    SUPPORT,
    TEMPLATE,
    ArtifactRecord,
    BaseRecord,
    CalibrationRecord,
    PromptRecord,
    TrainingRecord,
    installed_versions,
    read_record,
)
from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.example import label_name
from fewshot_llm.errors import AdapterError, ArtifactError, DataFileError, readable_record
from fewshot_llm.files import (
    atomic_write,
    atomic_write_json,
    atomic_write_text,
    read_rows,
    sha256_file,
    write_rows,
)
from fewshot_llm.files.atomic import atomic_folder
from fewshot_llm.ladder.decision import Decision
from fewshot_llm.ladder.rungs.lora import TunedPredictor
from fewshot_llm.models.trust import RecordedModel
from fewshot_llm.predictors.build import ModelLike, armed, make_builder, make_scorer
from fewshot_llm.predictors.normalisation import as_normalisation
from fewshot_llm.predictors.prompted import Inference, PromptedPredictor
from fewshot_llm.prompting.template import Template
from fewshot_llm.scoring.base import Scorer
from fewshot_llm.selective.policy import FittedPolicy

__all__ = [
    "Artifact",
    "is_artifact",
    "load_artifact",
    "read_decision",
    "recorded_calibration",
    "save_artifact",
    "trained_on",
]


@dataclass(frozen=True)
class Artifact:
    """Something fitted, with all that belongs to it.

    Attributes:
        predictor: gives the probabilities.
        classes: the labels as the user gave them, sorted.
        policy: which answers are kept back; None for none.
        decision: the ladder's, where one was climbed.
        adapter: folder of an adapter that is on the model and was not trained by `answerer`.
        model: by what name the model was found; None where it was given as an object.
    """

    predictor: PromptedPredictor
    classes: tuple[Any, ...]
    policy: FittedPolicy | None = None
    decision: Decision | None = None
    adapter: Path | None = None
    model: ModelLike | None = None


def is_artifact(folder: Path) -> bool:
    """Whether this toolkit wrote the folder."""
    return (folder / RECORD).is_file()


def save_artifact(artifact: Artifact, folder: Path, *, overwrite: bool = False) -> ArtifactRecord:
    """Write a folder, all of it or nothing.

    Support rows are written where an answer still needs them: demonstrations, what is out of scope, and explanations
    of a prompt without a trained adapter. A trained adapter that shows none keeps them to itself.

    Args:
        artifact: what was fitted.
        folder: where to; made if it is not there.
        overwrite: replace a folder that this function wrote.

    Returns:
        The record as written.

    Raises:
        ArtifactError: the folder holds something else, or a part of what was fitted is an object of the user's own.
        AdapterError: the folder is in use.
        OSError: the disk is full, or there is no permission; nothing is left behind.
    """
    _require_known_files(folder)
    inference = artifact.predictor.inference
    record = ArtifactRecord(
        prompt=_prompt_record(inference),
        classes=artifact.classes,
        calibrations=tuple(CalibrationRecord(**asdict(one)) for one in artifact.predictor.calibrations),
        base=_base_record(inference),
        adapter=""
        if isinstance(artifact.predictor, TunedPredictor)
        else model_record(inference.scorer).get("adapter", ""),
        training=_training_record(artifact),
        support_fingerprint=inference.support.fingerprint,
        support_rows={label: len(rows) for label, rows in inference.support.by_label().items()},
        policy=None if artifact.policy is None else asdict(artifact.policy),
        versions=installed_versions(),
    )
    with atomic_folder(folder, owned=RECORD, overwrite=overwrite) as partial:
        atomic_write_text(partial / TEMPLATE, inference.builder.template.source)
        if _needs_rows(artifact):
            write_rows(partial / SUPPORT, [{**row.fields, "label": row.label} for row in inference.support])
        if artifact.decision is not None:
            atomic_write_json(partial / DECISION, artifact.decision.model_dump(mode="json"))
        _write_adapter(partial, artifact, record.base)
        plain = record.model_dump(mode="json")
        reasons = None if artifact.decision is None else (artifact.decision.reason, artifact.decision.reason_zh)
        atomic_write_text(partial / CARD, model_card(plain, reasons))
        files = {name: sha256_file(partial / name) for name in FILES if (partial / name).is_file() and name != CARD}
        record = record.model_copy(update={"files": files})
        atomic_write_json(partial / RECORD, record.model_dump(mode="json"))
    return record


def load_artifact(
    folder: Path,
    *,
    model: ModelLike | None = None,
    device: str | None = None,
    dtype: str | None = None,
    allow_base_mismatch: bool = False,
    allow_download: bool = False,
    insecure: bool = False,
) -> Artifact:
    """Read what `save_artifact` wrote; it answers as the saved one did, without fitting again.

    Args:
        folder: where it is.
        model: in place of the recorded one: a name or path, a model with the adapter on it, or a scorer.
        device: where to run.
        dtype: the weights' number format.
        allow_base_mismatch: accept a model with other weights; the calibration will not fit.
        allow_download: fetch the recorded model where it is not in the cache.
        insecure: allow that the key goes in clear to the server given as `model`.

    Raises:
        ArtifactError: the folder is not whole, or was fitted with another model.
        ModelError: the recorded model is not here, or is an address.
    """
    record = read_record(folder)
    if model is None and not record.base.name:
        raise ArtifactError(
            f"What is in {folder} was fitted with a server or a scorer of your own. Give it again: --model ADDRESS, or "
            "load(…, model=address or scorer)."
        )
    chosen: ModelLike = record.recorded_base(folder, allow_download=allow_download) if model is None else model
    has_adapter = (folder / ADAPTER_FILES[0]).is_file()
    adapter = folder if has_adapter and isinstance(chosen, str | os.PathLike | RecordedModel) else None
    scorer = make_scorer(
        chosen,
        record.prompt.language,
        adapter=adapter,
        device=device,
        dtype=dtype,
        allow_download=allow_download,
        insecure=insecure,
    )
    if not allow_base_mismatch:
        _require_same_model(folder, record, model_record(scorer))
    with readable_record(folder / RECORD, ArtifactError):
        predictor = _restored(folder, record, scorer)
        policy = None if record.policy is None else TypeAdapter(FittedPolicy).validate_python(record.policy)
    return Artifact(predictor, record.classes, policy, read_decision(folder), adapter, chosen)


def _restored(folder: Path, record: ArtifactRecord, scorer: Scorer) -> PromptedPredictor:
    """What a record describes, on a scorer that is loaded."""
    prompt = record.prompt
    source = (folder / TEMPLATE).read_text(encoding="utf-8")
    builder = make_builder(
        record.task,
        prompt.language,
        scorer,
        template=Template(prompt.template, prompt.language, prompt.template_version, source),
        selection=restore_selection(prompt.selection, scorer),
        shots=prompt.shots,
        seed=prompt.seed,
        layout=prompt.layout,
        cut_long_text=prompt.cut_long_text,
    )
    rows = [dict(row) for row in read_rows(folder / SUPPORT)] if SUPPORT in record.files else []
    support = SupportSet(tuple(Example(row, row.pop("label")) for row in rows), prompt.labels)
    inference = Inference(
        armed(builder, prompt.defence, support), scorer, support, as_normalisation(prompt.normalisation)
    )
    calibrations = tuple(one.calibration for one in record.calibrations)
    if not calibrations or any(len(one.bias) != len(prompt.labels) for one in calibrations):
        raise ValueError("a calibration needs a bias for each label")
    if sorted(map(label_name, record.classes)) != sorted(prompt.labels):
        raise ValueError("the classes are not the labels")
    return PromptedPredictor(inference, calibrations)


def read_decision(folder: Path) -> Decision | None:
    """The ladder's decision in a folder; None where there is none, as in one that another tool trained.

    Raises:
        DataFileError: the file is damaged.
    """
    path = folder / DECISION
    if not path.is_file():
        return None
    with readable_record(path, DataFileError):
        return Decision.model_validate_json(path.read_text(encoding="utf-8"))


def trained_on(adapter: str | os.PathLike[str] | None) -> str | None:
    """Fingerprint of the support set that an adapter was trained on; None without one, or where nothing is recorded.

    Raises:
        ArtifactError: the folder is damaged.
    """
    if adapter is None or not is_artifact(Path(adapter)):
        return None
    training = read_record(Path(adapter)).training
    return None if training is None else training.support_fingerprint


def recorded_calibration(adapter: str | os.PathLike[str], inference: Inference) -> CalibrationRecord | None:
    """The calibration an adapter was saved with, where it was trained on this very support set.

    Such rows are no evidence any more: the adapter has seen them. What was measured out of fold in training is.

    Returns:
        None where the folder says nothing, or the adapter was trained on another support set.

    Raises:
        AdapterError: it was trained on these rows with other prompts, so that no honest calibration is left.
    """
    folder = Path(adapter)
    if trained_on(folder) != inference.support.fingerprint:
        return None
    record = read_record(folder)
    if record.prompt.fingerprint != inference.builder.fingerprint:
        raise AdapterError(
            f"The adapter in {folder} was trained on these very rows, which can therefore not calibrate it, and with "
            "other prompts than these, so that its own calibration does not fit either. Use FewShotClassifier.load(…), "
            "which takes everything from the folder, or fit with other rows."
        )
    return record.calibrations[0]


def _prompt_record(inference: Inference) -> PromptRecord:
    builder = inference.builder
    return PromptRecord(
        task=builder.task.model_dump(mode="json", exclude={"folder"}),
        language=builder.language,
        template=builder.template.name,
        template_version=builder.template.version,
        layout=layout_record(builder.layout),
        labels=builder.labels,
        label_words=builder.task.words(builder.language),
        shots=builder.shots,
        selection=selection_record(builder.selection),
        normalisation=normalisation_name(inference.normalisation),
        seed=builder.seed,
        cut_long_text=builder.cut_long_text,
        defence=defence_record(builder.defence),
        fingerprint=builder.fingerprint,
    )


def _base_record(inference: Inference) -> BaseRecord:
    known = model_record(inference.scorer)
    return BaseRecord(**{name: value for name, value in known.items() if name != "adapter"})


def _training_record(artifact: Artifact) -> TrainingRecord | None:
    if isinstance(artifact.predictor, TunedPredictor):
        tuned = artifact.predictor.tuned
        return TrainingRecord(
            recipe=tuned.recipe,
            losses=tuned.fitted.losses,
            support_fingerprint=artifact.predictor.inference.support.fingerprint,
        )
    if artifact.adapter is None or not is_artifact(artifact.adapter):
        return None
    return read_record(artifact.adapter).training


def _needs_rows(artifact: Artifact) -> bool:
    policy, trained = artifact.policy, isinstance(artifact.predictor, TunedPredictor) or artifact.adapter is not None
    out_of_scope = policy is not None and policy.scope is not None
    return bool(artifact.predictor.inference.builder.shots) or out_of_scope or not trained


def _write_adapter(folder: Path, artifact: Artifact, base: BaseRecord) -> None:
    """The adapter's two files as peft, vLLM and others read them."""
    if isinstance(artifact.predictor, TunedPredictor):
        from safetensors.torch import save_file

        adapter = artifact.predictor.tuned.fitted.adapter
        with atomic_write(folder / ADAPTER_FILES[1]) as path:
            save_file(dict(adapter.weights), path, metadata={"format": "pt"})
        atomic_write_json(folder / ADAPTER_FILES[0], _peft_config(adapter.config, base))
    elif artifact.adapter is not None:
        for name in ADAPTER_FILES:
            shutil.copy(artifact.adapter / name, folder / name)


def _peft_config(config: Mapping[str, Any], base: BaseRecord) -> dict[str, Any]:
    from peft import LoraConfig

    settings = LoraConfig(
        **config, base_model_name_or_path=base.name, revision=base.revision or None, inference_mode=True
    ).to_dict()
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=lambda value: sorted(map(str, value))))
    return plain


def _require_same_model(folder: Path, record: ArtifactRecord, loaded: Mapping[str, str]) -> None:
    """Refuse other weights; another number format is another device's choice."""
    saved = record.base
    if (saved.sha256, saved.fingerprint) == (loaded.get("sha256", ""), loaded.get("fingerprint", "")):
        return
    raise ArtifactError(
        f"What is in {folder} was fitted with {_named(saved.model_dump())}, and this is {_named(loaded)}: its "
        "calibration does not fit. Give the recorded model, fit again on this one, or allow it (--allow-base-mismatch, "
        "allow_base_mismatch=True)."
    )


def _named(model: Mapping[str, str]) -> str:
    known = model.get("sha256", "")[:12] or "unknown"
    return f"{model.get('name') or model.get('fingerprint')} (weights {known})"


def _require_known_files(folder: Path) -> None:
    """A folder that is replaced is removed, so it may hold nothing of the user's."""
    foreign = {entry.name for entry in folder.iterdir()} - set(FILES) if folder.is_dir() else ()
    if foreign:
        raise ArtifactError(
            f"{folder} holds {', '.join(sorted(foreign))} besides what was fitted. Choose another folder."
        )
