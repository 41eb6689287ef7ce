"""A trained adapter's folder as a fitted classifier: everything but the weights of the base model is recorded there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewshot_llm.calibration import Calibration
from fewshot_llm.errors import AdapterError, readable_record
from fewshot_llm.estimators.answers import Answerer
from fewshot_llm.estimators.assemble import ModelLike, assemble, make_scorer
from fewshot_llm.estimators.parts import restore_selection
from fewshot_llm.files import read_rows
from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.models.trust import RecordedModel
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.prompting.template import Template
from fewshot_llm.support import Example, SupportSet
from fewshot_llm.tuning.store import RECORD, SUPPORT, check_base, read_adapter_folder

if TYPE_CHECKING:
    from fewshot_llm.estimators.classifier import FewShotClassifier

__all__ = ["is_adapter_folder", "load_tuned", "recorded_calibration"]


def is_adapter_folder(folder: Path) -> bool:
    """Whether training wrote this folder."""
    return (folder / RECORD).is_file()


def load_tuned(
    kind: type[FewShotClassifier],
    folder: Path,
    model: ModelLike | None,
    device: str | None,
    dtype: str | None,
    allow_base_mismatch: bool,
    allow_download: bool = False,
    insecure: bool = False,
) -> FewShotClassifier:
    """The classifier that an adapter folder records; see `FewShotClassifier.load`.

    Args:
        kind: the class to make one of.
        folder: as training wrote it.
        model: the base model's name or path, where it is not the recorded one; or a model with the adapter on it.
        device: where to run.
        dtype: the weights' number format.
        allow_base_mismatch: accept a base model with other weights.
        allow_download: fetch the recorded base model where it is not in the cache.
        insecure: allow that the key goes in clear to the server given as `model`.

    Raises:
        AdapterError: the folder is not whole, or belongs to another base model.
    """
    record = read_adapter_folder(folder)
    prompt, task = record.prompt, record.task
    chosen: ModelLike = model if model is not None else record.recorded_base(folder, allow_download=allow_download)
    adapter = folder if isinstance(chosen, str | os.PathLike | RecordedModel) else None
    scorer = make_scorer(
        chosen,
        prompt.language,
        adapter=adapter,
        device=device,
        dtype=dtype,
        allow_download=allow_download,
        insecure=insecure,
    )
    loaded = getattr(scorer, "language_model", None)
    if isinstance(loaded, LanguageModel):
        check_base(record, loaded, allow_mismatch=allow_base_mismatch)
    with readable_record(folder / RECORD, AdapterError):
        classifier = kind(
            task,
            chosen,
            shots=prompt.demonstrations,
            selection=restore_selection(prompt.selection, scorer),
            language=prompt.language,
            template=Template(prompt.template, prompt.language, prompt.template_version, prompt.template_source),
            layout=prompt.layout,
            defence=prompt.defence,
            seed=prompt.seed,
            adapter=adapter,
            device=device,
            dtype=dtype,
        )
        rows = [dict(row) for row in read_rows(folder / SUPPORT)] if prompt.demonstrations else []
        support = SupportSet(tuple(Example(row, row.pop("label")) for row in rows), task.labels)
        classifier.answerer_ = Answerer(assemble(classifier, support, scorer), (record.calibrated,))
        classifier.classes_ = np.unique(np.array(task.labels))
    return classifier


def recorded_calibration(folder: Path, builder: PromptBuilder, support: SupportSet) -> Calibration | None:
    """The calibration an adapter was saved with, where it was trained on this very support set.

    Such rows are no evidence any more: the adapter has seen them. What was measured out of fold in training is.

    Returns:
        None where the folder says nothing, or the adapter was trained on another support set.

    Raises:
        AdapterError: it was trained on these rows with other prompts, so that no honest calibration is left.
    """
    if not is_adapter_folder(folder):
        return None
    record = read_adapter_folder(folder)
    if record.support_fingerprint != support.fingerprint:
        return None
    if record.prompt.fingerprint != builder.fingerprint:
        raise AdapterError(
            f"The adapter in {folder} was trained on these very rows, which can therefore not calibrate it, and with "
            "other prompts than these, so that its own calibration does not fit either. Use FewShotClassifier.load(…), "
            "which takes everything from the folder, or fit with other rows."
        )
    return record.calibrated
