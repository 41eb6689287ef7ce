"""What was fitted as its record, and back: a pair of functions for each kind.

`describe` turns a predictor into the record of its kind, `restore` makes the predictor of a record that was read. What
is an object of the user's own is refused: a folder holds data, never code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from pydantic import TypeAdapter

from fewshot_llm.artifacts.parts import (
    OUT_OF_FOLD,
    SavedParts,
    arrays_of,
    as_floats,
    check_arrays,
    check_terms,
    describe_member,
    prompt_record,
    restore_inference,
    restore_member,
    restore_template,
    selection_record,
    terms_of,
    tuned_of,
)
from fewshot_llm.artifacts.record import (
    ADAPTER_FILES,
    MOST_MEMBERS,
    ArtifactRecord,
    BaseRecord,
    ClassificationRecord,
    ClassifierRecord,
    CorrectionRecord,
    FoldRecord,
    FoldsRecord,
    GridRecord,
    LinearRecord,
    LineRecord,
    MixtureRecord,
    MultiLabelRecord,
    NumberModelRecord,
    ProblemRecord,
    PromptedRecord,
    PromptMember,
    RankingPromptName,
    RankingPromptRecord,
    RankingRecord,
    ReadingRecord,
    RegressionRecord,
    SourceRecord,
    StepsRecord,
    TrainingRecord,
    installed_versions,
    language_model_record,
    model_record,
)
from fewshot_llm.data import Problem, SupportSet
from fewshot_llm.data.example import label_name
from fewshot_llm.data.task import Task
from fewshot_llm.errors import AdapterError, ArtifactError, ModelError
from fewshot_llm.ladder.decision import Decision
from fewshot_llm.ladder.rungs.lora import TunedPredictor
from fewshot_llm.ladder.rungs.numbers import TunedNumbers
from fewshot_llm.models.licence import licence_of
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.models.registry import ModelKind
from fewshot_llm.predictors.base import Predictor as LabelPredictor
from fewshot_llm.predictors.build import ModelLike
from fewshot_llm.predictors.choices import BasketCounts, TextSimilarity
from fewshot_llm.predictors.linear import EncoderFeatures, HiddenFeatures, LinearPredictor
from fewshot_llm.predictors.mixture import MixturePredictor
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
from fewshot_llm.predictors.prompted import Inference, PromptedPredictor, prompted_in
from fewshot_llm.predictors.ranking import (
    RANKING_PROMPTS,
    ChoiceMix,
    Everything,
    LetterPrompt,
    PreparedPrompt,
    RankingContext,
    RankingPredictor,
)
from fewshot_llm.scoring.base import Scorer, local_model
from fewshot_llm.selective.policy import FittedPolicy
from fewshot_llm.stats.conformal import CrossValidationPlus
from fewshot_llm.training.lora import Adapter
from fewshot_llm.types import FloatArray

__all__ = [
    "KINDS",
    "Artifact",
    "KindFunctions",
    "Predictor",
    "adapter_folder",
    "adapters_of",
    "asked_model",
    "describe",
    "kept_out_of_fold",
    "members_of",
    "needs_rows",
    "problem_of",
    "restore",
    "support_of",
    "templates_of",
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
        model: by what name the language model was found, or what was given in its place; None where none is needed.
        encoder: by what name the user of a call named the encoder; None where nobody did.
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
    encoder: str | None = None
    problem: Problem | None = None
    out_of_fold: FloatArray | None = None

    @property
    def answers(self) -> Literal["classification", "multilabel", "regression", "ranking"]:
        """The kind of task that it answers."""
        return _functions(self.predictor).record.answers


def describe(artifact: Artifact) -> ArtifactRecord:
    """The record of what was fitted; its `files` are filled in when they are written.

    Raises:
        ModelError: a part is an object of the user's own.
        ArtifactError: members of a mixture do not go together.
        ValidationError: a value is not one that a record holds.
    """
    predictor, functions = artifact.predictor, _functions(artifact.predictor)
    support, members = support_of(artifact), members_of(artifact)
    base = _base(members)
    common: dict[str, Any] = {
        "base": base,
        "derived_from": _sources(base, members),
        "support_fingerprint": support.fingerprint,
        "support_rows": {label: len(rows) for label, rows in support.by_label().items()},
        "versions": installed_versions(),
    }
    if issubclass(functions.record, ClassifierRecord):
        problem = problem_of(artifact)
        common |= {
            "classes": artifact.classes,
            "problem": ProblemRecord(
                task=problem.task.model_dump(mode="json", exclude={"folder"}), language=problem.language
            ),
            "rung": "" if artifact.decision is None else artifact.decision.rung,
            "out_of_fold": 0 if kept_out_of_fold(artifact) is None else len(cast(FloatArray, artifact.out_of_fold)),
            "policy": None if artifact.policy is None else _policy_record(artifact.policy, problem.labels),
        }
    if issubclass(functions.record, PromptedRecord):
        asked = cast(Asking, predictor)
        tuned = tuned_of(predictor)
        common |= {
            "prompt": prompt_record(asked.inference, _task_of(asked)),
            "adapter": model_record(asked.inference.scorer).get("adapter", ""),
            "training": None
            if tuned is None
            else TrainingRecord(
                recipe=tuned.recipe, losses=tuned.fitted.losses, support_fingerprint=support.fingerprint
            ),
        }
    record = functions.record(**common, **functions.describe(artifact))
    if isinstance(record, ClassifierRecord):
        check_arrays(record, arrays_of(members, kept_out_of_fold(artifact)))
        check_terms(record, terms_of(members))
    return record


def restore(record: ArtifactRecord, parts: SavedParts) -> Artifact:
    """What a record describes; the names of its models and its adapter's folder are filled in by who loaded them.

    Raises:
        ValueError: parts of the record do not fit each other; the message says which.
        FewshotError: a task, a template or a selection cannot be made of what is recorded.
    """
    predictor = KINDS[record.kind].restore(record, parts)
    if not isinstance(record, ClassifierRecord):
        if tuple(cast(Asking, predictor).inference.builder.labels) != record.labels:
            raise ValueError("prompt.labels are not the labels that the task is asked with")
        return Artifact(predictor, decision=parts.decision)
    task = record.task if record.problem is None else Task(**record.problem.task)
    if task.kind != "classification" or tuple(task.labels) != cast(LabelPredictor, predictor).labels:
        raise ValueError("the problem's task has other labels than those that are answered")
    if record.language not in task.languages:
        raise ValueError(f"the problem's language {record.language!r} is none of its task's")
    if sorted(map(label_name, record.classes)) != sorted(task.labels):
        raise ValueError("the classes are not the labels")
    policy = None if record.policy is None else _restored_policy(record.policy, task.labels)
    out_of_fold = parts.arrays.get(OUT_OF_FOLD)
    if out_of_fold is not None:
        rows = () if parts.decision is None else parts.decision.kept.rows
        if len(rows) != len(out_of_fold) or not all(0 <= row < len(parts.support) for row in rows):
            raise ValueError("out_of_fold has other rows than the decision was made by")
    problem = Problem(task, record.language, parts.support)
    return Artifact(predictor, record.classes, policy, parts.decision, problem=problem, out_of_fold=out_of_fold)


def problem_of(artifact: Artifact) -> Problem:
    """What a classifier answers: as it is said, or as its prompt says it.

    Raises:
        ArtifactError: neither says it.
    """
    if artifact.problem is not None:
        return artifact.problem
    asked = prompted_in(cast(LabelPredictor, artifact.predictor))
    if asked is None:
        raise ArtifactError("A classifier without a prompt is saved with its problem. Give Artifact(…, problem=…).")
    inference = asked.inference
    return Problem(inference.builder.task, inference.builder.language, inference.support)


def support_of(artifact: Artifact) -> SupportSet:
    """The support rows of what was fitted.

    Raises:
        ArtifactError: a member shows other rows than the classifier was fitted on.
    """
    predictor = artifact.predictor
    if not isinstance(predictor, LabelPredictor):
        return predictor.inference.support
    support = problem_of(artifact).support
    for member in predictor.members:
        if isinstance(member, PromptedPredictor) and member.inference.support.fingerprint != support.fingerprint:
            raise ArtifactError(
                "This cannot be saved: a prompt shows other rows than those that the classifier was fitted on, and a "
                "folder holds one set of rows. Build it with the rows of its problem."
            )
    return support


def kept_out_of_fold(artifact: Artifact) -> FloatArray | None:
    """The answers out of fold that are saved: none where the rows that they answer are not.

    A trained adapter that answers alone and shows no rows keeps them to itself.
    """
    return artifact.out_of_fold if artifact.decision is not None and needs_rows(artifact) else None


def needs_rows(artifact: Artifact) -> bool:
    """Whether the support rows are saved: not with a trained adapter that answers alone without showing any."""
    predictor = artifact.predictor
    if isinstance(predictor, LabelPredictor) and not isinstance(predictor, PromptedPredictor):
        return True
    of_folds = isinstance(predictor, FittedNumbers) and _has_folds(predictor)
    out_of_scope = artifact.policy is not None and artifact.policy.scope is not None
    inference = predictor.inference
    return bool(inference.builder.shots) or out_of_scope or of_folds or not adapters_of(artifact)


def _has_folds(fitted: FittedNumbers) -> bool:
    return fitted.folds is not None and bool(fitted.folds.models) and not _alone(fitted.folds, fitted.model)


Asking: TypeAlias = PromptedPredictor | MultiLabelPredictor | FittedNumbers | RankingPredictor
"""What has one prompt."""


def members_of(artifact: Artifact) -> tuple[Any, ...]:
    """All that answer together; of what is no mixture, itself."""
    predictor = artifact.predictor
    return predictor.members if isinstance(predictor, LabelPredictor) else (predictor,)


def templates_of(artifact: Artifact) -> dict[int, str]:
    """The templates' texts, by the position of the member that asks with one."""
    asking = {at: one for at, one in enumerate(members_of(artifact)) if not isinstance(one, LinearPredictor)}
    return {at: one.inference.builder.template.source for at, one in asking.items()}


# One label


def _describe_classification(artifact: Artifact) -> dict[str, Any]:
    member = describe_member(cast(LabelPredictor, artifact.predictor))
    return {"calibrations": cast(PromptMember, member).calibrations}


def _describe_linear(artifact: Artifact) -> dict[str, Any]:
    return {"head": describe_member(cast(LabelPredictor, artifact.predictor))}


def _describe_mixture(artifact: Artifact) -> dict[str, Any]:
    mixture = cast(MixturePredictor, artifact.predictor)
    if len(mixture.parts) > MOST_MEMBERS:
        raise ArtifactError(
            f"A mixture of {len(mixture.parts)} cannot be saved: a folder holds at most {MOST_MEMBERS} members. Mix "
            "fewer."
        )
    parts = tuple(describe_member(part) for part in mixture.parts)
    return {"parts": parts, "rungs": mixture.rungs, "weights": as_floats(mixture.weights)}


def _restore_classifier(record: ArtifactRecord, parts: SavedParts) -> LabelPredictor:
    assert isinstance(record, ClassifierRecord)
    members = tuple(restore_member(record, place, one, parts) for place, one in enumerate(record.members))
    if not isinstance(record, MixtureRecord):
        return members[0]
    if {len(record.rungs), len(record.weights)} != {len(members)}:
        raise ValueError("a mixture needs a name and a weight for each member")
    if len(set(record.rungs)) != len(members):
        raise ValueError("a mixture's members need names of their own")
    if not sum(record.weights) > 0:
        raise ValueError("a mixture needs a weight above 0")
    return MixturePredictor(members, record.rungs, record.weights)


def _policy_record(policy: FittedPolicy, labels: Sequence[str]) -> dict[str, Any]:
    values = asdict(policy)
    _restored_policy(values, labels)
    return values


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
            slope=float(reading.slope), offsets=as_floats(reading.offsets), thresholds=as_floats(reading.thresholds)
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
        "grid": GridRecord(values=as_floats(grid.values), words=tuple(grid.words), scale=grid.scale),
        "model": NumberModelRecord(**_number_model(fitted.model)),
        "folds": None if folds is None else _describe_folds(fitted.model, folds, support),
        "targets": as_floats(fitted.targets),
    }


def _describe_folds(model: NumberModel, folds: FoldModels, support: SupportSet) -> FoldsRecord:
    number = tuple(int(one) for one in folds.errors.fold)
    records = []
    for place, fold in enumerate(() if _alone(folds, model) else folds.models):
        rows = tuple(row for row, held_by in enumerate(number) if held_by != place)
        if fold.inference.support.examples != tuple(support[row] for row in rows):
            raise ModelError("These folds are none of this regressor's, and only its own can be saved. Fit again.")
        records.append(FoldRecord(rows=rows, **_number_model(fold)))
    return FoldsRecord(
        models=tuple(records),
        fold=number,
        residuals=as_floats(folds.errors.residuals),
        predictions=as_floats(folds.predictions),
    )


def _alone(folds: FoldModels, model: NumberModel) -> bool:
    """A trained adapter's folds are gone: their errors stand around the served model itself."""
    return len(folds.models) == 1 and folds.models[0] is model


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
        return StepsRecord(knots=as_floats(curve.knots), heights=as_floats(curve.heights))
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
            name=cast(RankingPromptName, prompt.name), permutations=permutations, bias=as_floats(prepared.bias)
        ),
        "mix": None if predictor.mix is None else as_floats(predictor.mix.weights),
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
        record.task,
        prompt.language,
        parts.scorer,
        restore_template(prompt, parts.templates[0]),
        prompt.layout,
        prompt.seed,
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
        predictors: classes of what was fitted; a subclass of the user's own is none of them.
        record: class of its record.
        describe: the fields that this kind has besides the common ones.
        restore: the predictor of a record.
    """

    predictors: tuple[type[Any], ...]
    record: type[ArtifactRecord]
    describe: Callable[[Artifact], dict[str, Any]]
    restore: Callable[[ArtifactRecord, SavedParts], Predictor]


KINDS: Mapping[str, KindFunctions] = {
    "classification": KindFunctions(
        (PromptedPredictor, TunedPredictor), ClassificationRecord, _describe_classification, _restore_classifier
    ),
    "linear": KindFunctions((LinearPredictor,), LinearRecord, _describe_linear, _restore_classifier),
    "mixture": KindFunctions((MixturePredictor,), MixtureRecord, _describe_mixture, _restore_classifier),
    "multilabel": KindFunctions((MultiLabelPredictor,), MultiLabelRecord, _describe_multilabel, _restore_multilabel),
    "regression": KindFunctions(
        (FittedNumbers, TunedNumbers), RegressionRecord, _describe_regression, _restore_regression
    ),
    "ranking": KindFunctions((RankingPredictor,), RankingRecord, _describe_ranking, _restore_ranking),
}
"""By the record's `kind`."""


def _functions(predictor: Predictor) -> KindFunctions:
    found = next((one for one in KINDS.values() if type(predictor) in one.predictors), None)
    if found is None:
        known = ", ".join(kind.__name__ for one in KINDS.values() for kind in one.predictors)
        raise ModelError(
            f"A {type(predictor).__name__} cannot be saved: it is code, and a saved folder holds none. What can be "
            f"saved are {known}."
        )
    return found


# Models


def _adapter_of(member: Any, folder: Path | None = None) -> Adapter | Path | None:
    """The adapter that a member answers with: its weights, or the folder that they are in; None without one.

    Args:
        member: of what answers.
        folder: of the adapter that a server's model carries.

    Raises:
        AdapterError: its files are gone.
    """
    tuned = tuned_of(member)
    if tuned is not None:
        return tuned.fitted.adapter
    asked = asked_model(member)
    if asked is None:
        return None
    model = asked if isinstance(asked, LanguageModel) else local_model(asked)
    source = folder if model is None else model.adapter_source
    if isinstance(source, Adapter):
        return source
    if not isinstance(source, Path) or (model is None and not (source / ADAPTER_FILES[0]).is_file()):
        return None
    missing = [name for name in ADAPTER_FILES if not (source / name).is_file()]
    if missing:
        raise AdapterError(f"The adapter folder {source} has no {missing[0]} any more. Put it back, and save again.")
    return source


def adapters_of(artifact: Artifact) -> list[Adapter | Path]:
    """The adapters that go along.

    Raises:
        AdapterError: their files are gone.
    """
    found = (_adapter_of(member, artifact.adapter) for member in members_of(artifact))
    return [one for one in found if one is not None]


def adapter_folder(predictor: LabelPredictor) -> Path | None:
    """The folder of the adapter that a prompt among the members answers with; None where there is none."""
    asked = (asked_model(member) for member in predictor.members if isinstance(member, PromptedPredictor))
    models = (local_model(scorer) for scorer in asked if scorer is not None and not isinstance(scorer, LanguageModel))
    sources = (model.adapter_source for model in models if model is not None)
    return next((source for source in sources if isinstance(source, Path)), None)


def asked_model(member: Any) -> Scorer | LanguageModel | None:
    """What a member asks of a language model: its scorer, or the model whose states it reads; None for neither."""
    if isinstance(member, LinearPredictor):
        return member.features.state.language_model if isinstance(member.features, HiddenFeatures) else None
    return member.inference.scorer if hasattr(member, "inference") else None


def _model_record(asked: Scorer | LanguageModel) -> dict[str, str]:
    return language_model_record(asked) if isinstance(asked, LanguageModel) else model_record(asked)


def _base(members: Sequence[Any]) -> BaseRecord | None:
    """The one language model that members ask; None where none does.

    Raises:
        ArtifactError: they ask several, or carry several adapters.
    """
    asked = [found for found in map(asked_model, members) if found is not None]
    known = [_model_record(one) for one in asked]
    bases = {BaseRecord(**{name: value for name, value in one.items() if name != "adapter"}) for one in known}
    if len(bases) > 1 or len({one.get("adapter", "") for one in known} - {""}) > 1:
        raise ArtifactError(
            "This cannot be saved: its members ask several language models, or one with several adapters, and a folder "
            "names one model and holds one adapter. Mix members of one model."
        )
    return next(iter(bases), None)


def _sources(base: BaseRecord | None, members: Sequence[Any]) -> tuple[SourceRecord, ...]:
    """The models that members derive from, each once."""
    features = [one.features for one in members if isinstance(one, LinearPredictor)]
    names: dict[str, ModelKind] = {base.name: "language-model"} if base is not None and base.name else {}
    names |= {one.encoder.name: "encoder" for one in features if isinstance(one, EncoderFeatures)}
    return tuple(source_record(name, kind) for name, kind in names.items())


def source_record(name: str, kind: ModelKind) -> SourceRecord:
    """A model with its terms, as far as this toolkit knows them."""
    licence = licence_of(name)
    if licence is None:
        return SourceRecord(name=name, kind=kind)
    return SourceRecord(name=name, kind=kind, licence=licence.name, licence_url=licence.url)


# Prompts


def _task_of(predictor: Asking) -> Task:
    """The task that the user named, with its labels: not the questions that it is asked by."""
    if isinstance(predictor, MultiLabelPredictor):
        return predictor.task
    if isinstance(predictor, RankingPredictor):
        return predictor.prepared.context.task
    return predictor.inference.builder.task


def _inference(record: ArtifactRecord, parts: SavedParts, task: Task) -> Inference:
    """What the one prompt of a record asks."""
    assert isinstance(record, PromptedRecord)
    return restore_inference(record.prompt, task, parts.templates[0], parts.scorer, parts.support)
