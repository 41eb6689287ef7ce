"""Climb the ladder and write what it ends on: one folder, whole or absent."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fewshot_llm.artifacts.folder import save_artifact
from fewshot_llm.artifacts.kinds import Artifact
from fewshot_llm.artifacts.record import RECORD
from fewshot_llm.data import SupportSet
from fewshot_llm.files.atomic import folder_lock, require_free
from fewshot_llm.ladder.base import Ladder, LadderCallbacks
from fewshot_llm.ladder.climb import run_ladder
from fewshot_llm.ladder.rungs.lora import Lora, TunedPredictor
from fewshot_llm.models.device import is_first
from fewshot_llm.predictors.resources import Resources
from fewshot_llm.stats.metrics import accuracy

__all__ = ["check_out", "tune_to_folder"]


def check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder that could not be written in the end, before hours of work.

    Raises:
        AdapterError: it holds something else, or an earlier result that may not be replaced.
    """
    require_free(out, owned=RECORD, overwrite=overwrite)


def tune_to_folder(
    resources: Resources,
    ladder: Ladder,
    out: Path,
    *,
    force: bool = False,
    overwrite: bool = False,
    callbacks: LadderCallbacks | None = None,
    test: SupportSet | None = None,
) -> dict[str, Any]:
    """Climb, save, and sum up as plain values.

    An unfinished final training goes on from `.NAME.unfinished` beside the folder when the same command runs again.
    After Ctrl-C in the final training the folder holds the adapter of the last finished epoch. Of several processes
    (`accelerate launch`) only the first writes and measures on `test`.

    Args:
        resources: the problem, and the models that may be used for it.
        ladder: target, recipe, budget, seed.
        out: the folder to write.
        force: train an adapter whatever the evidence says.
        overwrite: replace what an earlier run wrote there.
        callbacks: told what happens.
        test: labelled rows that are measured on afterwards, and choose nothing.

    Raises:
        BusyError: another process is tuning into the same folder.
        FewshotError: rows, recipe, folder or training are unusable; the message says which.
    """
    check_out(out, overwrite=overwrite)
    with folder_lock(out) if is_first() else nullcontext():
        return _tune(resources, ladder, out, force=force, overwrite=overwrite, callbacks=callbacks, test=test)


def _tune(
    resources: Resources,
    ladder: Ladder,
    out: Path,
    *,
    force: bool,
    overwrite: bool,
    callbacks: LadderCallbacks | None,
    test: SupportSet | None,
) -> dict[str, Any]:
    unfinished = out.absolute().with_name(f".{out.absolute().name}.unfinished")
    if force:
        ladder = replace(ladder, rungs=(Lora(),))
    climbed = run_ladder(resources, ladder, callbacks=callbacks, checkpoints=unfinished)
    summary: dict[str, Any] = {
        "rung": climbed.decision.rung,
        "reached": climbed.decision.reached,
        "reason": climbed.decision.reason,
        "reason_zh": climbed.decision.reason_zh,
        "accuracy": climbed.decision.kept.headline.model_dump(),
        "seconds": round(climbed.decision.seconds, 2),
        "folder": str(out),
    }
    tuned = climbed.predictor.tuned if isinstance(climbed.predictor, TunedPredictor) else None
    if tuned is not None:
        fitted = tuned.fitted
        summary |= {
            "recipe": tuned.recipe.name,
            "training_losses": fitted.losses,
            "training_accuracy": fitted.accuracy,
            "training_seconds": round(fitted.seconds, 2),
            "interrupted": fitted.interrupted,
        }
    if not is_first():
        return summary
    problem = resources.problem
    artifact = Artifact(
        climbed.predictor,
        tuple(sorted(problem.labels)),
        decision=climbed.decision,
        problem=problem,
        out_of_fold=climbed.answers,
    )
    save_artifact(artifact, out, overwrite=overwrite)
    if tuned is not None and not tuned.fitted.interrupted:
        _remove_checkpoints(unfinished)
    if test is not None and len(test):
        found = climbed.predictor.best(list(test))
        truth = np.array([problem.labels.index(str(example.label)) for example in test])
        summary["test"] = {"rows": len(test), "accuracy": str(accuracy(truth, found))}
    return summary


def _remove_checkpoints(folder: Path) -> None:
    for path in folder.glob("training-*.safetensors"):
        path.unlink()
    if folder.is_dir():
        folder.rmdir()
