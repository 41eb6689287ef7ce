"""Climb the ladder and write what it ends on: one folder, whole or absent."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fewshot_llm.escalation import Escalation
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.estimators.parts import defence_record, layout_record, selection_record
from fewshot_llm.evaluation.metrics import accuracy
from fewshot_llm.files import atomic_write_json
from fewshot_llm.ladder import Climbed, Watch, force_lora, run_ladder
from fewshot_llm.processes import is_first
from fewshot_llm.support import SupportSet
from fewshot_llm.tuning.folder import folder_lock, require_free, whole_folder
from fewshot_llm.tuning.store import AdapterRecord, BaseRecord, PromptRecord, save_adapter_folder

__all__ = ["DECISION", "adapter_record", "check_out", "save_climbed", "tune_to_folder"]

DECISION = "decision.json"


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder that could not be written in the end, before hours of work.

    Raises:
        AdapterError: it holds something else, or an earlier result that may not be replaced.
    """
    require_free(out, owned=DECISION, overwrite=overwrite)


def tune_to_folder(
    inference: Inference,
    escalation: Escalation,
    out: Path,
    *,
    force: bool = False,
    overwrite: bool = False,
    watch: Watch | None = None,
    test: SupportSet | None = None,
) -> dict[str, Any]:
    """Climb, save, and sum up as plain values.

    An unfinished final training goes on from `.NAME.unfinished` beside the folder when the same command runs again.
    After Ctrl-C in the final training the folder holds the adapter of the last finished epoch. Of several processes
    (`accelerate launch`) only the first writes and measures on `test`.

    Args:
        inference: what would be served without an escalation.
        escalation: target, recipe, budget, seed.
        out: the folder to write.
        force: train an adapter whatever the evidence says.
        overwrite: replace what an earlier run wrote there.
        watch: told what happens.
        test: labelled rows that are measured on afterwards, and choose nothing.

    Raises:
        BusyError: another process is tuning into the same folder.
        FewshotError: rows, recipe, folder or training are unusable; the message says which.
    """
    check_out(out, overwrite=overwrite)
    with folder_lock(out) if is_first() else nullcontext():
        return _tune(inference, escalation, out, force=force, overwrite=overwrite, watch=watch, test=test)


def _tune(
    inference: Inference,
    escalation: Escalation,
    out: Path,
    *,
    force: bool,
    overwrite: bool,
    watch: Watch | None,
    test: SupportSet | None,
) -> dict[str, Any]:
    unfinished = out.absolute().with_name(f".{out.absolute().name}.unfinished")
    climb = force_lora if force else run_ladder
    climbed = climb(inference, escalation, watch=watch, checkpoints=unfinished)
    summary: dict[str, Any] = {
        "rung": climbed.decision.rung,
        "reached": climbed.decision.reached,
        "reason": climbed.decision.reason,
        "reason_zh": climbed.decision.reason_zh,
        "accuracy": climbed.decision.kept.accuracy.model_dump(),
        "seconds": round(climbed.decision.seconds, 2),
        "folder": str(out),
    }
    if climbed.tuned is not None:
        fitted = climbed.tuned.fitted
        summary |= {
            "recipe": climbed.tuned.recipe.name,
            "training_losses": fitted.losses,
            "training_accuracy": fitted.accuracy,
            "training_seconds": round(fitted.seconds, 2),
            "interrupted": fitted.interrupted,
        }
    if not is_first():
        return summary
    save_climbed(climbed, out, overwrite=overwrite)
    if climbed.tuned is not None and not climbed.tuned.fitted.interrupted:
        _remove_checkpoints(unfinished)
    if test is not None and len(test):
        labels = climbed.answerer.inference.builder.labels
        found = climbed.answerer.answer(list(test)).log_probabilities.argmax(axis=1)
        truth = np.array([labels.index(str(example.label)) for example in test])
        summary["test"] = {"rows": len(test), "accuracy": str(accuracy(truth, found))}
    return summary


def _remove_checkpoints(folder: Path) -> None:
    for path in folder.glob("training-*.safetensors"):
        path.unlink()
    if folder.is_dir():
        folder.rmdir()


def save_climbed(climbed: Climbed, out: Path, *, overwrite: bool = False) -> None:
    """Write a classifier folder or an adapter folder, with `decision.json` in it.

    Raises:
        AdapterError: the folder is in use.
        OSError: the disk is full, or there is no permission; nothing is left behind.
    """
    with whole_folder(out, owned=DECISION, overwrite=overwrite) as partial:
        if climbed.tuned is None:
            _classifier(climbed).save(partial)
        else:
            save_adapter_folder(
                partial,
                climbed.tuned.fitted.adapter,
                adapter_record(climbed),
                climbed.answerer.inference.support,
            )
        atomic_write_json(partial / DECISION, climbed.decision.model_dump(mode="json"))


def _classifier(climbed: Climbed) -> FewShotClassifier:
    inference = climbed.answerer.inference
    builder = inference.builder
    classifier = FewShotClassifier(
        builder.task,
        inference.scorer,
        shots=builder.shots,
        selection=builder.selection,
        normalisation=climbed.decision.kept.settings.get("normalisation", "sum"),
        language=builder.language,
        template=builder.template,
        layout=builder.layout,
        seed=builder.seed,
        cut_long_text=builder.cut_long_text,
        defence=builder.defence.defence if builder.defence else "none",
    )
    classifier.answerer_ = climbed.answerer
    classifier.classes_ = np.array(sorted(builder.labels))
    classifier.decision_ = climbed.decision
    return classifier


def adapter_record(climbed: Climbed) -> AdapterRecord:
    """Everything that belongs to an adapter, as `fewshot.json` holds it.

    Args:
        climbed: with an adapter.
    """
    assert climbed.tuned is not None
    inference = climbed.answerer.inference
    builder, support = inference.builder, inference.support
    model = inference.scorer.language_model  # type: ignore[attr-defined]
    return AdapterRecord(
        prompt=PromptRecord(
            task=builder.task.model_dump(mode="json", exclude={"folder"}),
            language=builder.language,
            template=builder.template.name,
            template_version=builder.template.version,
            template_source=builder.template.source,
            layout=layout_record(builder.layout),
            labels=builder.labels,
            label_words=builder.task.words(builder.language),
            demonstrations=builder.shots,
            selection=selection_record(builder.selection),
            seed=builder.seed,
            defence=defence_record(builder.defence),
            fingerprint=builder.fingerprint,
        ),
        calibration=json.loads(json.dumps(asdict(climbed.answerer.calibrations[0]))),
        base=BaseRecord(
            name=model.name,
            revision=model.revision,
            sha256=model.sha256,
            dtype=str(model.dtype).removeprefix("torch."),
        ),
        support_fingerprint=support.fingerprint,
        support_rows={label: len(rows) for label, rows in support.by_label().items()},
        recipe=climbed.tuned.recipe,
        losses=climbed.tuned.fitted.losses,
        decision=climbed.decision.model_dump(mode="json"),
    )
