"""What stands in a saved folder: the table of its files, and `fewshot.json` as a checked record.

One record class for each kind of thing that is fitted, all with the same common part. `kinds` makes them of what was
fitted and back. A record may be a stranger's: types, lengths, ranges and names are checked before anything is done
with it.
"""

from __future__ import annotations

import json
import platform
import stat
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, TypeVar, overload

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fewshot_llm.data.task import Kind, Task
from fewshot_llm.errors import ArtifactError, readable_record
from fewshot_llm.files import sha256_file
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.models.registry import ModelKind
from fewshot_llm.models.trust import RecordedModel
from fewshot_llm.predictors.linear import Analyzer
from fewshot_llm.predictors.prompted import NormalisationName
from fewshot_llm.prompting.defence import DefenceName
from fewshot_llm.scoring.base import Scorer, local_model
from fewshot_llm.stats.calibration import Calibration
from fewshot_llm.training.recipe import Recipe

__all__ = [
    "ADAPTER_FILES",
    "ARRAYS",
    "BASKETS",
    "CARD",
    "DECISION",
    "FILES",
    "MOST_BYTES",
    "NOTICE",
    "RECORD",
    "SUPPORT",
    "TEMPLATE",
    "TEMPLATES",
    "TERMS",
    "AnyRecord",
    "ArtifactRecord",
    "BaseRecord",
    "CalibrationRecord",
    "ClassificationRecord",
    "ClassifierRecord",
    "CorrectionRecord",
    "EncoderRecord",
    "FoldRecord",
    "FoldsRecord",
    "GridRecord",
    "HeadRecord",
    "HiddenRecord",
    "LineRecord",
    "LinearRecord",
    "MixtureRecord",
    "MultiLabelRecord",
    "NumberModelRecord",
    "ProblemRecord",
    "PromptMember",
    "PromptRecord",
    "PromptedRecord",
    "RankingPromptRecord",
    "RankingRecord",
    "ReadingRecord",
    "RegressionRecord",
    "SourceRecord",
    "StepsRecord",
    "TermsRecord",
    "TrainingRecord",
    "WordsRecord",
    "check_task",
    "explain_other_kind",
    "explain_record_error",
    "installed_versions",
    "language_model_record",
    "model_record",
    "read_record",
]

RECORD, DECISION, SUPPORT, TEMPLATE, BASKETS, CARD = (
    "fewshot.json",
    "decision.json",
    "support.jsonl",
    "template.jinja",
    "baskets.jsonl",
    "README.md",
)
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
TEMPLATES = (TEMPLATE, "template-2.jinja", "template-3.jinja")
"""By the position of what asks with it: a mixture has several."""
ARRAYS, TERMS, NOTICE = "arrays.safetensors", "terms.json", "NOTICE"

FILES: Mapping[str, str] = {
    RECORD: "what was fitted: task, prompt, what is done with scores, base model, versions, and the SHA-256 of every "
    "other file",
    DECISION: "the ladder's decision with every number behind it, where a ladder was climbed",
    SUPPORT: "the rows that demonstrations come from, where an answer still needs them",
    TEMPLATE: "the template's text",
    TEMPLATES[1]: "that of a mixture's second member",
    TEMPLATES[2]: "that of its third",
    ARRAYS: "the numbers of linear heads, and a classifier's answers to the rows out of fold",
    TERMS: "the words and character n-grams that a head counts",
    BASKETS: "the baskets that a ranker counts in, where it was given some",
    ADAPTER_FILES[0]: "peft's settings of a LoRA adapter, where there is one",
    ADAPTER_FILES[1]: "its weights",
    NOTICE: "the terms that go with the models that it derives from, where these ask for it",
    CARD: "a model card",
}
"""Everything that may stand in a saved folder: data only, never code, never pickle."""

OPENED_BY: Mapping[Kind, tuple[str, str]] = {
    "classification": ("FewShotClassifier", "classify"),
    "multilabel": ("FewShotMultiLabelClassifier", "tag"),
    "regression": ("FewShotRegressor", "regress"),
    "ranking": ("FewShotRanker", "rank"),
}
"""What opens a folder, by the kind of task that it answers: the estimator and the command."""

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
OLD_RECORD = "classifier.json"
MOST_BYTES = 256_000_000
"""Of `fewshot.json`: a ranking or a grid with hundreds of thousands of rows needs less."""

RankingPromptName: TypeAlias = Literal["pmi", "title", "yes-no", "letter"]
Count: TypeAlias = Annotated[int, Field(ge=0, le=10**9)]
Seed: TypeAlias = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Position: TypeAlias = Annotated[int, Field(ge=0, lt=10**9)]
NgramLength: TypeAlias = Annotated[int, Field(ge=1, le=20)]
Width: TypeAlias = Annotated[int, Field(ge=0, le=10**8)]
Sha256: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
RungName: TypeAlias = Annotated[str, Field(min_length=1, max_length=100)]
MOST_DRAWS = 1000
MOST_MEMBERS = len(TEMPLATES)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _nothing_of_the_disk(task: dict[str, Any]) -> dict[str, Any]:
    if "folder" in task:
        raise ValueError("a recorded task names no folder")
    return task


RecordedTask: TypeAlias = Annotated[dict[str, Any], AfterValidator(_nothing_of_the_disk)]


class BaseRecord(_Frozen):
    """The model that answers, without its adapter.

    Attributes:
        name: an embedded model's name, a folder or a hub id; empty for a scorer of the user's own.
        revision: of a hub id.
        sha256: of the weights.
        dtype: number format in which it ran.
        fingerprint: names a scorer that has no model in this process.
    """

    name: str = ""
    revision: str = ""
    sha256: str = ""
    dtype: str = ""
    fingerprint: str = ""


class PromptRecord(_Frozen):
    """How prompts are made, in training as in serving, and which score is read.

    Attributes:
        task: with the labels that were fitted.
        language: of the prompt.
        template: name of the template, whose text is a file of its own.
        template_version: its version.
        layout: plain or chat.
        labels: what is scored, in order; the labels of the task, or of the questions that are asked about it.
        label_words: label → the words that are scored.
        shots: demonstrations; per class or in all, as the selection says.
        selection: its class and values.
        normalisation: which score of a label is compared.
        seed: the only source of chance.
        cut_long_text: whether a text that does not fit is cut.
        defence: against texts that talk to the labeller.
        fingerprint: SHA-256 of everything that may change a prompt.
    """

    task: RecordedTask
    language: str
    template: str
    template_version: Annotated[int, Field(ge=1, le=10**6)]
    layout: Literal["plain", "chat"]
    labels: tuple[str, ...]
    label_words: dict[str, str]
    shots: Count
    selection: dict[str, Any]
    normalisation: NormalisationName
    seed: Seed
    cut_long_text: bool = False
    defence: DefenceName = "none"
    fingerprint: str


class CalibrationRecord(_Frozen):
    """A `Calibration` as JSON holds it."""

    bias: tuple[float, ...]
    temperature: Annotated[float, Field(gt=0)]
    method: str

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """The record of a calibration."""
        bias = tuple(float(value) for value in calibration.bias)
        return cls(bias=bias, temperature=float(calibration.temperature), method=calibration.method)

    @property
    def calibration(self) -> Calibration:
        """The calibration itself."""
        return Calibration(self.bias, self.temperature, self.method)


Calibrations: TypeAlias = Annotated[tuple[CalibrationRecord, ...], Field(min_length=1, max_length=MOST_DRAWS)]


class TrainingRecord(_Frozen):
    """How the adapter came about.

    Attributes:
        recipe: LoRA settings.
        losses: training loss of each epoch, nats per row.
        support_fingerprint: SHA-256 of the rows it was trained on.
    """

    recipe: Recipe
    losses: tuple[float, ...]
    support_fingerprint: str


class SourceRecord(_Frozen):
    """A model that what was fitted derives from, and its terms, as far as they are known.

    Attributes:
        name: an embedded model's name, a folder or a hub id.
        kind: whether it scores labels or makes vectors.
        licence: short name; empty where nothing is known of it.
        licence_url: where the text is.
    """

    name: str
    kind: ModelKind
    licence: str = ""
    licence_url: str = ""


class ProblemRecord(_Frozen):
    """What a classifier answers, whoever answers it.

    Attributes:
        task: with the labels that were fitted, and their words.
        language: one of the task's.
    """

    task: RecordedTask
    language: str


class PromptMember(_Frozen):
    """A prompt that gives one label.

    Attributes:
        prompt: how prompts are made.
        adapter: what names the adapter on the model, as it was in memory; empty without one.
        training: how the adapter came about; None without one, or where nothing is known of it.
        calibrations: one per draw of demonstrations.
    """

    kind: Literal["prompt"] = "prompt"
    prompt: PromptRecord
    adapter: str = ""
    training: TrainingRecord | None = None
    calibrations: Calibrations


def _ascending(ngrams: tuple[int, int]) -> tuple[int, int]:
    if ngrams[0] > ngrams[1]:
        raise ValueError("the shortest run is longer than the longest")
    return ngrams


class TermsRecord(_Frozen):
    """`CountedTerms` as JSON holds them; the terms are in a file of their own.

    Attributes:
        analyzer: what terms are made of.
        ngrams: the shortest and the longest run.
        terms: how many there are.
    """

    analyzer: Analyzer
    ngrams: Annotated[tuple[NgramLength, NgramLength], AfterValidator(_ascending)]
    terms: Width


class WordsRecord(_Frozen):
    """Counts of words and character n-grams."""

    kind: Literal["words"] = "words"
    parts: Annotated[tuple[TermsRecord, ...], Field(min_length=1, max_length=8)]

    @property
    def width(self) -> int:
        """How many terms there are."""
        return sum(part.terms for part in self.parts)


class EncoderRecord(_Frozen):
    """An encoder's vectors.

    Attributes:
        name: an embedded encoder, a folder or a hub id.
        sha256: of its files.
        prefix: stands before every text.
        fingerprint: SHA-256 of everything that may change a vector.
        width: of a vector.
    """

    kind: Literal["encoder"] = "encoder"
    name: Annotated[str, Field(min_length=1)]
    sha256: Sha256
    prefix: str
    fingerprint: Sha256
    width: Width


class HiddenRecord(_Frozen):
    """A language model's hidden states.

    Attributes:
        language: of the words around a text.
        layer: counted from 1.
        width: of a state.
        adapter: what names the adapter on the model; empty without one.
    """

    kind: Literal["hidden"] = "hidden"
    language: str
    layer: Annotated[int, Field(ge=1, le=10_000)]
    width: Width
    adapter: str = ""


class HeadRecord(_Frozen):
    """A linear head and where its numbers come from; weights are in a file of their own.

    Attributes:
        features: texts as rows of numbers.
        calibration: of the head's scores.
    """

    kind: Literal["linear"] = "linear"
    features: Annotated[WordsRecord | EncoderRecord | HiddenRecord, Field(discriminator="kind")]
    calibration: CalibrationRecord


class ArtifactRecord(_Frozen):
    """What `fewshot.json` holds of everything that is fitted.

    A kind that is new is a subclass with a `kind` of its own, a place in `AnyRecord`, and a pair of functions in
    `kinds.KINDS`.

    Attributes:
        answers: the kind of task that it answers, and so which estimator opens it.
        base: the language model; None where none is asked.
        derived_from: the models that it derives from, and their terms.
        support_fingerprint: SHA-256 of the support rows.
        support_rows: how many rows per label.
        files: SHA-256 of the other files.
        versions: of everything that may change a figure.
    """

    answers: ClassVar[Kind]

    format: Literal[3] = 3
    kind: str
    base: BaseRecord | None = None
    derived_from: Annotated[tuple[SourceRecord, ...], Field(max_length=2 * MOST_MEMBERS)] = ()
    support_fingerprint: str
    support_rows: dict[str, Count]
    files: dict[str, str] = {}
    versions: dict[str, str] = {}

    @property
    def task(self) -> Task:
        """The task, with its labels and label words."""
        raise NotImplementedError

    @property
    def labels(self) -> tuple[str, ...]:
        """What support rows may be labelled with."""
        return self.task.labels

    @property
    def language(self) -> str:
        """Of the texts, as the task is asked."""
        raise NotImplementedError

    @property
    def adapters(self) -> frozenset[str]:
        """The names of the adapters that the language model answers with; an empty one where it answers without."""
        return frozenset()

    @property
    def trained(self) -> TrainingRecord | None:
        """How the adapter came about; None without one, or where nothing is known of it."""
        return None

    def recorded_base(self, folder: Path, *, allow_download: bool = False) -> RecordedModel:
        """The base model that the record in `folder` names.

        Raises:
            ModelError: it names an address.
        """
        name = "" if self.base is None else self.base.name
        return RecordedModel(name, str(folder / RECORD), allow_download)


class PromptedRecord(ArtifactRecord):
    """What asks a language model, and nothing else.

    Attributes:
        prompt: how prompts are made.
        base: the model.
        adapter: what names the adapter on the model, as it was in memory; empty without one.
        training: how the adapter came about; None without one, or where nothing is known of it.
    """

    prompt: PromptRecord
    base: BaseRecord
    adapter: str = ""
    training: TrainingRecord | None = None

    @property
    def task(self) -> Task:
        """The task, with its labels and label words."""
        return Task(**self.prompt.task)

    @property
    def labels(self) -> tuple[str, ...]:
        """What is scored."""
        return self.prompt.labels

    @property
    def language(self) -> str:
        """Of the prompt."""
        return self.prompt.language

    @property
    def adapters(self) -> frozenset[str]:
        """The one adapter's name, which may be empty."""
        return frozenset({self.adapter})

    @property
    def trained(self) -> TrainingRecord | None:
        """How the adapter came about."""
        return self.training


class ClassifierRecord(ArtifactRecord):
    """What gives one label.

    Attributes:
        classes: the labels as the user gave them, sorted.
        problem: what is answered; None in folders of earlier versions, where the prompt says it.
        rung: which rung of the ladder it is; empty where none was climbed.
        out_of_fold: how many rows' answers out of fold are kept.
        policy: error contract, costs and out of scope as they were fitted; None without.
    """

    answers: ClassVar[Kind] = "classification"

    classes: tuple[str | bool | int | float, ...]
    problem: ProblemRecord | None
    rung: str = ""
    out_of_fold: Count = 0
    policy: dict[str, Any] | None = None

    @property
    def task(self) -> Task:
        """The task, with its labels and label words."""
        assert self.problem is not None
        return Task(**self.problem.task)

    @property
    def language(self) -> str:
        """The problem's."""
        assert self.problem is not None
        return self.problem.language

    @property
    def members(self) -> tuple[PromptMember | HeadRecord, ...]:
        """What answers: one, or several together."""
        raise NotImplementedError

    @property
    def adapters(self) -> frozenset[str]:
        """The names of the members' adapters; an empty one where a member asks the model without."""
        asking = [one if isinstance(one, PromptMember) else one.features for one in self.members]
        return frozenset(one.adapter for one in asking if isinstance(one, PromptMember | HiddenRecord))

    @property
    def trained(self) -> TrainingRecord | None:
        """How the one adapter came about that is among the members."""
        found = (one.training for one in self.members if isinstance(one, PromptMember))
        return next((one for one in found if one is not None), None)

    @property
    def adapted(self) -> tuple[ClassificationRecord, str] | None:
        """The member whose model has an adapter, as if it answered alone, and its template's file; None without one."""
        if self.base is None:
            return None
        for place, one in enumerate(self.members):
            if isinstance(one, PromptMember) and one.adapter:
                alone = ClassificationRecord(
                    prompt=one.prompt,
                    base=self.base,
                    adapter=one.adapter,
                    training=one.training,
                    calibrations=one.calibrations,
                    classes=self.classes,
                    problem=self.problem,
                    derived_from=self.derived_from,
                    support_fingerprint=self.support_fingerprint,
                    support_rows=self.support_rows,
                    versions=self.versions,
                )
                return alone, TEMPLATES[place]
        return None


class ClassificationRecord(PromptedRecord, ClassifierRecord):
    """A prompt or a LoRA adapter that gives one label.

    Attributes:
        calibrations: one per draw of demonstrations.
    """

    answers: ClassVar[Kind] = "classification"

    kind: Literal["classification"] = "classification"
    problem: ProblemRecord | None = None
    calibrations: Calibrations

    @property
    def language(self) -> str:
        """The problem's; of folders of earlier versions, the prompt's."""
        return self.prompt.language if self.problem is None else self.problem.language

    @property
    def members(self) -> tuple[PromptMember | HeadRecord, ...]:
        """The prompt."""
        return (
            PromptMember(
                prompt=self.prompt, adapter=self.adapter, training=self.training, calibrations=self.calibrations
            ),
        )


class LinearRecord(ClassifierRecord):
    """A linear head that gives one label.

    Attributes:
        head: its features and its calibration.
    """

    kind: Literal["linear"] = "linear"
    problem: ProblemRecord
    head: HeadRecord

    @property
    def members(self) -> tuple[PromptMember | HeadRecord, ...]:
        """The head."""
        return (self.head,)


class MixtureRecord(ClassifierRecord):
    """Several predictors that give one label together.

    Attributes:
        parts: the members.
        rungs: what each is called.
        weights: of each one's log-probabilities.
    """

    kind: Literal["mixture"] = "mixture"
    problem: ProblemRecord
    parts: Annotated[
        tuple[Annotated[PromptMember | HeadRecord, Field(discriminator="kind")], ...],
        Field(min_length=1, max_length=MOST_MEMBERS),
    ]
    rungs: tuple[RungName, ...]
    weights: tuple[Annotated[float, Field(ge=0, le=1e6)], ...]

    @property
    def members(self) -> tuple[PromptMember | HeadRecord, ...]:
        """The members."""
        return self.parts


class ReadingRecord(_Frozen):
    """A `LabelReading` as JSON holds it."""

    slope: Annotated[float, Field(ge=0)]
    offsets: tuple[float, ...]
    thresholds: tuple[Annotated[float, Field(ge=0, le=1)], ...]


class MultiLabelRecord(PromptedRecord):
    """A prompt that asks of each label whether it applies.

    Attributes:
        reading: calibration and thresholds, in the order of the task's labels.
    """

    answers: ClassVar[Kind] = "multilabel"

    kind: Literal["multilabel"] = "multilabel"
    reading: ReadingRecord


class GridRecord(_Frozen):
    """A `Grid` as JSON holds it."""

    values: tuple[float, ...]
    words: tuple[str, ...]
    scale: Literal["linear", "log"]


class LineRecord(_Frozen):
    """intercept + slope · x."""

    kind: Literal["line"] = "line"
    intercept: float
    slope: float


class StepsRecord(_Frozen):
    """Straight between knots, flat beyond the first and the last."""

    kind: Literal["steps"] = "steps"
    knots: Annotated[tuple[float, ...], Field(min_length=1)]
    heights: tuple[float, ...]


class CorrectionRecord(_Frozen):
    """A `Correction` as JSON holds it."""

    temperature: Annotated[float, Field(gt=0)]
    curve: Annotated[LineRecord | StepsRecord, Field(discriminator="kind")]


class NumberModelRecord(_Frozen):
    """What a number is made with, besides the prompt.

    Attributes:
        corrections: one per draw of demonstrations.
        held_out: of each row its number as its own prompts did not show it; null for a row that could not be held out.
    """

    corrections: Annotated[tuple[CorrectionRecord, ...], Field(min_length=1, max_length=MOST_DRAWS)]
    held_out: tuple[float | None, ...]


class FoldRecord(NumberModelRecord):
    """A model that did not see one fold.

    Attributes:
        rows: positions of the support rows that it was fitted on.
    """

    rows: tuple[Position, ...]


class FoldsRecord(_Frozen):
    """What intervals are made from.

    Attributes:
        models: one per fold; none where the served model itself stands for all, as with a trained adapter.
        fold: for each row the number of the model that did not see it.
        residuals: its absolute error there.
        predictions: its number.
    """

    models: tuple[FoldRecord, ...]
    fold: tuple[Position, ...]
    residuals: tuple[Annotated[float, Field(ge=0)], ...]
    predictions: tuple[float, ...]


class RegressionRecord(PromptedRecord):
    """A prompt or a LoRA adapter that gives a number.

    Attributes:
        grid: the numbers whose words are scored.
        model: how scores become a number.
        folds: what intervals are made from; None without intervals.
        targets: the rows' numbers in their own unit.
    """

    answers: ClassVar[Kind] = "regression"

    kind: Literal["regression"] = "regression"
    grid: GridRecord
    model: NumberModelRecord
    folds: FoldsRecord | None
    targets: tuple[float, ...]


class RankingPromptRecord(_Frozen):
    """A ranking prompt as JSON holds it.

    Attributes:
        name: which one.
        permutations: orders of a lettered list; None where there are no letters.
        bias: of each letter, nats.
    """

    name: RankingPromptName
    permutations: Annotated[int, Field(ge=1, le=1000)] | None = None
    bias: tuple[float, ...] = ()


class RankingRecord(PromptedRecord):
    """A prompt that scores candidates, mixed with counts from baskets.

    Attributes:
        ranking: how candidates are asked about.
        mix: a weight for each feature; None where the model's score stands alone.
    """

    answers: ClassVar[Kind] = "ranking"

    kind: Literal["ranking"] = "ranking"
    ranking: RankingPromptRecord
    mix: tuple[float, ...] | None


AnyRecord: TypeAlias = Annotated[
    ClassificationRecord | LinearRecord | MixtureRecord | MultiLabelRecord | RegressionRecord | RankingRecord,
    Field(discriminator="kind"),
]
_RECORD: TypeAdapter[ArtifactRecord] = TypeAdapter(AnyRecord)
R = TypeVar("R", bound=ArtifactRecord)


def model_record(scorer: Scorer) -> dict[str, str]:
    """What names a scorer's model: name, revision and hashes; a scorer without one is named by its fingerprint."""
    model = local_model(scorer)
    return {"fingerprint": scorer.fingerprint} if model is None else language_model_record(model)


def language_model_record(model: LanguageModel) -> dict[str, str]:
    """What names a model: name, revision, hashes and number format."""
    return {
        "name": model.name,
        "revision": model.revision,
        "sha256": model.sha256,
        "adapter": model.adapter,
        "dtype": str(model.dtype).removeprefix("torch."),
    }


def installed_versions() -> dict[str, str]:
    """Versions of Python and the packages that may change a figure."""
    found = {"python": platform.python_version()}
    for package in ("fewshot-llm", "torch", "transformers", "peft", "accelerate", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def explain_other_kind(folder: Path, found: Kind, needed: Kind) -> str:
    """What a folder holds where something else is needed, and what opens it."""
    estimator, command = OPENED_BY[found]
    return (
        f"The folder {folder} holds what {estimator} fitted, which answers {found} tasks; what answers {needed} tasks "
        f"is needed here. Give another folder, or open this one with `fewshot-llm {command} … --adapter {folder}` or "
        f"{estimator}.load({str(folder)!r})."
    )


@overload
def read_record(folder: Path) -> ArtifactRecord: ...


@overload
def read_record(folder: Path, kind: type[R]) -> R: ...


def read_record(folder: Path, kind: type[ArtifactRecord] = ArtifactRecord) -> ArtifactRecord:
    """Read `fewshot.json` and check that the folder is whole.

    Args:
        folder: what was saved.
        kind: what it has to be; by default anything.

    Raises:
        ArtifactError: no folder, one of an earlier format or of another kind, a file missing or changed since it was
            written, a link, or pickled weights.
    """
    if not folder.is_dir():
        raise ArtifactError(f"There is no folder {folder}. What was fitted is a folder; give its path.")
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise ArtifactError(
            f"The folder {folder} holds {', '.join(pickles)}: pickled weights can run code when they are read, so the "
            "folder is refused. Save the adapter as safetensors, or remove the file if it does not belong there."
        )
    if (folder / OLD_RECORD).is_file():
        raise ArtifactError(
            f"The folder {folder} has a {OLD_RECORD}: an earlier version of fewshot-llm wrote it. Fit again on the "
            "same rows and save."
        )
    _require_ordinary_files(folder)
    if not (folder / RECORD).is_file():
        raise ArtifactError(
            f"The folder {folder} has no {RECORD}: it was not written by this toolkit, or only half. Fit again, or "
            "give the folder to peft or a server, which need less."
        )
    record = _parsed_record(folder / RECORD)
    if not isinstance(record, kind):
        raise ArtifactError(explain_other_kind(folder, record.answers, kind.answers))
    for name, digest in record.files.items():
        if name not in FILES or name == RECORD:
            raise ArtifactError(
                f"{folder / RECORD} names a file {name!r}, which has no place in such a folder. It was changed since "
                "it was saved: copy the folder again, or fit again."
            )
        if not (folder / name).is_file():
            raise ArtifactError(f"The folder {folder} has no {name}; copy it again as a whole.")
        if sha256_file(folder / name) != digest:
            raise ArtifactError(
                f"{folder / name} is not the file that was saved with {RECORD}: half copied, or changed since. Copy "
                "the whole folder again, or fit again."
            )
    return record


def _parsed_record(path: Path) -> ArtifactRecord:
    """A `fewshot.json` by itself, checked.

    Raises:
        ArtifactError: it is of an earlier format, or something in it is not as this toolkit writes it.
    """
    with readable_record(path, ArtifactError):
        if path.stat().st_size > MOST_BYTES:
            raise ArtifactError(f"{path} has more than {MOST_BYTES:,} bytes. Is it the right file? Copy it again.")
        text = path.read_bytes()
        parsed = json.loads(text)
        if isinstance(parsed, dict) and parsed.get("format") in (1, 2):
            raise ArtifactError(
                f"{path} was written by an earlier version of fewshot-llm. Fit again on the same rows, and save."
            )
        try:
            return _RECORD.validate_json(text)
        except ValidationError as error:
            raise ArtifactError(
                f"{path} is damaged or of another version: {explain_record_error(error)}. Copy the folder again as it "
                "was saved, or fit again."
            ) from error


def explain_record_error(error: ValidationError) -> str:
    """The first thing that is wrong with a record: where it stands and what was expected."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the record"
    found = repr(first["input"])
    return f"{where} is {found if len(found) <= 80 else found[:79] + '…'} ({first['msg']})"


def _require_ordinary_files(folder: Path) -> None:
    """Refuse links that lead out of the folder, pipes and devices in the place of its files."""
    home = folder.resolve()
    for name in FILES:
        path = folder / name
        if not path.is_symlink() and not path.exists():
            continue
        if path.resolve().parent != home:
            raise ArtifactError(
                f"{path} is a link to a file outside of its folder, which is not read. Copy the folder with its files "
                "(cp -rL)."
            )
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise ArtifactError(f"{path} is no ordinary file. Copy the folder again as it was saved.")


def check_task(record: ArtifactRecord, task: Task) -> None:
    """Refuse a task other than the one that was fitted.

    Raises:
        ArtifactError: another name or other labels.
    """
    fitted = record.task
    if task.name != fitted.name:
        raise ArtifactError(
            f"The folder was fitted for the task {fitted.name}, and {task.name} is asked for. Give the folder's own "
            "task, or fit one for this task."
        )
    if task.labels and task.labels != fitted.labels:
        raise ArtifactError(
            f"The folder tells apart {', '.join(fitted.labels)}; this task has the labels {', '.join(task.labels)}. "
            "Use the labels it was fitted for, or fit again."
        )
