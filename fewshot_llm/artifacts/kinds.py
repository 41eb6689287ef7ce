"""What was fitted as its record, and back: a pair of functions for each kind.

`describe` turns a predictor into the record of its kind, `restore` makes the predictor of a record that was read. What
is an object of the user's own is refused: a folder holds data, never code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
from pydantic import TypeAdapter

from fewshot_llm.artifacts.record import (
    ArtifactRecord,
    BaseRecord,
    CalibrationRecord,
    ClassificationRecord,
    CorrectionRecord,
    FoldRecord,
    FoldsRecord,
    GridRecord,
    LineRecord,
    MultiLabelRecord,
    NumberModelRecord,
    PromptRecord,
    RankingPromptName,
    RankingPromptRecord,
    RankingRecord,
    ReadingRecord,
    RegressionRecord,
    StepsRecord,
    TrainingRecord,
    installed_versions,
    model_record,
)
from fewshot_llm.data import Problem, SupportSet
from fewshot_llm.data.example import label_name
from fewshot_llm.data.task import Task
from fewshot_llm.errors import ModelError, nearest
from fewshot_llm.ladder.decision import Decision
from fewshot_llm.ladder.rungs.lora import Tuned, TunedPredictor
from fewshot_llm.ladder.rungs.numbers import TunedNumbers
from fewshot_llm.predictors.base import Predictor as LabelPredictor
from fewshot_llm.predictors.build import ModelLike, armed, make_builder
from fewshot_llm.predictors.choices import Basket, BasketCounts, TextSimilarity
from fewshot_llm.predictors.multilabel import LabelReading, MultiLabelPredictor, pair_task
from fewshot_llm.predictors.numbers import (
    Correction,
    Curve,
    FittedNumbers,
    FoldModels,
    Grid,
    Line,
    NumberModel,
    Steps,
)
from fewshot_llm.predictors.prompted import (
    Inference,
    Normalisation,
    NormalisationName,
    PromptedPredictor,
    as_normalisation,
)
from fewshot_llm.predictors.ranking import (
    RANKING_PROMPTS,
    ChoiceMix,
    Everything,
    LetterPrompt,
    PreparedPrompt,
    RankingContext,
    RankingPredictor,
)
from fewshot_llm.prompting.chat import Chat, Layout, Plain
from fewshot_llm.prompting.defence import STANDARD, Armed, DefenceName
from fewshot_llm.prompting.selection import Balanced, Diverse, Nearest, NearestHidden, RandomOrder, Selection
from fewshot_llm.prompting.template import Template
from fewshot_llm.scoring.base import Scorer, require_local
from fewshot_llm.selective.policy import FittedPolicy
from fewshot_llm.stats.conformal import CrossValidationPlus
from fewshot_llm.types import FloatArray

__all__ = [
    "KINDS",
    "Artifact",
    "KindFunctions",
    "Predictor",
    "SavedParts",
    "defence_record",
    "describe",
    "layout_record",
    "normalisation_name",
    "restore",
    "restore_selection",
    "selection_record",
    "tuned_of",
]

Predictor: TypeAlias = LabelPredictor | MultiLabelPredictor | FittedNumbers | RankingPredictor


@dataclass(frozen=True)
class Artifact:
    """Something fitted, with all that belongs to it.

    Attributes:
        predictor: what answers.
        classes: of a classifier: the labels as the user gave them, sorted.
        policy: which answers are kept back; None for none.
        decision: the ladder's, where one was climbed.
        adapter: folder of the adapter that a server's model carries.
        model: by what name the model was found; None where it was given as an object.
        problem: of a classifier: what is answered.
        out_of_fold: of a classifier that climbed a ladder: log P(label | text) of the decision's rows by predictors
            that did not see them, nats, shape [rows, labels].
        answers: the kind of task that it answers.
    """

    predictor: Predictor
    classes: tuple[Any, ...] = ()
    policy: FittedPolicy | None = None
    decision: Decision | None = None
    adapter: Path | None = None
    model: ModelLike | None = None
    problem: Problem | None = None
    out_of_fold: FloatArray | None = None

    @property
    def answers(self) -> Literal["classification", "multilabel", "regression", "ranking"]:
        """The kind of task that it answers."""
        return _functions(self.predictor).record.answers


@dataclass(frozen=True)
class SavedParts:
    """What a predictor is made of again, besides its record.

    Attributes:
        scorer: the model, loaded.
        template: the template's text.
        support: the support rows; empty where none were needed.
        baskets: what a ranker counts in.
    """

    scorer: Scorer
    template: str
    support: SupportSet
    baskets: tuple[Basket, ...] = ()


def describe(artifact: Artifact) -> ArtifactRecord:
    """The record of what was fitted; its `files` are filled in when they are written.

    Raises:
        ModelError: a part is an object of the user's own.
        ValidationError: a value is not one that a record holds.
    """
    predictor = artifact.predictor
    inference, known = predictor.inference, model_record(predictor.inference.scorer)
    tuned = tuned_of(predictor)
    common: dict[str, Any] = {
        "prompt": _prompt_record(inference, predictor),
        "base": BaseRecord(**{name: value for name, value in known.items() if name != "adapter"}),
        "adapter": known.get("adapter", ""),
        "training": None
        if tuned is None
        else TrainingRecord(
            recipe=tuned.recipe,
            losses=tuned.fitted.losses,
            support_fingerprint=inference.support.fingerprint,
        ),
        "support_fingerprint": inference.support.fingerprint,
        "support_rows": {label: len(rows) for label, rows in inference.support.by_label().items()},
        "versions": installed_versions(),
    }
    functions = _functions(predictor)
    return functions.record(**common, **functions.describe(artifact))


def restore(record: ArtifactRecord, parts: SavedParts) -> tuple[Predictor, FittedPolicy | None]:
    """The predictor that a record describes, and its policy where it has one.

    Raises:
        ValueError: parts of the record do not fit each other; the message says which.
        FewshotError: a task, a template or a selection cannot be made of what is recorded.
    """
    predictor = KINDS[record.kind].restore(record, parts)
    if tuple(predictor.inference.builder.labels) != record.prompt.labels:
        raise ValueError("prompt.labels are not the labels that the task is asked with")
    policy = record.policy if isinstance(record, ClassificationRecord) else None
    return predictor, None if policy is None else _restored_policy(policy, record.prompt.labels)


def tuned_of(predictor: Predictor) -> Tuned | None:
    """The adapter that was trained here, and what led to it; None where there is none."""
    return predictor.tuned if isinstance(predictor, TunedPredictor | TunedNumbers) else None


# One label


def _describe_classification(artifact: Artifact) -> dict[str, Any]:
    predictor = cast(PromptedPredictor, artifact.predictor)
    return {
        "classes": artifact.classes,
        "calibrations": tuple(
            CalibrationRecord(bias=_floats(one.bias), temperature=float(one.temperature), method=one.method)
            for one in predictor.calibrations
        ),
        "policy": None if artifact.policy is None else _policy_record(artifact.policy, predictor),
    }


def _policy_record(policy: FittedPolicy, predictor: PromptedPredictor) -> dict[str, Any]:
    values = asdict(policy)
    _restored_policy(values, predictor.inference.builder.labels)
    return values


def _restore_classification(record: ArtifactRecord, parts: SavedParts) -> PromptedPredictor:
    assert isinstance(record, ClassificationRecord)
    inference = _inference(record, parts, record.task)
    labels = inference.builder.labels
    if any(len(one.bias) != len(labels) for one in record.calibrations):
        raise ValueError("a calibration needs a bias for each label")
    if sorted(map(label_name, record.classes)) != sorted(labels):
        raise ValueError("the classes are not the labels")
    return PromptedPredictor(inference, tuple(one.calibration for one in record.calibrations))


def _restored_policy(values: Mapping[str, Any], labels: Sequence[str]) -> FittedPolicy:
    policy = TypeAdapter(FittedPolicy).validate_python(values)
    costs, contract, scope = policy.costs, policy.contract, policy.scope
    needed = len(labels) if costs is not None or policy.shift else 0
    if len(policy.shift) != needed or not np.all(np.isfinite(policy.shift)):
        raise ValueError("policy.shift needs a finite number for each label")
    if costs is not None:
        table = np.array([list(row) for row in costs.table], dtype=np.float64)
        if costs.labels != tuple(labels) or table.shape != (len(labels),) * 2:
            raise ValueError("policy.costs need a cost for each pair of labels")
        if not (np.all(np.isfinite(table)) and np.all(table >= 0) and (costs.review is None or costs.review >= 0)):
            raise ValueError("policy.costs need numbers of 0 or more")
    if contract is not None:
        shares = (contract.max_error, contract.confidence, contract.threshold or 0.0)
        # A probability of 1 may be a little more in floating point.
        if (
            not all(0 <= share <= 1 + 1e-9 for share in shares)
            or not contract.rows >= contract.labelled >= contract.errors >= 0
        ):
            raise ValueError("policy.contract has a share or a count that there cannot be")
    if scope is not None and not (np.isfinite(scope.threshold) and 0 < scope.false_alarms < 1):
        raise ValueError("policy.scope has a threshold or a share that there cannot be")
    return policy


# Several labels


def _describe_multilabel(artifact: Artifact) -> dict[str, Any]:
    reading = cast(MultiLabelPredictor, artifact.predictor).reading
    return {
        "reading": ReadingRecord(
            slope=float(reading.slope), offsets=_floats(reading.offsets), thresholds=_floats(reading.thresholds)
        )
    }


def _restore_multilabel(record: ArtifactRecord, parts: SavedParts) -> MultiLabelPredictor:
    assert isinstance(record, MultiLabelRecord)
    task, reading = record.task, record.reading
    if {len(reading.offsets), len(reading.thresholds)} != {len(task.labels)}:
        raise ValueError("reading needs an offset and a threshold for each label")
    inference = _inference(record, parts, pair_task(task))
    return MultiLabelPredictor(task, inference, LabelReading(reading.slope, reading.offsets, reading.thresholds))


# A number


def _describe_regression(artifact: Artifact) -> dict[str, Any]:
    fitted = cast(FittedNumbers, artifact.predictor)
    grid, folds, support = fitted.model.grid, fitted.folds, fitted.inference.support
    if fitted.targets is None:
        raise ModelError("The numbers of the support rows are not kept, and a regressor is saved with them. Fit again.")
    return {
        "grid": GridRecord(values=_floats(grid.values), words=tuple(grid.words), scale=grid.scale),
        "model": NumberModelRecord(**_number_model(fitted.model)),
        "folds": None if folds is None else _describe_folds(fitted.model, folds, support),
        "targets": _floats(fitted.targets),
    }


def _describe_folds(model: NumberModel, folds: FoldModels, support: SupportSet) -> FoldsRecord:
    number = tuple(int(one) for one in folds.errors.fold)
    records = []
    # A trained adapter's folds are gone: their errors stand around the served model itself.
    alone = len(folds.models) == 1 and folds.models[0] is model
    for place, fold in enumerate(() if alone else folds.models):
        rows = tuple(row for row, held_by in enumerate(number) if held_by != place)
        if fold.inference.support.examples != tuple(support[row] for row in rows):
            raise ModelError("These folds are none of this regressor's, and only its own can be saved. Fit again.")
        records.append(FoldRecord(rows=rows, **_number_model(fold)))
    return FoldsRecord(
        models=tuple(records),
        fold=number,
        residuals=_floats(folds.errors.residuals),
        predictions=_floats(folds.predictions),
    )


def _number_model(model: NumberModel) -> dict[str, Any]:
    return {
        "corrections": tuple(
            CorrectionRecord(temperature=float(one.temperature), curve=_curve_record(one.curve))
            for one in model.corrections
        ),
        "held_out": tuple(None if np.isnan(value) else float(value) for value in model.held_out),
    }


def _curve_record(curve: Curve) -> LineRecord | StepsRecord:
    if type(curve) is Line:
        return LineRecord(intercept=float(curve.intercept), slope=float(curve.slope))
    if type(curve) is Steps:
        return StepsRecord(knots=_floats(curve.knots), heights=_floats(curve.heights))
    raise ModelError(f"The correction {curve!r} cannot be saved: it is code. Use Linear() or Monotone().")


def _restore_regression(record: ArtifactRecord, parts: SavedParts) -> FittedNumbers:
    assert isinstance(record, RegressionRecord)
    grid = Grid(record.grid.values, record.grid.words, record.grid.scale)
    inference = _inference(record, parts, record.task)
    if inference.builder.labels != grid.labels:
        raise ValueError("the grid's numbers are not the task's labels")
    rows = len(record.targets)
    if record.folds is not None and record.folds.models and len(parts.support) != rows:
        raise ValueError("targets need a number for each support row")
    model = _restored_numbers(record.model, inference, grid, rows)
    targets = np.array(record.targets, dtype=np.float64)
    if record.folds is None:
        return FittedNumbers(model, None, targets)
    return FittedNumbers(model, _restored_folds(record.folds, model, rows), targets)


def _restored_folds(folds: FoldsRecord, model: NumberModel, rows: int) -> FoldModels:
    if {len(folds.fold), len(folds.residuals), len(folds.predictions)} != {rows}:
        raise ValueError("folds need a fold, a residual and a prediction for each row")
    if max(folds.fold, default=0) >= max(1, len(folds.models)):
        raise ValueError("folds.fold names a model that there is not")
    support, models = model.inference.support, []
    for place, fold in enumerate(folds.models):
        if fold.rows != tuple(row for row, held_by in enumerate(folds.fold) if held_by != place):
            raise ValueError(f"folds.models.{place}.rows are not the rows of the other folds")
        inference = Inference(model.inference.builder, model.inference.scorer, support.subset(fold.rows))
        models.append(_restored_numbers(fold, inference, model.grid, len(fold.rows)))
    return FoldModels(
        tuple(models) or (model,),
        CrossValidationPlus(np.array(folds.fold, dtype=np.int64), np.array(folds.residuals, dtype=np.float64)),
        np.array(folds.predictions, dtype=np.float64),
    )


def _restored_numbers(record: NumberModelRecord, inference: Inference, grid: Grid, rows: int) -> NumberModel:
    if len(record.held_out) != rows:
        raise ValueError("held_out needs a number or null for each row")
    held_out: FloatArray = np.array([np.nan if one is None else one for one in record.held_out], dtype=np.float64)
    corrections = tuple(Correction(one.temperature, _curve(one.curve)) for one in record.corrections)
    return NumberModel(inference, grid, corrections, held_out)


def _curve(record: LineRecord | StepsRecord) -> Line | Steps:
    if isinstance(record, LineRecord):
        return Line(record.intercept, record.slope)
    if len(record.knots) != len(record.heights) or any(np.diff(record.knots) <= 0):
        raise ValueError("a curve needs ascending knots and a height for each")
    return Steps(record.knots, record.heights)


# An order


def _describe_ranking(artifact: Artifact) -> dict[str, Any]:
    predictor = cast(RankingPredictor, artifact.predictor)
    prepared = predictor.prepared
    prompt = prepared.prompt
    permutations = int(prompt.permutations) if isinstance(prompt, LetterPrompt) else None
    return {
        "ranking": RankingPromptRecord(
            name=cast(RankingPromptName, prompt.name), permutations=permutations, bias=_floats(prepared.bias)
        ),
        "mix": None if predictor.mix is None else _floats(predictor.mix.weights),
    }


def _restore_ranking(record: ArtifactRecord, parts: SavedParts) -> RankingPredictor:
    assert isinstance(record, RankingRecord)
    prompt, ranking = record.prompt, record.ranking
    kind = RANKING_PROMPTS[ranking.name]
    if (kind is LetterPrompt) != (ranking.permutations is not None):
        raise ValueError("ranking.permutations belong to a lettered list, and it needs them")
    strategy = LetterPrompt(ranking.permutations) if ranking.permutations is not None else kind()
    if len(ranking.bias) != (len(prompt.labels) if kind is LetterPrompt else 0):
        raise ValueError("ranking.bias needs a number for each letter, and none where there are no letters")
    context = RankingContext(
        record.task, prompt.language, parts.scorer, _template(prompt, parts), prompt.layout, prompt.seed
    )
    counts = BasketCounts.of(parts.baskets) if parts.baskets else None
    fixed = (prompt.selection, prompt.normalisation, prompt.cut_long_text, prompt.defence)
    if fixed != (selection_record(Everything()), "sum", False, "none"):
        raise ValueError("prompt says something of selection, normalisation, cutting or defence that no ranking has")
    if prompt.shots != len(parts.support):
        raise ValueError("prompt.shots is not the number of support rows, all of which are shown")
    width = kind.width + (0 if counts is None else 3)
    if record.mix is not None and len(record.mix) != width:
        raise ValueError(f"mix needs {width} weights, one for each feature")
    prepared = PreparedPrompt(strategy, context, parts.support, ranking.bias)
    similarity = TextSimilarity.of(() if counts is None else counts.holding)
    return RankingPredictor(prepared, counts, similarity, None if record.mix is None else ChoiceMix(record.mix))


@dataclass(frozen=True)
class KindFunctions:
    """How one kind is saved.

    Attributes:
        predictor: class of what was fitted.
        record: class of its record.
        describe: the fields that this kind has besides the common ones.
        restore: the predictor of a record.
    """

    predictor: type[Any]
    record: type[ArtifactRecord]
    describe: Callable[[Artifact], dict[str, Any]]
    restore: Callable[[ArtifactRecord, SavedParts], Predictor]


KINDS: Mapping[str, KindFunctions] = {
    "classification": KindFunctions(
        PromptedPredictor, ClassificationRecord, _describe_classification, _restore_classification
    ),
    "multilabel": KindFunctions(MultiLabelPredictor, MultiLabelRecord, _describe_multilabel, _restore_multilabel),
    "regression": KindFunctions(FittedNumbers, RegressionRecord, _describe_regression, _restore_regression),
    "ranking": KindFunctions(RankingPredictor, RankingRecord, _describe_ranking, _restore_ranking),
}
"""By the record's `kind`."""


def _functions(predictor: Predictor) -> KindFunctions:
    found = next((one for one in KINDS.values() if isinstance(predictor, one.predictor)), None)
    if found is None:
        raise ModelError(f"A {type(predictor).__name__} cannot be saved: there is no record for it.")
    return found


# Parts that all kinds share


def _prompt_record(inference: Inference, predictor: Predictor) -> PromptRecord:
    builder = inference.builder
    return PromptRecord(
        task=_task_of(predictor).model_dump(mode="json", exclude={"folder"}),
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


def _task_of(predictor: Predictor) -> Task:
    """The task that the user named, with its labels: not the questions that it is asked by."""
    if isinstance(predictor, MultiLabelPredictor):
        return predictor.task
    if isinstance(predictor, RankingPredictor):
        return predictor.prepared.context.task
    return predictor.inference.builder.task


def _template(prompt: PromptRecord, parts: SavedParts) -> Template:
    return Template(prompt.template, prompt.language, prompt.template_version, parts.template)


def _inference(record: ArtifactRecord, parts: SavedParts, task: Task) -> Inference:
    """What a record's prompt asks, on a scorer that is loaded."""
    prompt = record.prompt
    builder = make_builder(
        task,
        prompt.language,
        parts.scorer,
        template=_template(prompt, parts),
        selection=restore_selection(prompt.selection, parts.scorer),
        shots=prompt.shots,
        seed=prompt.seed,
        layout=prompt.layout,
        cut_long_text=prompt.cut_long_text,
    )
    return Inference(
        armed(builder, prompt.defence, parts.support),
        parts.scorer,
        parts.support,
        as_normalisation(prompt.normalisation),
    )


def _floats(values: Sequence[float] | FloatArray) -> tuple[float, ...]:
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
