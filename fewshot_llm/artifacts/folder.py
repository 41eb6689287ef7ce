"""What was fitted, as a folder, and back: one writer and one loader for everything that is fitted.

`record.FILES` says what may stand in it. Nothing in it is code, the base model is only named, and nothing that is
recorded there makes the program contact anybody.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fewshot_llm.artifacts.kinds import Artifact, SavedParts, describe, restore, tuned_of
from fewshot_llm.artifacts.record import (
    ADAPTER_FILES,
    BASKETS,
    CARD,
    DECISION,
    FILES,
    RECORD,
    SUPPORT,
    TEMPLATE,
    ArtifactRecord,
    BaseRecord,
    CalibrationRecord,
    ClassificationRecord,
    RegressionRecord,
    explain_other_kind,
    explain_record_error,
    model_record,
    read_record,
)
from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.task import Kind
from fewshot_llm.errors import AdapterError, ArtifactError, DataFileError, FewshotError, readable_record
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
from fewshot_llm.models.trust import RecordedModel
from fewshot_llm.predictors.build import ModelLike, make_scorer
from fewshot_llm.predictors.choices import Basket
from fewshot_llm.predictors.prompted import Inference
from fewshot_llm.predictors.ranking import RankingPredictor
from fewshot_llm.scoring.base import Scorer, local_model
from fewshot_llm.training.lora import Adapter
from fewshot_llm.types import Text

__all__ = [
    "Artifact",
    "is_artifact",
    "load_artifact",
    "read_decision",
    "recorded_calibration",
    "save_artifact",
    "trained_on",
]


def is_artifact(folder: Path) -> bool:
    """Whether this toolkit wrote the folder."""
    return (folder / RECORD).is_file()


def save_artifact(artifact: Artifact, folder: Path, *, overwrite: bool = False) -> ArtifactRecord:
    """Write a folder, all of it or nothing.

    Support rows are written where an answer still needs them: demonstrations, what is out of scope, the models that a
    number's interval is made from, and explanations of a prompt without a trained adapter. A trained adapter that shows
    none keeps them to itself.

    Args:
        artifact: what was fitted.
        folder: where to; made if it is not there.
        overwrite: replace a folder that this function wrote.

    Returns:
        The record as written.

    Raises:
        ArtifactError: the folder holds something else, or a value cannot be saved.
        ModelError: a part of what was fitted is an object of the user's own.
        AdapterError: the folder is in use, or the adapter's files are gone.
        OSError: the disk is full, or there is no permission; nothing is left behind.
    """
    _require_known_files(folder)
    with _savable():
        record = describe(artifact)
    inference = artifact.predictor.inference
    adapter = _adapter_of(artifact, inference.scorer)
    with atomic_folder(folder, owned=RECORD, overwrite=overwrite) as partial:
        atomic_write_text(partial / TEMPLATE, inference.builder.template.source)
        if _needs_rows(artifact, record, adapter is not None):
            _write_support(partial / SUPPORT, inference.support)
        if isinstance(artifact.predictor, RankingPredictor) and artifact.predictor.counts is not None:
            _write_baskets(partial / BASKETS, artifact.predictor.counts.baskets())
        if artifact.decision is not None:
            atomic_write_json(partial / DECISION, artifact.decision.model_dump(mode="json"))
        if adapter is not None:
            _write_adapter(partial, adapter, record.base)
        atomic_write_text(partial / CARD, model_card(record, artifact.decision))
        files = {name: sha256_file(partial / name) for name in FILES if (partial / name).is_file() and name != CARD}
        record = record.model_copy(update={"files": files})
        atomic_write_json(partial / RECORD, record.model_dump(mode="json"))
    return record


def load_artifact(
    folder: Path,
    *,
    answers: Kind | None = None,
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
        answers: the kind of task that it has to answer; None for any.
        model: in place of the recorded one: a name or path, a model with the adapter on it, or a scorer.
        device: where to run.
        dtype: the weights' number format.
        allow_base_mismatch: accept a model with other weights; the calibration will not fit.
        allow_download: fetch the recorded model where it is not in the cache.
        insecure: allow that the key goes in clear to the server given as `model`.

    Raises:
        ArtifactError: the folder is not whole, answers another kind of task, or was fitted with another model.
        ModelError: the recorded model is not here, or is an address.
    """
    record = read_record(folder)
    if answers is not None and answers != record.answers:
        raise ArtifactError(explain_other_kind(folder, record.answers, answers))
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
        _require_same_model(folder, record, scorer)
    with _usable(folder / RECORD):
        template = (folder / TEMPLATE).read_text(encoding="utf-8")
        parts = SavedParts(scorer, template, _read_support(folder, record), _read_baskets(folder, record))
        predictor, policy = restore(record, parts)
    classes = record.classes if isinstance(record, ClassificationRecord) else ()
    return Artifact(predictor, classes, policy, read_decision(folder), adapter, chosen)


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
    if record.prompt.fingerprint != inference.builder.fingerprint or not isinstance(record, ClassificationRecord):
        raise AdapterError(
            f"The adapter in {folder} was trained on these very rows, which can therefore not calibrate it, and with "
            "other prompts than these, so that its own calibration does not fit either. Use FewShotClassifier.load(…), "
            "which takes everything from the folder, or fit with other rows."
        )
    return record.calibrations[0]


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    """Name the file where what it records does not fit together."""
    try:
        with readable_record(path, ArtifactError):
            yield
    except ArtifactError:
        raise
    except FewshotError as error:
        raise ArtifactError(
            f"{path} records what cannot be used: {error} If it was changed since it was saved, copy the folder again; "
            "else fit again."
        ) from error


@contextmanager
def _savable() -> Iterator[None]:
    """Turn a value that no record holds into an error that names it."""
    try:
        yield
    except ValidationError as error:
        raise ArtifactError(
            f"This cannot be saved: {explain_record_error(error)}. Give a finite number or a plain value there, and "
            "fit again."
        ) from error
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"This cannot be saved: {error}. Fit again with plain values.") from error


def _needs_rows(artifact: Artifact, record: ArtifactRecord, has_adapter: bool) -> bool:
    out_of_scope = artifact.policy is not None and artifact.policy.scope is not None
    of_folds = isinstance(record, RegressionRecord) and record.folds is not None and bool(record.folds.models)
    return bool(record.prompt.shots) or out_of_scope or of_folds or not has_adapter


def _write_support(path: Path, support: SupportSet) -> None:
    """The rows, each checked to come back as it is.

    Raises:
        ArtifactError: a field holds what JSON cannot.
    """
    _write_table(path, ({**row.fields, "label": row.label} for row in support))
    read = _rows(path)
    for position, (row, again) in enumerate(zip(support, read, strict=True)):
        if list(again.fields) != list(row.fields) or again.canonical != row.canonical:
            odd = next(
                (name for name in row.fields if name not in again.fields or again.fields[name] != row.fields[name]),
                "label",
            )
            value = row.fields.get(odd, row.label)
            raise ArtifactError(
                f"Support row {position} cannot be saved: its field {odd!r} is {value!r} ({type(value).__name__}). "
                "Make it a text, a finite number or None, and fit again."
            )


def _write_baskets(path: Path, baskets: Iterable[Basket]) -> None:
    _write_table(path, ({"titles": sorted(basket.titles), "user": basket.user} for basket in baskets))


def _write_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    try:
        write_rows(path, rows)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"The rows cannot be saved: {error}. Make every value a text or a number.") from error


def _rows(path: Path) -> list[Example]:
    rows = [dict(row) for row in read_rows(path)]
    return [Example(row, row.pop("label")) for row in rows]


def _read_support(folder: Path, record: ArtifactRecord) -> SupportSet:
    """The rows, of which the record has the fingerprint; none where an answer needs none."""
    if SUPPORT not in record.files:
        return SupportSet((), record.prompt.labels)
    support = SupportSet(tuple(_rows(folder / SUPPORT)), record.prompt.labels)
    unknown = sorted({str(row.label) for row in support} - set(record.prompt.labels))
    if unknown:
        raise ArtifactError(
            f"{folder / SUPPORT} has rows with the label {unknown[0]!r}, which is none that was fitted. Copy the "
            "folder again as it was saved, or fit again."
        )
    if support.fingerprint != record.support_fingerprint:
        raise ArtifactError(
            f"{folder / SUPPORT} holds other rows than {RECORD} says. Copy the folder again as it was saved, or fit "
            "again."
        )
    return support


def _read_baskets(folder: Path, record: ArtifactRecord) -> tuple[Basket, ...]:
    if BASKETS not in record.files:
        return ()
    baskets = []
    for number, row in enumerate(read_rows(folder / BASKETS), 1):
        titles, user = row.get("titles"), row.get("user")
        if not isinstance(titles, list) or not isinstance(user, str) or not all(isinstance(one, str) for one in titles):
            raise ArtifactError(
                f"{folder / BASKETS}, line {number}, is no basket: expected a list of titles and a user. Copy the "
                "folder again as it was saved, or fit again."
            )
        baskets.append(Basket(frozenset(titles), user))
    return tuple(baskets)


def _adapter_of(artifact: Artifact, scorer: Scorer) -> Adapter | Path | None:
    """The adapter that answers: its weights, or the folder that they are in; None without one."""
    tuned = tuned_of(artifact.predictor)
    if tuned is not None:
        return tuned.fitted.adapter
    model = local_model(scorer)
    source = artifact.adapter if model is None else model.adapter_source
    if isinstance(source, Adapter):
        return source
    if not isinstance(source, Path) or (model is None and not (source / ADAPTER_FILES[0]).is_file()):
        return None
    missing = [name for name in ADAPTER_FILES if not (source / name).is_file()]
    if missing:
        raise AdapterError(f"The adapter folder {source} has no {missing[0]} any more. Put it back, and save again.")
    return source


def _write_adapter(folder: Path, adapter: Adapter | Path, base: BaseRecord) -> None:
    """The adapter's two files as peft, vLLM and others read them."""
    if isinstance(adapter, Path):
        for name in ADAPTER_FILES:
            shutil.copy(adapter / name, folder / name)
        return
    from safetensors.torch import save_file

    with atomic_write(folder / ADAPTER_FILES[1]) as path:
        save_file(dict(adapter.weights), path, metadata={"format": "pt"})
    atomic_write_json(folder / ADAPTER_FILES[0], _peft_config(adapter.config, base))


def _peft_config(config: Mapping[str, Any], base: BaseRecord) -> dict[str, Any]:
    from peft import LoraConfig

    settings = LoraConfig(
        **config, base_model_name_or_path=base.name, revision=base.revision or None, inference_mode=True
    ).to_dict()
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=lambda value: sorted(map(str, value))))
    return plain


def _require_same_model(folder: Path, record: ArtifactRecord, scorer: Scorer) -> None:
    """Refuse other weights; another number format is another device's choice.

    A server says nothing of its weights: where the folder holds an adapter, the address that the user gave is trusted.
    """
    saved, loaded = record.base, model_record(scorer)
    of_file = record.files.get(ADAPTER_FILES[1], "")
    if of_file and local_model(scorer) is None:
        return
    if (saved.sha256, saved.fingerprint) != (loaded.get("sha256", ""), loaded.get("fingerprint", "")):
        raise ArtifactError(
            f"What is in {folder} was fitted with {_named(saved.model_dump())}, and this is {_named(loaded)}: its "
            "calibration does not fit. Give the recorded model, fit again on this one, or allow it "
            "(--allow-base-mismatch, allow_base_mismatch=True)."
        )
    adapters = {record.adapter, of_file} - {""} or {""}
    if loaded.get("adapter", "") not in adapters:
        expected = "with its adapter on" if adapters != {""} else "without an adapter"
        raise ArtifactError(
            f"What is in {folder} answers by a model {expected}, and the one that was given is another. Give the base "
            "model's name, or load_model(name, adapter=folder); or allow it (--allow-base-mismatch, "
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


CARD_TITLES: Mapping[str, Text] = {
    "classification": Text("labels texts by scoring label words", "通过给标签词打分来分类文本"),
    "multilabel": Text("gives texts all labels that apply, by yes or no", "逐个判断是与否、给文本标出所有适用标签"),
    "regression": Text("gives texts a number by scoring number words", "通过给数字词打分来为文本预测数值"),
    "ranking": Text("ranks what a customer may buy next", "为顾客接下来可能购买的商品排序"),
}
"""What such a thing does, by the record's kind."""

CARD_SENTENCES: Mapping[bool, Text] = {
    True: Text(
        "A LoRA adapter that {does}, trained by fewshot-llm on {rows} labelled rows. Why this one: {why}",
        "一个{does}的 LoRA 适配器，由 fewshot-llm 用 {rows} 条标注样例训练。原因：{why}",
    ),
    False: Text(
        "A prompt that {does}, fitted by fewshot-llm on {rows} labelled rows. Why this one: {why}",
        "一个{does}的提示，由 fewshot-llm 用 {rows} 条标注样例拟合。原因：{why}",
    ),
}
"""By whether an adapter was trained."""

NOT_ASKED = Text("the ladder was not asked.", "未经阶梯评估。")


def model_card(record: ArtifactRecord, decision: Decision | None = None) -> str:
    """A README.md with the front matter that model hubs read, in English and Chinese.

    Args:
        record: what was fitted.
        decision: why the ladder kept it; None where it was not asked.
    """
    prompt, base, training = record.prompt, record.base, record.training
    does, sentence = CARD_TITLES[record.kind], CARD_SENTENCES[training is not None]
    why = NOT_ASKED if decision is None else Text(decision.reason, decision.reason_zh)
    rows = sum(record.support_rows.values())
    words = "\n".join(
        f"| {label} | {prompt.label_words[label]} | {record.support_rows.get(label, 0)} |" for label in prompt.labels
    )
    tags = [f"text-{record.kind}", "few-shot", *(["lora"] if training else [])]
    return f"""---
base_model: {base.name or "unknown"}
library_name: {"peft" if training else "fewshot-llm"}
language: {prompt.language}
tags: [{", ".join(tags)}]
---

# {prompt.task["name"]} on {base.name or "a scorer of the user's own"}

{sentence.en.format(does=does.en, rows=rows, why=why.en)}

{sentence.zh.format(does=does.zh, rows=rows, why=why.zh)}

| label 标签 | scored words 标签词 | rows 样例数 |
| --- | --- | --- |
{words}

- Base model 基座模型: {base.name} {base.revision} (SHA-256 {base.sha256})
- Prompt 提示模板: {prompt.template}, shots 示例数 {prompt.shots}, layout 版式 {prompt.layout}
{_training(record)}- Support rows 样例指纹 (SHA-256): {record.support_fingerprint}

`fewshot.json` holds everything an answer depends on, the calibration included; other servers that load this folder
see uncalibrated scores.
"""


def _training(record: ArtifactRecord) -> str:
    if record.training is None:
        return ""
    recipe, losses = record.training.recipe, ", ".join(f"{loss:.3f}" for loss in record.training.losses)
    return (
        f"- Recipe 训练配方: {recipe.name}, rank {recipe.rank}, {recipe.targets}, loss {recipe.loss}\n"
        f"- Training loss per epoch 每轮损失 (nats): {losses}\n"
    )
