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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from fewshot_llm.artifacts.card import model_card
from fewshot_llm.artifacts.kinds import (
    Artifact,
    adapters_of,
    describe,
    kept_out_of_fold,
    members_of,
    needs_rows,
    restore,
    support_of,
    templates_of,
)
from fewshot_llm.artifacts.parts import (
    SavedParts,
    arrays_of,
    encoders_of,
    read_arrays,
    read_terms,
    terms_of,
    write_arrays,
)
from fewshot_llm.artifacts.record import (
    ADAPTER_FILES,
    ARRAYS,
    BASKETS,
    CARD,
    DECISION,
    FILES,
    NOTICE,
    RECORD,
    SUPPORT,
    TEMPLATES,
    TERMS,
    ArtifactRecord,
    BaseRecord,
    CalibrationRecord,
    ClassificationRecord,
    ClassifierRecord,
    EncoderRecord,
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
from fewshot_llm.models.encoder import Encoder, load_encoder
from fewshot_llm.models.licence import notice
from fewshot_llm.models.trust import RecordedModel
from fewshot_llm.predictors.build import ModelLike, make_scorer
from fewshot_llm.predictors.choices import Basket
from fewshot_llm.predictors.prompted import Inference
from fewshot_llm.predictors.ranking import RankingPredictor
from fewshot_llm.scoring.base import Scorer, local_model
from fewshot_llm.scoring.tree_scorer import choose_scorer
from fewshot_llm.training.lora import Adapter, adapted_by_folder

__all__ = [
    "Artifact",
    "EncoderLike",
    "is_artifact",
    "load_artifact",
    "read_decision",
    "recorded_calibration",
    "save_artifact",
    "trained_on",
]


EncoderLike: TypeAlias = str | os.PathLike[str] | Encoder


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
        terms = json.dumps(terms_of(members_of(artifact)), ensure_ascii=False)
        terms.encode()
    adapters, arrays = adapters_of(artifact), arrays_of(members_of(artifact), kept_out_of_fold(artifact))
    with atomic_folder(folder, owned=RECORD, overwrite=overwrite) as partial:
        for place, template in templates_of(artifact).items():
            atomic_write_text(partial / TEMPLATES[place], template)
        if needs_rows(artifact):
            _write_support(partial / SUPPORT, support_of(artifact))
        if isinstance(artifact.predictor, RankingPredictor) and artifact.predictor.counts is not None:
            _write_baskets(partial / BASKETS, artifact.predictor.counts.baskets())
        if artifact.decision is not None:
            atomic_write_json(partial / DECISION, artifact.decision.model_dump(mode="json"))
        if adapters and record.base is not None:
            _write_adapter(partial, adapters[0], record.base)
        if arrays:
            with atomic_write(partial / ARRAYS) as path:
                write_arrays(path, arrays)
        if terms != "[]":
            atomic_write_text(partial / TERMS, terms + "\n")
        if told := notice(source.name for source in record.derived_from):
            atomic_write_text(partial / NOTICE, told)
        files = {name: sha256_file(partial / name) for name in FILES if (partial / name).is_file()}
        record = record.model_copy(update={"files": files})
        atomic_write_text(partial / CARD, model_card(record, artifact.decision))
        atomic_write_json(partial / RECORD, record.model_dump(mode="json"))
    return record


@dataclass(frozen=True)
class _Found:
    """How the user of a call wants models to be found."""

    model: ModelLike | None
    encoder: EncoderLike | None
    device: str | None
    dtype: str | None
    allow_base_mismatch: bool
    allow_download: bool
    insecure: bool


def load_artifact(
    folder: Path,
    *,
    answers: Kind | None = None,
    model: ModelLike | None = None,
    encoder: EncoderLike | None = None,
    device: str | None = None,
    dtype: str | None = None,
    allow_base_mismatch: bool = False,
    allow_download: bool = False,
    insecure: bool = False,
) -> Artifact:
    """Read what `save_artifact` wrote; it answers as the saved one did, without fitting again.

    Only the models that it answers with are loaded: none for counts of words.

    Args:
        folder: where it is.
        answers: the kind of task that it has to answer; None for any.
        model: in place of the recorded language model: a name or path, a model with the adapter on it, or a scorer.
            Where only some of a mixture's members have the adapter, a model without it.
        encoder: in place of the recorded one: a name or path, or an encoder.
        device: where to run.
        dtype: the weights' number format.
        allow_base_mismatch: accept a model with other weights; the calibration will not fit.
        allow_download: fetch recorded models where they are not in the cache.
        insecure: allow that the key goes in clear to the server given as `model`.

    Raises:
        ArtifactError: the folder is not whole, answers another kind of task, or was fitted with another model.
        ModelError: the recorded model is not here, or is an address.
    """
    record = read_record(folder)
    if answers is not None and answers != record.answers:
        raise ArtifactError(explain_other_kind(folder, record.answers, answers))
    options = _Found(model, encoder, device, dtype, allow_base_mismatch, allow_download, insecure)
    with _usable(folder / RECORD):
        parts = SavedParts(
            _read_support(folder, record),
            templates={
                place: (folder / name).read_text(encoding="utf-8")
                for place, name in enumerate(TEMPLATES)
                if (folder / name).is_file()
            },
            arrays=read_arrays(folder, record),
            terms=read_terms(folder, record),
            decision=read_decision(folder),
            baskets=_read_baskets(folder, record),
        )
    chosen, scorers, adapter = _load_language_model(folder, record, options)
    parts = replace(parts, scorers=scorers, encoders=_load_encoders(folder, record, options))
    with _usable(folder / RECORD):
        found = restore(record, parts)
    return replace(found, adapter=adapter, model=chosen, encoder=encoder if isinstance(encoder, str) else None)


def _load_language_model(
    folder: Path, record: ArtifactRecord, options: _Found
) -> tuple[ModelLike | None, dict[str, Scorer], Path | None]:
    """The model by the name under which it was chosen, scorers by the recorded adapter, and where the adapter lies."""
    if record.base is None:
        return options.model, {}, None
    if options.model is None and not record.base.name:
        raise ArtifactError(
            f"What is in {folder} was fitted with a server or a scorer of your own. Give it again: --model ADDRESS, or "
            "load(…, model=address or scorer)."
        )
    chosen = options.model
    if chosen is None:
        chosen = record.recorded_base(folder, allow_download=options.allow_download)
    has_adapter = (folder / ADAPTER_FILES[0]).is_file()
    named = {one for one in record.adapters if one}
    if len(named) > 1 or (named and len(record.adapters) > 1 and not has_adapter):
        raise ArtifactError(
            f"{folder / RECORD} names {len(named)} adapters, and the folder holds {int(has_adapter)}. Copy the folder "
            "again as it was saved, or fit again."
        )
    several = len(record.adapters) > 1
    adapter = folder if has_adapter and isinstance(chosen, str | os.PathLike | RecordedModel) else None
    scorer = make_scorer(
        chosen,
        record.language,
        adapter=None if several else adapter,
        device=options.device,
        dtype=options.dtype,
        allow_download=options.allow_download,
        insecure=options.insecure,
    )
    if not options.allow_base_mismatch:
        _require_same_model(folder, record, scorer)
    if not several:
        return chosen, dict.fromkeys(record.adapters, scorer), adapter
    model = local_model(scorer)
    if model is None:
        raise ArtifactError(
            f"Some of what answers in {folder} asks the model with its adapter and some without, which needs the model "
            "in this process. Give its name or folder as the model, or a LanguageModel."
        )
    with_adapter = choose_scorer(adapted_by_folder(model, folder))
    return chosen, {name: with_adapter if name else scorer for name in record.adapters}, None


def _load_encoders(folder: Path, record: ArtifactRecord, options: _Found) -> dict[int, Encoder]:
    """The encoders that members read, by position; one that was given in place of the recorded one that it is like.

    Raises:
        ArtifactError: it has other weights.
        ModelError: a recorded one is not here, or is an address.
    """
    wanted = encoders_of(record)
    prints = {one.fingerprint for one in wanted.values()}
    found: dict[int, Encoder] = {}
    used = False
    for place, one in wanted.items():
        known = next((found[at] for at, other in wanted.items() if at in found and other == one), None)
        if known is None and options.encoder is not None:
            given = options.encoder
            if not isinstance(given, Encoder):
                given = load_encoder(os.fspath(given), device=options.device, prefix=one.prefix)
            if given.fingerprint == one.fingerprint or (options.allow_base_mismatch and len(prints) == 1):
                known, used = given, True
            elif len(prints) == 1:
                raise _other_encoder(folder, one, given)
        if known is None:
            recorded = RecordedModel(one.name, str(folder / RECORD), options.allow_download, "encoder")
            known = load_encoder(recorded, device=options.device, prefix=one.prefix)
            if known.fingerprint != one.fingerprint and not options.allow_base_mismatch:
                raise _other_encoder(folder, one, known)
        found[place] = known
    if options.encoder is not None and wanted and not used:
        raise ArtifactError(
            f"What is in {folder} reads {', '.join(one.name for one in wanted.values())}, and the encoder that was "
            "given is none of them. Leave it out, or give one of these."
        )
    return found


def _other_encoder(folder: Path, recorded: EncoderRecord, loaded: Encoder) -> ArtifactError:
    return ArtifactError(
        f"What is in {folder} was fitted with the encoder {recorded.name} (files {recorded.sha256[:12]}), and this is "
        f"{loaded.name} (files {loaded.sha256[:12]}): the head does not fit its vectors. Give the recorded one "
        "(--encoder, encoder=…), fit again on this one, or allow it (--allow-base-mismatch, allow_base_mismatch=True)."
    )


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
    training = read_record(Path(adapter)).trained
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
    if isinstance(record, ClassifierRecord) and not isinstance(record, ClassificationRecord):
        record, _ = record.adapted or (record, "")
    if not isinstance(record, ClassificationRecord) or record.prompt.fingerprint != inference.builder.fingerprint:
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
        return SupportSet((), record.labels)
    support = SupportSet(tuple(_rows(folder / SUPPORT)), record.labels)
    unknown = sorted({str(row.label) for row in support} - set(record.labels))
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
    saved, loaded = record.base or BaseRecord(), model_record(scorer)
    of_file = record.files.get(ADAPTER_FILES[1], "")
    several = len(record.adapters) > 1
    if of_file and local_model(scorer) is None and not several:
        return
    if (saved.sha256, saved.fingerprint) != (loaded.get("sha256", ""), loaded.get("fingerprint", "")):
        raise ArtifactError(
            f"What is in {folder} was fitted with {_named(saved.model_dump())}, and this is {_named(loaded)}: its "
            "calibration does not fit. Give the recorded model, fit again on this one, or allow it "
            "(--allow-base-mismatch, allow_base_mismatch=True)."
        )
    # Where some members ask the model without the adapter, it is put on for the others alone.
    adapters = {""} if several else {*record.adapters, of_file} - {""} or {""}
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
