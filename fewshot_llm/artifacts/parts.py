"""The parts of what is fitted, as records and back: prompts, and linear heads with their arrays and terms.

What is read may be a stranger's: shapes, values and names are checked against the record before anything is done with
them, and what is an object of the user's own is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from pydantic import TypeAdapter, ValidationError

from fewshot_llm.artifacts.record import (
    ARRAYS,
    MOST_BYTES,
    RECORD,
    TERMS,
    ArtifactRecord,
    CalibrationRecord,
    ClassifierRecord,
    EncoderRecord,
    HeadRecord,
    HiddenRecord,
    PromptMember,
    PromptRecord,
    TermsRecord,
    TrainingRecord,
    WordsRecord,
    explain_record_error,
    language_model_record,
    model_record,
)
from fewshot_llm.data import SupportSet
from fewshot_llm.data.task import Task
from fewshot_llm.errors import ArtifactError, ModelError, nearest
from fewshot_llm.ladder.decision import Decision
from fewshot_llm.ladder.rungs.lora import Tuned, TunedPredictor
from fewshot_llm.ladder.rungs.numbers import TunedNumbers
from fewshot_llm.models.encoder import Encoder
from fewshot_llm.predictors.base import Predictor
from fewshot_llm.predictors.build import armed, make_builder
from fewshot_llm.predictors.choices import Basket
from fewshot_llm.predictors.linear import (
    CountedTerms,
    EncoderFeatures,
    Features,
    HiddenFeatures,
    LinearHead,
    LinearPredictor,
    WordFeatures,
)
from fewshot_llm.predictors.prompted import (
    Inference,
    Normalisation,
    NormalisationName,
    PromptedPredictor,
    as_normalisation,
)
from fewshot_llm.predictors.ranking import Everything
from fewshot_llm.prompting.chat import Chat, Layout, Plain
from fewshot_llm.prompting.defence import STANDARD, Armed, DefenceName
from fewshot_llm.prompting.selection import Balanced, Diverse, Nearest, NearestHidden, RandomOrder, Selection
from fewshot_llm.prompting.template import Template
from fewshot_llm.scoring.base import Scorer, require_local
from fewshot_llm.scoring.vectors import OneWordState
from fewshot_llm.types import FloatArray

__all__ = [
    "OUT_OF_FOLD",
    "SavedParts",
    "arrays_of",
    "as_floats",
    "check_arrays",
    "check_terms",
    "defence_record",
    "describe_member",
    "encoders_of",
    "expected_shapes",
    "layout_record",
    "normalisation_name",
    "prompt_record",
    "read_arrays",
    "read_terms",
    "restore_inference",
    "restore_member",
    "restore_selection",
    "restore_template",
    "selection_record",
    "terms_of",
    "tuned_of",
    "write_arrays",
]

LARGEST = 1e9
"""Of a number in a head: far more than any that was fitted, and small enough that no sum of them overflows."""

MOST_ARRAY_BYTES = 8 * 10**9

OUT_OF_FOLD = "out_of_fold"
"""The array of a classifier's answers to its support rows by predictors that did not see them."""


@dataclass(frozen=True)
class SavedParts:
    """What a predictor is made of again, besides its record.

    Attributes:
        support: the support rows; empty where none were needed.
        scorers: the language model, loaded, by the name of the adapter on it as the record has it; empty where none is
            asked.
        encoders: by the position of the member that reads their vectors.
        templates: the template's text, by the position of the member that asks with it.
        arrays: what the file of arrays holds, by name.
        terms: what heads count, in the order of the record's parts.
        decision: the ladder's, where one was climbed.
        baskets: what a ranker counts in.
    """

    support: SupportSet
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    encoders: Mapping[int, Encoder] = field(default_factory=dict)
    templates: Mapping[int, str] = field(default_factory=dict)
    arrays: Mapping[str, FloatArray] = field(default_factory=dict)
    terms: tuple[tuple[str, ...], ...] = ()
    decision: Decision | None = None
    baskets: tuple[Basket, ...] = ()

    @property
    def scorer(self) -> Scorer:
        """The only one."""
        (scorer,) = self.scorers.values()
        return scorer


def tuned_of(predictor: object) -> Tuned | None:
    """The adapter that was trained here, and what led to it; None where there is none."""
    return predictor.tuned if isinstance(predictor, TunedPredictor | TunedNumbers) else None


# Members


def describe_member(member: Predictor) -> PromptMember | HeadRecord:
    """The record of what answers alone, or of a member of a mixture.

    Raises:
        ModelError: it is, or has, an object of the user's own.
        ValidationError: a value is not one that a record holds.
    """
    if type(member) in (PromptedPredictor, TunedPredictor):
        asked = cast(PromptedPredictor, member)
        tuned, inference = tuned_of(member), asked.inference
        return PromptMember(
            prompt=prompt_record(inference, inference.builder.task),
            adapter=model_record(inference.scorer).get("adapter", ""),
            training=None
            if tuned is None
            else TrainingRecord(
                recipe=tuned.recipe,
                losses=tuned.fitted.losses,
                support_fingerprint=inference.support.fingerprint,
            ),
            calibrations=tuple(map(CalibrationRecord.of, asked.calibrations)),
        )
    if type(member) is LinearPredictor:
        return HeadRecord(
            features=_describe_features(member.features), calibration=CalibrationRecord.of(member.calibration)
        )
    raise ModelError(
        f"A {type(member).__name__} cannot be saved: it is code, and a saved folder holds none. What can be saved are "
        "PromptedPredictor, LinearPredictor, and a MixturePredictor of at most three of these."
    )


def _describe_features(features: Features) -> WordsRecord | EncoderRecord | HiddenRecord:
    if type(features) is WordFeatures:
        return WordsRecord(
            parts=tuple(
                TermsRecord(analyzer=part.analyzer, ngrams=part.ngrams, terms=len(part.terms))
                for part in features.parts
            )
        )
    if type(features) is EncoderFeatures and type(features.encoder) is Encoder:
        encoder = features.encoder
        return EncoderRecord(
            name=encoder.name,
            sha256=encoder.sha256,
            prefix=encoder.prefix,
            fingerprint=encoder.fingerprint,
            width=encoder.width,
        )
    if type(features) is HiddenFeatures and type(features.state) is OneWordState:
        state = features.state
        return HiddenRecord(
            language=state.language,
            layer=state.layer,
            width=len(features.mean),
            adapter=language_model_record(state.language_model)["adapter"],
        )
    raise ModelError(
        f"The features {type(features).__name__} cannot be saved: they are code, and a saved folder holds none. Use "
        "WordFeatures, EncoderFeatures or HiddenFeatures."
    )


def restore_member(
    record: ArtifactRecord, place: int, member: PromptMember | HeadRecord, parts: SavedParts
) -> PromptedPredictor | LinearPredictor:
    """What a member's record describes.

    Args:
        record: of the whole.
        place: the member's position.
        member: its own record.
        parts: what was read besides.

    Raises:
        ValueError: parts of the record do not fit each other; the message says which.
        FewshotError: a task, a template or a selection cannot be made of what is recorded.
    """
    labels = record.labels
    calibrations = member.calibrations if isinstance(member, PromptMember) else (member.calibration,)
    if any(len(one.bias) != len(labels) for one in calibrations):
        raise ValueError("a calibration needs a bias for each label")
    if isinstance(member, PromptMember):
        task = Task(**member.prompt.task)
        template = parts.templates[place]
        inference = restore_inference(member.prompt, task, template, parts.scorers[member.adapter], parts.support)
        if tuple(inference.builder.labels) != labels:
            raise ValueError("prompt.labels are not the labels that are answered")
        return PromptedPredictor(inference, tuple(one.calibration for one in member.calibrations))
    head = LinearHead(parts.arrays[f"{place}.weights"], parts.arrays[f"{place}.intercepts"])
    return LinearPredictor(
        labels, _restore_features(record, place, member, parts), head, member.calibration.calibration
    )


def _restore_features(record: ArtifactRecord, place: int, member: HeadRecord, parts: SavedParts) -> Features:
    features, arrays = member.features, parts.arrays
    if isinstance(features, WordsRecord):
        at = _first_terms(record, place)
        return WordFeatures(
            tuple(
                CountedTerms(part.analyzer, part.ngrams, parts.terms[at + n], arrays[f"{place}.idf.{n}"])
                for n, part in enumerate(features.parts)
            )
        )
    if isinstance(features, EncoderRecord):
        encoder = parts.encoders[place]
        if encoder.width != features.width:
            raise ValueError(f"the encoder's vectors have {encoder.width} numbers, and the head reads {features.width}")
        return EncoderFeatures(encoder, arrays[f"{place}.mean"])
    model = require_local(parts.scorers[features.adapter])
    config = model.model.config.get_text_config()
    if not (features.layer <= int(config.num_hidden_layers) and features.width == int(config.hidden_size)):
        raise ValueError(
            f"the model has {config.num_hidden_layers} layers of {config.hidden_size} numbers, and the head reads "
            f"{features.width} of layer {features.layer}"
        )
    state = OneWordState(model, features.language, features.layer)
    return HiddenFeatures(state, arrays[f"{place}.mean"], arrays[f"{place}.spread"])


# Arrays and terms


def _heads(record: ArtifactRecord) -> Iterator[tuple[int, HeadRecord]]:
    for place, member in enumerate(record.members if isinstance(record, ClassifierRecord) else ()):
        if isinstance(member, HeadRecord):
            yield place, member


def _counted(record: ArtifactRecord) -> list[tuple[int, TermsRecord]]:
    """The kinds of terms with the position of the member that counts them, in the order of their file."""
    words = [(place, head.features) for place, head in _heads(record) if isinstance(head.features, WordsRecord)]
    return [(place, part) for place, features in words for part in features.parts]


def _first_terms(record: ArtifactRecord, place: int) -> int:
    return next(at for at, (owner, _) in enumerate(_counted(record)) if owner == place)


def encoders_of(record: ArtifactRecord) -> dict[int, EncoderRecord]:
    """The encoders that members read, by the member's position."""
    return {place: head.features for place, head in _heads(record) if isinstance(head.features, EncoderRecord)}


def expected_shapes(record: ArtifactRecord) -> dict[str, tuple[int, ...]]:
    """The arrays that belong to a record, by name; none for what has no head and no answers out of fold."""
    shapes: dict[str, tuple[int, ...]] = {}
    labels = len(record.labels) if isinstance(record, ClassifierRecord) else 0
    for place, head in _heads(record):
        features = head.features
        shapes[f"{place}.weights"] = (labels, features.width)
        shapes[f"{place}.intercepts"] = (labels,)
        if isinstance(features, WordsRecord):
            shapes |= {f"{place}.idf.{n}": (part.terms,) for n, part in enumerate(features.parts)}
        if isinstance(features, EncoderRecord | HiddenRecord):
            shapes[f"{place}.mean"] = (features.width,)
        if isinstance(features, HiddenRecord):
            shapes[f"{place}.spread"] = (features.width,)
    if isinstance(record, ClassifierRecord) and record.out_of_fold:
        shapes[OUT_OF_FOLD] = (record.out_of_fold, labels)
    return shapes


def arrays_of(members: Sequence[Predictor], out_of_fold: FloatArray | None) -> dict[str, FloatArray]:
    """The arrays of what answers, float64, by name."""
    found: dict[str, FloatArray] = {}
    for place, member in enumerate(members):
        if not isinstance(member, LinearPredictor):
            continue
        found[f"{place}.weights"], found[f"{place}.intercepts"] = member.head.weights, member.head.intercepts
        if isinstance(member.features, WordFeatures):
            found |= {f"{place}.idf.{n}": part.idf for n, part in enumerate(member.features.parts)}
        if isinstance(member.features, EncoderFeatures | HiddenFeatures):
            found[f"{place}.mean"] = member.features.mean
        if isinstance(member.features, HiddenFeatures):
            found[f"{place}.spread"] = member.features.spread
    if out_of_fold is not None:
        found[OUT_OF_FOLD] = np.maximum(out_of_fold, -LARGEST)  # of a label that cannot be, minus infinity
    return {name: np.ascontiguousarray(values, dtype=np.float64) for name, values in found.items()}


def terms_of(members: Sequence[Predictor]) -> tuple[tuple[str, ...], ...]:
    """What the heads among some predictors count."""
    features = [one.features for one in members if isinstance(one, LinearPredictor)]
    return tuple(part.terms for one in features if isinstance(one, WordFeatures) for part in one.parts)


def check_arrays(record: ArtifactRecord, arrays: Mapping[str, FloatArray]) -> None:
    """Refuse arrays that no head can have; their shapes are as the record says.

    Raises:
        ValueError: names the first.
    """
    for name, shape in expected_shapes(record).items():
        values = arrays[name]
        if values.shape != shape:
            raise ValueError(f"{name} has the shape {list(values.shape)}, expected {list(shape)}")
        if not np.all(np.abs(values) <= LARGEST):
            raise ValueError(f"{name} has a number that is not finite or beyond {LARGEST:g}")
        if ".spread" in name and not np.all(values >= 1e-9):
            raise ValueError(f"{name} has a number below 1e-9, and states are divided by it")
        if ".idf." in name and not np.all(values >= 0):
            raise ValueError(f"{name} has a number below 0")
        if name == OUT_OF_FOLD and not np.allclose(np.exp(values).sum(axis=1), 1, atol=0.01):
            raise ValueError(f"{name} has rows whose probabilities do not sum to 1")


def check_terms(record: ArtifactRecord, terms: Sequence[Sequence[str]]) -> None:
    """Refuse terms that nobody counted.

    Raises:
        ValueError: another number of them than the record says, or they are not sorted or not distinct.
    """
    wanted = [part.terms for _, part in _counted(record)]
    if [len(part) for part in terms] != wanted:
        raise ValueError(f"there are {[len(part) for part in terms]} terms, expected {wanted}")
    for number, part in enumerate(terms):
        for before, after in pairwise(part):
            if before >= after:
                raise ValueError(f"list {number} has {after!r} after {before!r}; expected sorted and distinct terms")


def write_arrays(path: Path, arrays: Mapping[str, FloatArray]) -> None:
    """Write arrays as safetensors."""
    from safetensors.numpy import save_file

    save_file(dict(arrays), path)


def read_arrays(folder: Path, record: ArtifactRecord) -> dict[str, FloatArray]:
    """The arrays that a record has beside it; what is in the file besides is refused.

    Raises:
        ArtifactError: no such file, another array than the record says, or one of another shape or type, or with
            numbers that no head has.
    """
    from safetensors import SafetensorError, safe_open

    shapes = expected_shapes(record)
    if not shapes:
        return {}
    path = _listed(folder, ARRAYS, record)
    try:
        _require_size(path, MOST_ARRAY_BYTES)
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            if names != set(shapes):
                odd = sorted(names ^ set(shapes))[0]
                raise ValueError(f"{odd} is {'in it and not expected' if odd in names else 'missing'}")
            for name, shape in shapes.items():
                told = file.get_slice(name)
                if told.get_dtype() != "F64" or tuple(told.get_shape()) != shape:
                    raise ValueError(
                        f"{name} is {told.get_dtype()} of the shape {list(told.get_shape())}, expected F64 of "
                        f"{list(shape)}"
                    )
            arrays = {name: file.get_tensor(name) for name in shapes}
        check_arrays(record, arrays)
    except (ValueError, SafetensorError, OSError) as error:
        raise ArtifactError(
            f"{path} does not hold what its record says: {error}. Copy the folder again as it was saved, or fit again."
        ) from error
    return arrays


_TERMS = TypeAdapter(tuple[tuple[str, ...], ...])


def read_terms(folder: Path, record: ArtifactRecord) -> tuple[tuple[str, ...], ...]:
    """What heads count.

    Raises:
        ArtifactError: no such file, other terms than the record says, or what is no list of terms.
    """
    if not _counted(record):
        return ()
    path = _listed(folder, TERMS, record)
    try:
        _require_size(path, MOST_BYTES)
        terms = _TERMS.validate_json(path.read_bytes(), strict=True)
        check_terms(record, terms)
    except (ValueError, OSError) as error:
        told = explain_record_error(error) if isinstance(error, ValidationError) else error
        raise ArtifactError(
            f"{path} does not hold the terms that its record says: {told}. Copy the folder again as it was saved, or "
            "fit again."
        ) from error
    return terms


def _listed(folder: Path, name: str, record: ArtifactRecord) -> Path:
    """A file whose hash the record has, and which was compared with it."""
    if name not in record.files:
        raise ArtifactError(
            f"{folder / RECORD} names no {name}, which what it describes is made of. Copy the folder again as it was "
            "saved, or fit again."
        )
    return folder / name


def _require_size(path: Path, most: int) -> None:
    if path.stat().st_size > most:
        raise ValueError(f"it has more than {most:,} bytes")


# Prompts


def prompt_record(inference: Inference, task: Task) -> PromptRecord:
    """How an inference asks.

    Args:
        inference: what is asked.
        task: as the user named it, with its labels: not the questions that it is asked by.

    Raises:
        ModelError: a part is an object of the user's own.
    """
    builder = inference.builder
    return PromptRecord(
        task=task.model_dump(mode="json", exclude={"folder"}),
        language=builder.language,
        template=builder.template.name,
        template_version=builder.template.version,
        layout=layout_record(builder.layout),
        labels=tuple(builder.labels),
        label_words=builder.task.words(builder.language),
        shots=int(builder.shots),
        selection=selection_record(builder.selection),
        normalisation=normalisation_name(inference.normalisation),
        seed=int(builder.seed),
        cut_long_text=builder.cut_long_text,
        defence=defence_record(builder.defence),
        fingerprint=builder.fingerprint,
    )


def restore_template(prompt: PromptRecord, text: str) -> Template:
    """The template that a record names, with its text."""
    return Template(prompt.template, prompt.language, prompt.template_version, text)


def restore_inference(
    prompt: PromptRecord, task: Task, template: str, scorer: Scorer, support: SupportSet
) -> Inference:
    """What a record's prompt asks, on a scorer that is loaded.

    Raises:
        FewshotError: a template or a selection cannot be made of what is recorded.
    """
    builder = make_builder(
        task,
        prompt.language,
        scorer,
        template=restore_template(prompt, template),
        selection=restore_selection(prompt.selection, scorer),
        shots=prompt.shots,
        seed=prompt.seed,
        layout=prompt.layout,
        cut_long_text=prompt.cut_long_text,
    )
    return Inference(armed(builder, prompt.defence, support), scorer, support, as_normalisation(prompt.normalisation))


def as_floats(values: Sequence[float] | FloatArray) -> tuple[float, ...]:
    """Plain numbers, as a record holds them."""
    return tuple(float(value) for value in values)


_BY_VALUE: dict[str, type[Balanced | RandomOrder | Nearest | Diverse | Everything]] = {
    kind.__name__: kind for kind in (Balanced, RandomOrder, Nearest, Diverse, Everything)
}
"""Selections that are made of plain values."""


def selection_record(selection: Selection) -> dict[str, Any]:
    """A selection's class and values.

    Raises:
        ModelError: it is of a class of the user's own, or embeds texts by something else than the scorer's
            model.
    """
    from fewshot_llm.scoring.vectors import MeanHiddenState

    name = type(selection).__name__
    if isinstance(selection, NearestHidden) and isinstance(selection.embed, MeanHiddenState):
        return {"kind": name}
    if not (is_dataclass(selection) and _BY_VALUE.get(name) is type(selection)):
        raise ModelError(
            f"The selection {selection!r} cannot be saved: it is code, and a saved folder holds none. "
            "Use one of Balanced, RandomOrder, Nearest, Diverse, or NearestHidden with the model's own MeanHiddenState."
        )
    return {"kind": name, **asdict(selection)}


def restore_selection(record: Mapping[str, Any], scorer: Scorer) -> Selection:
    """The selection that `selection_record` wrote.

    Raises:
        ModelError: the record names no selection.
    """
    values = dict(record)
    name = values.pop("kind", "")
    if name == NearestHidden.__name__:
        from fewshot_llm.scoring.vectors import MeanHiddenState

        return NearestHidden(MeanHiddenState(require_local(scorer)))
    if name not in _BY_VALUE:
        raise ModelError(f"There is no selection {name!r}. {nearest(str(name), _BY_VALUE)}")
    try:
        return _BY_VALUE[name](**values)
    except TypeError as error:
        raise ModelError(f"The selection {name} does not take {values}: {error}.") from error


def normalisation_name(normalisation: Normalisation) -> NormalisationName:
    """`sum`, `mean` or `pmi`.

    Raises:
        ModelError: it is an object of the user's own, or has settings of its own.
    """
    for name in get_args(NormalisationName):
        if as_normalisation(name) == normalisation:
            return cast(NormalisationName, name)
    raise ModelError("Only the normalisations sum, mean and pmi can be saved by name; this one is an object.")


def layout_record(layout: Layout) -> Literal["plain", "chat"]:
    """The layout's name.

    Raises:
        ModelError: it is of a class of the user's own.
    """
    if isinstance(layout, Plain):
        return "plain"
    if isinstance(layout, Chat):
        return "chat"
    raise ModelError(f"The layout {layout!r} cannot be saved: it is code. Use the plain or the chat layout.")


def defence_record(defence: Armed | None) -> DefenceName:
    """The defence's name.

    Raises:
        ModelError: it is put together by the user.
    """
    if defence is None:
        return "none"
    if defence.defence == STANDARD:
        return "standard"
    raise ModelError(f"The defence {defence.defence.name!r} cannot be saved: it is code. Use none or standard.")
